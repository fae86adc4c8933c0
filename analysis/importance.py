"""Which parameters matter for what: the share of a target's variance that one parameter explains, against chance.

The values of a parameter are put into groups: its categories, or at most :data:`BINS` equally filled ranges. Its
importance for a target is the variance between the groups' means as part of the whole variance (the correlation ratio,
the main effect of functional ANOVA without a model in between). Parameters are compared *within* the strata, whose
effect is taken out first and shown on its own; a parameter that only one family has is judged by that family's trials.
Groups are formed in each stratum for itself, so an effect that turns round between strata counts as well.

With few trials any parameter explains something. So the target is shuffled within the strata :data:`SHUFFLES` times;
the mean of what the shuffled targets give is taken off, and the share of shuffles that reach the real value is the
p-value. A search does not draw configurations evenly, so parameters that it moved together share their importance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.feasibility import CLIP
from analysis.records import Floats, Study
from analysis.strata import split
from analysis.words import metric_label, short_label

BINS = 4
FEWEST_IN_BIN = 3
"""Trials that a range of values should hold; with fewer there are fewer ranges."""
SHUFFLES = 199
FEWEST = 8
"""Trials that a parameter needs, in all strata together."""
MOST_TRIALS = 1_000
"""Trials that enter; of more an even sample does."""
SIGNIFICANT = 0.05
"""p-value above which an importance counts as indistinguishable from chance. Each cell is judged for itself."""


@dataclass(frozen=True, eq=False)
class Importance:
    """Importance of every parameter that varies, for every target."""

    parameters: tuple[str, ...]
    """Most important for any target first, by what is beyond chance."""
    targets: tuple[str, ...]
    """Objectives, then margins of checks, as people read them."""
    share: Floats
    """(parameters, targets), in [0, 1]: share of the variance explained beyond chance; NaN where it cannot be told."""
    p_value: Floats
    """(parameters, targets), in (0, 1]; NaN where ``share`` is."""
    trials: NDArray[np.int64]
    """(parameters,): trials that the parameter was judged by."""


def importance(study: Study) -> Importance:
    """Judge every parameter that varies.

    Notes:
        Draws its shuffles from a generator of a fixed seed, so that the same records give the same figures.
    """
    sample = np.flatnonzero(~np.isnan(study.objectives[study.schema.primary.name]))
    if len(sample) > MOST_TRIALS:
        sample = sample[np.linspace(0, len(sample) - 1, MOST_TRIALS).round().astype(np.int64)]
    names, targets = _targets(study)
    targets = targets[sample]
    strata = np.zeros(len(study), dtype=np.int64)
    for index, stratum in enumerate(split(study, study.strata)):
        strata[stratum.rows] = index
    found = []
    for name, column in study.parameters.items():
        values = [column[row] for row in sample]
        own = np.zeros(len(sample), dtype=np.int64) if name in study.strata else strata[sample]
        judged = _judge(values, own, targets)
        if judged is not None:
            found.append((name, *judged))
    found.sort(key=lambda item: (-float(np.where(item[2] <= SIGNIFICANT, item[1], 0.0).max()), item[0]))
    empty = np.empty((0, len(names)))
    return Importance(
        parameters=tuple(item[0] for item in found),
        targets=names,
        share=np.stack([item[1] for item in found]) if found else empty,
        p_value=np.stack([item[2] for item in found]) if found else empty,
        trials=np.asarray([item[3] for item in found], dtype=np.int64),
    )


def _targets(study: Study) -> tuple[tuple[str, ...], Floats]:
    """Return the names of the targets and their values, (trials, targets)."""
    columns = {short_label(item): study.objectives[item.name] for item in study.schema.objectives}
    for check, margin in study.constraints.items():
        columns[f"{metric_label(check)} (margin)"] = np.clip(margin, -CLIP, CLIP)
    return tuple(columns), np.stack(list(columns.values()), axis=1)


def _judge(values: list[object], strata: NDArray[np.int64], targets: Floats) -> tuple[Floats, Floats, int] | None:
    """Return share, p-value (each (targets,)) and number of trials; None where the parameter does not vary enough."""
    cells = np.full(len(values), -1, dtype=np.int64)
    for stratum in np.unique(strata):
        rows = np.asarray([row for row in np.flatnonzero(strata == stratum) if values[row] is not None], dtype=np.int64)
        groups = _groups([values[row] for row in rows])
        if len(rows) and groups.max() > 0:
            cells[rows] = stratum * BINS * 64 + groups
    used = cells >= 0
    if used.sum() < FEWEST:
        return None
    _, codes = np.unique(cells[used], return_inverse=True)
    shuffles: dict[bytes, NDArray[np.int64]] = {}
    results = []
    for index in range(targets.shape[1]):
        target = targets[used, index]
        known = ~np.isnan(target)
        if known.tobytes() not in shuffles:  # Targets that the same trials have share their shuffles.
            shuffles[known.tobytes()] = _shuffles(strata[used][known])
        results.append(_explained(codes[known], strata[used][known], target[known], shuffles[known.tobytes()]))
    return np.asarray([item[0] for item in results]), np.asarray([item[1] for item in results]), int(used.sum())


def _shuffles(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, column by column, rows in random order within their stratum, (trials, SHUFFLES)."""
    keys = np.random.default_rng(0).random((len(strata), SHUFFLES)) + strata[:, None]
    orders = np.empty(keys.shape, dtype=np.int64)
    orders[np.argsort(strata, kind="stable")] = np.argsort(keys, axis=0)  # Sorted by stratum, at random within each.
    return orders


