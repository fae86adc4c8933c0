"""Put a study's report together: one HTML file that needs no network, no server and no other file.

The page carries plotly.js once, every figure as JSON, thumbnails of the galleries and a content security policy that
forbids loading anything but pictures beside it: what the study folder holds is shown, never run. Whole galleries are
fetched from the study folder when somebody looks at a trial. The same records give the same bytes.
"""

import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from analysis import frame, sections
from analysis.audit import audit_sections
from analysis.course import course
from analysis.explorer import explorer
from analysis.feasibility import feasibility
from analysis.fronts import bound_lines, reference_value
from analysis.gallery import Galleries, artifacts_address, embed_all
from analysis.history import load_curves
from analysis.importance import Importance, importance
from analysis.laundering_section import laundering
from analysis.parameter_sections import parameters
from analysis.payload import numbers, page_data
from analysis.points import describe_points
from analysis.ranking import best_feasible, ranked
from analysis.records import Study
from analysis.sections import Section
from analysis.thinning import shown_rows, take, take_chances

THUMBNAIL_BUDGET = 2_900_000
"""Characters that all thumbnails may take together."""
CURVES_BUDGET = 600_000
"""Characters that all learning curves may take together."""
SCRIPTS = ("data", "checks", "state", "front", "linked", "filters", "parameters", "panel", "main", "live")
"""Parts of the page's script, in order; they share one scope."""


@dataclass(frozen=True)
class Report:
    """A report ready to be written."""

    html: str
    warnings: tuple[str, ...]
    """What is missing from it, in words."""


@dataclass(frozen=True)
class Live:
    """That a page is served while its study runs."""

    stamp: str
    """Changes whenever the records do."""
    seconds: float
    """Between two looks at the records."""

    def tag(self) -> str:
        """Return the element of the page's head that its script looks for."""
        return f'<meta name="records" content="{escape(self.stamp)}" data-seconds="{self.seconds:g}">'


def build_report(study: Study, *, artifacts: str = "artifacts", live: Live | None = None) -> Report:
    """Build the report of a study.

    Args:
        study: All its trials.
        artifacts: Where the page finds whole galleries, as a URL relative to the page; "" for nowhere.
        live: For a page that is served while the study runs; it then asks for changes.
    """
    chances = feasibility(study)
    rows = shown_rows(study, chances)
    shown, chances = take(study, rows), take_chances(chances, rows)
    order = ranked(shown)
    best = best_feasible(shown)
    primary = shown.objectives[shown.schema.primary.name]
    galleries = embed_all(
        study.folder,
        [int(shown.trial[row]) for row in order],
        expected={int(shown.trial[row]) for row in order if primary[row] == primary[row]},
        budget=THUMBNAIL_BUDGET,
        address=artifacts,
    )
    points = describe_points(shown)
    matters = importance(study)
    parts = (
        sections.finding(shown, galleries, int(order[0]) if best is None else best, feasible=best is not None),
        explorer(shown, points, order, len(study)),
        sections.fronts(study, shown, points),
        sections.checks(study, shown, points),
        course(study, shown, points),
        parameters(matters, numeric=_numeric(shown)),
        *laundering(study),
        sections.controls(study),
        *audit_sections(study),
        frame.setting(study),
        frame.words(study),
    )
    data = page_data(shown, chances, points) | _more_data(study, shown, matters, galleries, order)
    page = Template(asset("report.html")).substitute(
        title=escape(f"{study.schema.study}: what the privacy checks noticed"),
        style=asset("report.css"),
        plotly=get_plotlyjs(),
        script=page_script(*SCRIPTS),
        head=frame.head(study),
        live="" if live is None else live.tag(),
        connect="'none'" if live is None else "'self'",
        navigation="".join(f'<a href="#{part.anchor}">{escape(part.short)}</a>' for part in parts),
        body="".join(section(part) for part in parts),
        figures=json_block(
            "figures", {name: figure_data(item) for part in parts for name, item in part.figures.items()}
        ),
        data=json_block("study-data", data),
    )
    return Report(page, (*study.warnings, *_gallery_warnings(galleries)))


