"""What an audit found of a study's short list, clearly apart from what the search found.

``python -m study.audit`` writes ``audit/audit.yaml`` and ``audit/optimism.parquet``; nothing is computed here again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from analysis.figures.audit import draw_margins_twice
from analysis.records import Study
from analysis.sections import Section
from analysis.tables import chip, table, trial_button
from analysis.words import count, interval, listing, metric_label, number, plain

FOLDER, SETTINGS, OPTIMISM = "audit", "audit.yaml", "optimism.parquet"


@dataclass(frozen=True)
class Audit:
    """The findings of one audit."""

    battery: str
    found: Mapping[str, Any]
    """What ``audit.yaml`` holds."""
    comparisons: tuple[Mapping[str, Any], ...]
    """Rows of ``optimism.parquet``."""


def read_audit(folder: Path) -> tuple[Audit | None, str]:
    """Read the audit in a study folder.

    Args:
        folder: The study folder.

    Returns:
        The audit, None if there is none that ended; and a warning, empty if all is well.
    """
    path = folder / FOLDER
    if not (path / SETTINGS).is_file():
        return None, ""
    try:
        found = yaml.safe_load((path / SETTINGS).read_text(encoding="utf-8"))
        if "optimism" not in found:
            return None, "an audit of this study has begun and not ended; run python -m study.audit again to go on"
        audit = Audit(
            battery=str(found["settings"]["checks"]["name"]),
            found={name: found[name] for name in _NEEDED},
            comparisons=tuple(pq.read_table(path / OPTIMISM).to_pylist()),
        )
    except (OSError, yaml.YAMLError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        return None, f"{FOLDER}/ cannot be read and was left out ({type(error).__name__}: {str(error).splitlines()[0]})"
    return audit, ""


_NEEDED = (
    "seeds",
    "held_out",
    "short_list",
    "optimism",
    "feasible_in_search",
    "of_them_not_in_audit",
    "of_them_not_by_the_whole_battery",
)


def audit_sections(study: Study) -> tuple[Section, ...]:
    """Return the section of the report that shows the audit; none where there is no audit."""
    audit, warning = read_audit(study.folder)
    if audit is None:
        if not warning:
            return ()
        return (Section("audit", "Audit", "Audit", f'<p class="empty">{escape(warning)}</p>'),)
    html = f"<p>{escape(lead(audit))}</p><p>{escape(_held_out(audit))}</p>"
    if _margins(audit):
        html += (
            '<figure class="chart"><div class="plot" id="plot-audit-margins" data-figure="audit-margins" role="img" '
            'aria-label="Margins of the short list as searched and as audited; the table below has their means"></div>'
            "<figcaption>Open: as the search estimated it; filled: as the audit did. Bars: 95 %.</figcaption></figure>"
        )
    html += _short_list(audit) + _losses(audit)
    figures = {"audit-margins": draw_margins_twice(_margins(audit))} if _margins(audit) else {}
    return (Section("audit", "Audit", "Audit: what the search's estimates lost", html, figures),)


def lead(audit: Audit) -> str:
    """Say in a sentence how much of the short list was not what it seemed."""
    found = audit.found
    feasible, lost = found["feasible_in_search"], found["of_them_not_in_audit"]
    whole = found["of_them_not_by_the_whole_battery"]
    return (
        f"{count(len(found['short_list']), 'configuration')} trained again under {count(found['seeds'], 'fresh seed')} "
        f"each, sanitiser and baseline included, and judged by the battery “{audit.battery}” on images that no search "
        f"saw. Of {feasible} that the search took for feasible, {lost} {'is' if lost == 1 else 'are'} not by the "
        f"study's own checks, and {whole} not by the whole battery.{_left_out(audit)}"
    )


def _left_out(audit: Audit) -> str:
    names = [
        f"trial {one['trial']} ({', '.join(f'seed {seed} {plain(why)}' for seed, why in _without_result(one).items())})"
        for one in audit.found["short_list"]
        if _without_result(one)
    ]
    if not names:
        return ""
    return (
        f" Left out of these counts and of the losses: {count(len(names), 'configuration')} with seeds that gave no "
        f"result for a fault of the machine or the code, which says nothing of a configuration: {listing(names)}."
    )


def _without_result(one: Mapping[str, Any]) -> Mapping[int, str]:
    return one.get("without_result") or {}  # audits written before it was recorded lack it


def _held_out(audit: Audit) -> str:
    names = [metric_label(name) for name in audit.found["held_out"]]
    if not names:
        return (
            "No adversary was held out from the search: seeds and images are new, the families of adversaries are not."
        )
    return f"Held out from the search: {listing(names)}."


def _margins(audit: Audit) -> list[Mapping[str, Any]]:
    return [row for row in audit.comparisons if row["kind"] == "margin"]


def _short_list(audit: Audit) -> str:
    rows = [
        [
            trial_button(int(one["trial"])),
            _chip(one["search_feasible"]),
            _audited_chip(one, "audit_feasible"),
            f"{one['seeds_feasible']} of {one['seeds']}",
            _audited_chip(one, "audit_feasible_by_all_checks"),
            escape(", ".join(plain(str(name)) for name in one["beyond"])),
        ]
        for one in audit.found["short_list"]
    ]
    headers = ["Trial", "Search", "Audit, study's checks", "Seeds within them", "Audit, all checks", "Beyond"]
    return table("The short list, as searched and as audited", headers, rows)


def _audited_chip(one: Mapping[str, Any], field: str) -> str:
    return chip("no result", "missing") if _without_result(one) else _chip(one[field])


def _chip(feasible: bool) -> str:
    return chip("within" if feasible else "beyond", "pass" if feasible else "violation")


def _losses(audit: Audit) -> str:
    rows = [
        [
            escape(metric_label(str(item["name"]))),
            "margin, in scales" if item["kind"] == "margin" else "objective",
            "not measured" if not item["configurations"] else _signed(item),
            str(item["configurations"]),
        ]
        for item in audit.found["optimism"]
    ]
    headers = ["Quantity", "Kind", "Mean loss from search to audit (95 %)", "Configurations"]
    return table("Optimism of the search: positive where its estimates were too good", headers, rows)


def _signed(item: Mapping[str, Any]) -> str:
    limits = interval(float(item["low"]), float(item["high"]))
    return f"{number(float(item['value']))}" + (f" <small>({limits})</small>" if limits else "")
