"""What early stopping saves on recorded learning curves, and what the signals foretell.

    python -m benchmarks.early_stopping FOLDER... [--orders 50] [--keep FILE.json]

FOLDERs are studies that ran without a scheduler, finished or still running; their trials are read, nothing is trained.

Printed, and with ``--keep`` written as JSON:

- Where the time of a trial goes, by family and stage.
- Spearman's rank correlation of each signal, at each epoch and before the checks, with the objective and the margins
  at the end, with 95 % bootstrap intervals, by family and over all families (ranks taken inside each family).
- What the default scheduler and its neighbours save and lose, over orders of arrival, for one objective, bounded or
  not, and for three; and what settings do that were chosen on one half of the trials, measured on the other.
- Of the trials that would be stopped because a check is certain to fail, how many were feasible after all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.early_stopping_curves import ONE, QUALITY, TARGETS, Recorded, Target, read_curves
from benchmarks.early_stopping_replays import Settings, choose, halves, measure
from study.schedulers import Limit

STRATA = ("subversion.family", "subversion.secret", "channel")
LIMITS = (
    ("steganalysis", Limit("quick_steganalysis", 0.53, 0.65)),
    ("strong_identity", Limit("quick_identity_excess", 0.05, 0.2)),
)
NAMED = {
    "default": Settings(2, 3, True, LIMITS),
    "without limits of checks": Settings(2, 3, True),
    "before the checks only": Settings(99, 3, True, LIMITS),
    "reduction 2": Settings(2, 2, True, LIMITS),
}
"""The default is as ``search_spaces/scheduler/successive_halving.yaml`` says."""

KEEP, SPLITS, RESAMPLES = 0.98, 5, 500
"""Hypervolume that chosen settings must keep where they are chosen; divisions in halves; bootstrap resamples."""


def ends(trial: Recorded) -> dict[str, float]:
    """Return what signals are to foretell: the objective, and the margin of every check."""
    return {QUALITY: trial.objectives[QUALITY], **{f"margin {check}": v for check, v in trial.margins.items()}}


def correlation(pairs: np.ndarray, groups: Sequence[str], rng: np.random.Generator) -> tuple[float, float, float]:
    """Return Spearman's correlation with its 95 % bootstrap limits, ranks taken inside each group.

    Args:
        pairs: Signal and end of each trial, (trials, 2).
        groups: Group of each trial.
        rng: Draws the resamples.
    """
    labels = np.asarray(groups)

    def of(rows: np.ndarray) -> float:
        ranks = np.zeros((len(rows), 2))
        for label in np.unique(labels[rows]):
            own = labels[rows] == label
            ranks[own] = stats.rankdata(pairs[rows][own], axis=0) / (own.sum() + 1) - 0.5
        spread = ranks.std(axis=0).prod()
        return float((ranks[:, 0] * ranks[:, 1]).mean() / spread) if spread > 0 else np.nan

    resampled = [of(rng.integers(len(pairs), size=len(pairs))) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(resampled, (0.025, 0.975)) if np.isfinite(resampled).any() else (np.nan, np.nan)
    return of(np.arange(len(pairs))), float(low), float(high)


def correlations(trials: Sequence[Recorded]) -> list[dict[str, Any]]:
    """Return a row for every family, point of the training, signal and end with at least eight trials."""
    rng, rows = np.random.default_rng(0), []
    most = max((sum(step.stage == "training" for step in trial.steps) for trial in trials), default=0)
    points = [*(f"epoch {number}" for number in range(1, most + 1)), "release"]
    for family, point in itertools.product(["all", *sorted({trial.family for trial in trials})], points):
        told = [(trial, trial.signals(point)) for trial in trials if family in ("all", trial.family)]
        seen = [(trial, signals) for trial, signals in told if signals]
        for signal in sorted({name for _, signals in seen for name in signals}):
            usable = [(trial, signals[signal]) for trial, signals in seen if np.isfinite(signals.get(signal, np.nan))]
            for end in ends(trials[0]):
                pairs = np.array([(value, ends(trial)[end]) for trial, value in usable]).reshape(-1, 2)
                if len(pairs) < 8 or (pairs.max(axis=0) == pairs.min(axis=0)).any():
                    continue
                found = correlation(pairs, [trial.family for trial, _ in usable], rng)
                names = {"family": family, "point": point, "signal": signal, "end": end, "trials": len(pairs)}
                rows.append(names | dict(zip(("rho", "low", "high"), (round(v, 3) for v in found), strict=True)))
    return rows


def time_shares(trials: Sequence[Recorded]) -> list[dict[str, Any]]:
    """Return median seconds by family and stage."""
    rows = []
    for family in sorted({trial.family for trial in trials}):
        own = [trial.seconds for trial in trials if trial.family == family]
        stages = {stage: round(float(np.median([one.get(stage, 0.0) for one in own])), 1) for stage in _STAGES}
        rows.append({"family": family, "trials": len(own), **stages})
    return rows


_STAGES = ("set_up", "training", "release", "checks")


_AUCS = ((0.51, 0.6), (0.53, 0.6), (0.53, 0.65), (0.55, 0.7), (0.6, 0.9))


def grid(target: Target) -> list[Settings]:
    """Return the settings among which is chosen; limits matter only where their checks bound the target."""
    steganalysis = [
        (),
        *((("steganalysis", Limit("quick_steganalysis", limit, certain)),) for limit, certain in _AUCS),
    ]
    identity = [(), (("strong_identity", Limit("quick_identity_excess", 0.05, 0.2)),)]
    bounded = "steganalysis" in target.bounding
    limits = [one + other for one in steganalysis for other in identity] if bounded else [()]
    rungs = [(first, reduction) for first in (2, 4, 99) for reduction in (2, 3, 4)]
    return [Settings(first, reduction, True, checks) for first, reduction in rungs for checks in limits]


def savings(trials: Sequence[Recorded], orders: int) -> list[dict[str, Any]]:
    """Return a row for the default and one for chosen settings, for each target."""
    rows = []
    for target in TARGETS:
        for name, settings in NAMED.items():
            values = measure(trials, target, settings, orders=orders)[1]
            rows.append({"target": target.name, "settings": name, **_summary(values)})
        chosen = []
        for split in range(SPLITS):
            first, second = halves(trials, split)
            for own, other in ((first, second), (second, first)):
                settings = choose(own, target, grid(target), orders=5, keep=KEEP)
                chosen.append(measure(other, target, settings, orders=10)[1])
        rows.append({"target": target.name, "settings": "chosen on the other half", **_summary(np.concatenate(chosen))})
    return rows


def hopeless(trials: Sequence[Recorded]) -> dict[str, int]:
    """Return how many trials the default stops for a check that is certain to fail, and how many were feasible."""
    source, counts = NAMED["default"].source(ONE), {"stopped": 0, "feasible after all": 0}
    for trial in trials:
        signals = trial.signals("release")
        signal = source.read(signals) if signals else None
        if signal is not None and signal.hopeless:
            counts["stopped"] += 1
            counts["feasible after all"] += all(margin <= 0 for margin in trial.margins.values())
    return counts


def _summary(values: np.ndarray) -> dict[str, Any]:
    names = ("compute", "kept", "same", "stopped")
    means = {name: round(float(mean), 3) for name, mean in zip(names, values.mean(axis=0), strict=True)}
    low, high = np.quantile(values[:, 2], (0.1, 0.9))
    return means | {"same_10": round(float(low), 3), "same_90": round(float(high), 3), "orders": len(values)}


def _lines(found: Mapping[str, Any]) -> str:
    """Return JSON with a line for every row."""
    parts = []
    for name, value in found.items():
        rows = ",\n  ".join(json.dumps(row) for row in value) if isinstance(value, list) else ""
        parts.append(f'"{name}": [\n  {rows}\n ]' if rows else f'"{name}": {json.dumps(value)}')
    return "{\n " + ",\n ".join(parts) + "\n}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a markdown table."""
    if not rows:
        return "nothing yet"
    lines = ["| " + " | ".join(rows[0]) + " |", "| " + " | ".join("---" for _ in rows[0]) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, measure, print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--orders", type=int, default=50)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args(arguments)
    trials = [trial for folder in options.folders for trial in read_curves(folder, STRATA)]
    if len(trials) < 8:
        print(
            f"{len(trials)} finished trials in {', '.join(map(str, options.folders))}; give 8 or more", file=sys.stderr
        )
        return 1
    found = {
        "trials": len(trials),
        "feasible": sum(all(margin <= 0 for margin in trial.margins.values()) for trial in trials),
        "seconds": time_shares(trials),
        "correlations": correlations(trials),
        "savings": savings(trials, options.orders),
        "hopeless": [hopeless(trials)],
    }
    for name in ("seconds", "correlations", "savings", "hopeless"):
        print(f"\n{name}\n\n{table(found[name])}", flush=True)
    if options.keep:
        options.keep.write_text(_lines(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
