"""Put a study's report together: one HTML file that needs no network, no server and no other file.

The page carries plotly.js once, every figure as JSON, the galleries as embedded pictures and a content security policy
that forbids loading anything: what the study folder holds is shown, never run. The same records give the same bytes.
"""

import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from analysis import frame, sections
from analysis.audit import audit_sections
from analysis.gallery import Galleries, embed_all
from analysis.panel import panel_data
from analysis.points import describe_points
from analysis.ranking import best_feasible, ranked
from analysis.records import Study
from analysis.sections import Section

GALLERY_BUDGET = 12_000_000
"""Characters that all galleries may take together."""


@dataclass(frozen=True)
class Report:
    """A report ready to be written."""

    html: str
    warnings: tuple[str, ...]
    """What is missing from it, in words."""


def build_report(study: Study) -> Report:
    """Build the report of a study."""
    order = ranked(study)
    best = best_feasible(study)
    primary = study.objectives[study.schema.primary.name]
    galleries = embed_all(
        study.folder,
        [int(study.trial[row]) for row in order],
        expected={int(study.trial[row]) for row in order if primary[row] == primary[row]},
        budget=GALLERY_BUDGET,
    )
    points = describe_points(study)
    parts = (
        sections.finding(study, galleries, int(order[0]) if best is None else best, feasible=best is not None),
        sections.fronts(study, points),
        sections.checks(study, points),
        sections.search(study, points),
        sections.parameters(study, points, order),
        sections.trials(study, order),
        sections.controls(study),
        *audit_sections(study),
        frame.setting(study),
        frame.words(study),
    )
    data = {**panel_data(study), "galleries": {str(trial): item.__dict__ for trial, item in galleries.embedded.items()}}
    page = Template(_asset("report.html")).substitute(
        title=escape(f"{study.schema.study}: what the privacy checks noticed"),
        style=_asset("report.css"),
        plotly=get_plotlyjs(),
        script=_asset("report.js"),
        head=frame.head(study),
        navigation="".join(f'<a href="#{part.anchor}">{escape(part.short)}</a>' for part in parts),
        body="".join(_section(part) for part in parts),
        figures=_json_block("figures", {name: _figure(item) for part in parts for name, item in part.figures.items()}),
        data=_json_block("study-data", data),
    )
    return Report(page, (*study.warnings, *_gallery_warnings(galleries)))


def write_report(study: Study, output: Path) -> Report:
    """Build the report of a study and write it to ``output``, whose folder is made if missing.

    Raises:
        OSError: If the file cannot be written.
    """
    report = build_report(study)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(report.html, encoding="utf-8")
    return report


def _asset(name: str) -> str:
    return files("analysis").joinpath("assets", name).read_text(encoding="utf-8")


def _section(part: Section) -> str:
    return f'<section id="{part.anchor}"><h2>{escape(part.title)}</h2>{part.html}</section>'


def _figure(figure: go.Figure) -> object:
    return json.loads(figure.to_json())


def _json_block(identifier: str, value: object) -> str:
    """Return JSON inside a script element; "<" is escaped, so that no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{identifier}">{text}</script>'


def _gallery_warnings(galleries: Galleries) -> tuple[str, ...]:
    found = []
    if galleries.missing and not galleries.embedded and not galleries.unreadable:
        found.append("no trial has a gallery; artifacts/<trial>/gallery.png is where the report looks for them")
    elif galleries.missing:
        found.append(
            f"no gallery for trial {_few(galleries.missing)}: artifacts/<trial>/gallery.png is missing; the report "
            "shows everything else of them"
        )
    found += [f"gallery of trial {trial} cannot be read: {reason}" for trial, reason in galleries.unreadable.items()]
    if galleries.left_out:
        found.append(
            f"galleries of {len(galleries.left_out)} lower-ranked trials were left out to keep the report small"
        )
    return tuple(found)


def _few(trials: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, trials[:8]))
    return shown if len(trials) <= 8 else f"{shown} and {len(trials) - 8} more"