def write_report(study: Study, output: Path) -> Report:
    """Build the report of a study and write it to ``output``, whose folder is made if missing.

    Raises:
        OSError: If the file cannot be written.
    """
    report = build_report(study, artifacts=artifacts_address(study.folder, output))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(report.html, encoding="utf-8")
    return report


def _more_data(study: Study, shown: Study, matters: Importance, galleries: Galleries, order: Any) -> dict[str, Any]:
    """Return what the page needs beside columns of trials."""
    objectives = shown.schema.objectives
    y = shown.schema.primary
    data: dict[str, Any] = {
        "total": len(study),
        "primary": objectives.index(y),
        "important": list(matters.parameters),
        "artifacts": galleries.address,
        "thumbnails": {str(trial): item.__dict__ for trial, item in galleries.thumbnails.items()},
        "curves": _curves(shown, order),
        "lines": [
            {
                "marks": [
                    {"name": line.adversary.replace("_", " "), "at": line.at} for line in bound_lines(shown, item)
                ],
                "reference": reference_value(shown, item),
            }
            for item in objectives
        ],
    }
    return data


def _curves(shown: Study, order: Any) -> dict[str, dict[str, tuple[list[int], Any]]]:
    """Return the learning curves of the best trials, as many as the page has room for."""
    found = load_curves(shown.folder, [int(shown.trial[row]) for row in order])
    kept: dict[str, dict[str, tuple[list[int], Any]]] = {}
    room = CURVES_BUDGET
    for row in order:
        own = found.get(int(shown.trial[row]))
        if not own:
            continue
        curves = {name: (steps.tolist(), _listed(numbers(values))) for name, (steps, values) in own.items()}
        room -= sum(len(name) + 10 * len(steps) for name, (steps, _) in curves.items())
        if room < 0:
            break
        kept[str(shown.trial[row])] = {
            name: (steps, values * len(steps) if len(values) == 1 else values)
            for name, (steps, values) in curves.items()
        }
    return kept


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _numeric(study: Study) -> int:
    """Count the numeric parameters that vary."""
    varied = 0
    for name, column in study.parameters.items():
        known = study.schema.parameters.get(name)
        active = {value for value in column if isinstance(value, int | float) and not isinstance(value, bool)}
        varied += len(active) > 1 and (known is None or known.kind != "categorical")
    return varied


def page_script(*names: str) -> str:
    """Return parts of the page's script in one scope of their own."""
    parts = "".join(asset(f"{name}.js") for name in names)
    return f'(function () {{\n  "use strict";\n{parts}}})();'


def asset(name: str) -> str:
    """Return the text of a file of the page."""
    return files("analysis").joinpath("assets", name).read_text(encoding="utf-8")


def section(part: Section) -> str:
    """Return a section as HTML."""
    return f'<section id="{part.anchor}"><h2>{escape(part.title)}</h2>{part.html}</section>'


def figure_data(figure: go.Figure) -> object:
    """Return a figure as plain values, without the hover texts of trials, which the page has once for all figures."""
    found = json.loads(figure.to_json())
    for trace in found["data"]:
        owners = trace.get("customdata")
        if isinstance(owners, list) and any(isinstance(owner, int) for owner in owners):
            trace.pop("hovertext", None)
    return found


def json_block(identifier: str, value: object) -> str:
    """Return JSON inside a script element; "<" is escaped, so that no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{identifier}">{text}</script>'


def _gallery_warnings(galleries: Galleries) -> tuple[str, ...]:
    found = []
    if galleries.missing and not galleries.thumbnails and not galleries.unreadable:
        found.append("no trial has a gallery; artifacts/<trial>/gallery.png is where the report looks for them")
    elif galleries.missing:
        found.append(
            f"no gallery for trial {_few(galleries.missing)}: artifacts/<trial>/gallery.png is missing; the report "
            "shows everything else of them"
        )
    found += [f"gallery of trial {trial} cannot be read: {reason}" for trial, reason in galleries.unreadable.items()]
    if galleries.left_out:
        found.append(
            f"thumbnails of {len(galleries.left_out)} lower-ranked trials were left out to keep the report small; "
            "their galleries are loaded from the study folder"
        )
    return tuple(found)


def _few(trials: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, trials[:8]))
    return shown if len(trials) <= 8 else f"{shown} and {len(trials) - 8} more"