def _groups(values: list[object]) -> NDArray[np.int64]:
    """Return a group number a value: its category, or its range among equally filled ones."""
    distinct = sorted(set(values), key=lambda value: (str(type(value)), value))
    place = {value: index for index, value in enumerate(distinct)}
    codes = np.asarray([place[value] for value in values], dtype=np.int64)
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct)
    bins = min(BINS, max(2, len(values) // FEWEST_IN_BIN))
    if not numeric or len(distinct) <= bins:
        return codes
    edges = np.quantile(codes, np.arange(1, bins) / bins)
    return np.searchsorted(edges, codes, side="left").astype(np.int64)


def _explained(
    cells: NDArray[np.int64], strata: NDArray[np.int64], target: Floats, orders: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the share explained beyond chance and its p-value; NaN where the target does not vary."""
    if len(target) < FEWEST:
        return float("nan"), float("nan")
    centred = target - _means(strata, target[:, None])[strata, 0]
    total = float(centred @ centred)
    if total <= 1e-12 * max(1.0, float(target @ target)):
        return float("nan"), float("nan")
    shuffled = centred[orders]
    columns = np.concatenate([centred[:, None], shuffled], axis=1)
    counts = np.bincount(cells)[:, None]
    explained = (_means(cells, columns) ** 2 * counts).sum(axis=0) / total
    null = explained[1:]
    chance = float(null.mean())
    share = max(0.0, (float(explained[0]) - chance) / max(1e-9, 1.0 - chance))
    return share, (1.0 + float((null >= explained[0] - 1e-12).sum())) / (SHUFFLES + 1.0)


def _means(groups: NDArray[np.int64], columns: Floats) -> Floats:
    """Return the mean of each column in each group, (groups, columns); 0 in empty groups."""
    counts = np.bincount(groups)
    order = np.argsort(groups, kind="stable")
    starts = np.cumsum(counts)[:-1]
    sums = np.zeros((len(counts), columns.shape[1]))
    occupied = np.flatnonzero(counts)
    if occupied.size:
        begins = np.concatenate(([0], starts))[occupied]
        sums[occupied] = np.add.reduceat(columns[order], begins, axis=0)
    means: Floats = sums / np.maximum(counts, 1)[:, None]
    return means
