"""Tables of planted leaks: who found what on how many seeds, and what is left of it where few images carry."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.planted import PLANTS
from benchmarks.planted_bench import Cell, Record
from models.checks.statistics import clopper_pearson
from models.measurement import Measurement
from study.bounds import PASS, VIOLATION, Bound, CheckResult, check_bound

UTILITY = "expression_utility"
"""The one check of the batteries that a leak is not for: it is left out of what counts as found."""


@dataclass(frozen=True)
class Judged:
    """One record held against the bounds."""

    record: Record
    results: Mapping[str, CheckResult]
    """Check -> margin, verdict and power."""

    @property
    def found(self) -> bool:
        """Whether any check of privacy calls it a violation."""
        return any(result.verdict == VIOLATION for check, result in self.results.items() if check != UTILITY)

    @property
    def beyond(self) -> bool:
        """Whether any check of privacy is beyond its bound by estimate, which is what a search would be told."""
        return any(result.margin > 0 for check, result in self.results.items() if check != UTILITY)


def judged(
    records: Iterable[Record],
    bounds: Sequence[Bound],
    *,
    only: Collection[str] | None = None,
    members: Mapping[str, int] | None = None,
) -> list[Judged]:
    """Hold records against bounds.

    Args:
        records: Any.
        bounds: Those of the checks.
        only: Names of the measurements that may take part, "metric.member"; None for all that were made.
        members: Check -> number of its adversaries that limits allow for, where it is more than were asked: what these
            find is then found in the larger battery as well, whatever the others say.
    """
    items = []
    for record in records:
        results = {}
        for bound in bounds:
            names = [name for name in record.metrics if name == bound.metric or name.startswith(f"{bound.metric}.")]
            held: dict[str, Measurement | None] = {
                name: record.metrics[name] for name in names if only is None or name in only
            }
            voting = sum(item is not None and item.votes for item in held.values())
            for number in range(max(0, (members or {}).get(bound.check, 0) - voting) if held else 0):
                held[f"silent {number}"] = _SILENT
            if held:
                results[bound.check] = check_bound(bound, held)
        items.append(Judged(record, results))
    return items


_SILENT = Measurement(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, excess_low=0.0, excess_high=0.0, half_width=0.0)
"""An adversary that reads nothing, for certain."""


def share(hits: int, of: int) -> str:
    """Return "k of n (low to high)", the limits being Clopper and Pearson's, 95 %."""
    low, high = clopper_pearson(hits, of)
    return f"{hits} of {of} ({low:.2f} to {high:.2f})"


def found_table(items: Sequence[Judged]) -> list[str]:
    """Return a table of what all images carry: by plant and levels, which check noticed on how many seeds."""
    checks = sorted({check for item in items for check in item.results})
    header = ["plant", "levels", "found", "beyond a bound by estimate", *(check.replace("_", " ") for check in checks)]
    header.append("strongest adversaries")
    rows = []
    for (plant, levels), group in _grouped(items, lambda cell: (cell.plant, cell.levels), one_in=1):
        row = [PLANTS[plant].label, str(levels or "-")]
        row += [share(sum(item.found for item in group), len(group)), str(sum(item.beyond for item in group))]
        for check in checks:
            verdicts = [item.results[check].verdict for item in group if check in item.results]
            kinds = (VIOLATION, "too_little", PASS)
            row.append(" / ".join(str(sum(verdict.startswith(kind) for verdict in verdicts)) for kind in kinds))
        rows.append([*row, _strongest(group)])
    return markdown(header, rows)


def power_table(items: Sequence[Judged]) -> list[str]:
    """Return a table of power: by plant and levels, found on how many seeds where 1 image in k carries."""
    shares = sorted({item.record.cell.one_in for item in items})
    rows = []
    for (plant, levels), group in _grouped(items, lambda cell: (cell.plant, cell.levels)):
        if plant == "clean":
            continue
        row = [PLANTS[plant].label, str(levels or "-")]
        for one_in in shares:
            part = [item for item in group if item.record.cell.one_in == one_in]
            row.append(share(sum(item.found for item in part), len(part)) if part else "")
        rows.append(row)
    return markdown(["plant", "levels", *("all images" if one == 1 else f"1 in {one}" for one in shares)], rows)


def would_have_found(items: Sequence[Judged]) -> list[str]:
    """Return a line for every check: the median over records of what it would have found."""
    lines = []
    for check in sorted({check for item in items for check in item.results}):
        powers = [item.results[check].power for item in items if check in item.results]
        known = [power for power in powers if power is not None]
        if known:
            withheld = statistics.median(power.withheld for power in known)
            violation = statistics.median(power.violation for power in known)
            lines.append(f"- {check}: no pass from {withheld:.3f} on, violation from {violation:.3f} on")
    return lines


def seconds_table(items: Sequence[Judged]) -> list[str]:
    """Return a table of seconds by adversary, means over records."""
    totals: dict[str, list[float]] = defaultdict(list)
    for item in items:
        for name, seconds in item.record.parts.items():
            totals[name].append(seconds)
    rows = [[name, f"{statistics.fmean(found):.1f}"] for name, found in totals.items()]
    rows.sort(key=lambda row: -float(row[1]))
    rows.append(["all", f"{statistics.fmean(item.record.seconds for item in items):.1f}"])
    return markdown(["adversary", "seconds"], rows)


def _strongest(group: Sequence[Judged]) -> str:
    """Name the members with the largest excess over baseline or chance, how often they were first, and its median."""
    first: dict[str, list[float]] = defaultdict(list)
    for item in group:
        excesses = {
            name: found.value - (found.baseline if found.baseline is not None else found.chance or 0.0)
            for name, found in item.record.metrics.items()
            if "identity_accuracy" in name and found.votes and found.measured
        }
        if excesses:
            name = max(excesses, key=lambda one: excesses[one])
            first[name.partition(".")[2]].append(excesses[name])
    ranked = sorted(first.items(), key=lambda entry: -len(entry[1]))[:3]
    return ", ".join(f"{name} {len(values)}x +{statistics.median(values):.2f}" for name, values in ranked)


def _grouped(
    items: Sequence[Judged], key: Callable[[Cell], tuple[str, int]], *, one_in: int | None = None
) -> list[tuple[tuple[str, int], list[Judged]]]:
    groups: dict[tuple[str, int], list[Judged]] = defaultdict(list)
    for item in items:
        if one_in is None or item.record.cell.one_in == one_in:
            groups[key(item.record.cell)].append(item)
    order = list(PLANTS)
    return sorted(groups.items(), key=lambda entry: (order.index(entry[0][0]), entry[0][1]))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
