"""The sections of the report: figures, tables and the words between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import plotly.graph_objects as go

from analysis import check_tables, strata_tables, tables
from analysis.checks import summarise_checks
from analysis.controls import summarise_controls
from analysis.figures.fronts import draw_fronts
from analysis.figures.margins import draw_margins
from analysis.figures.strata import draw_strata
from analysis.fronts import Front, StrataGrid, family_fronts, joint_fronts, strata_grids
from analysis.gallery import Galleries
from analysis.points import Points
from analysis.records import Study
from analysis.words import count, listing, metric_label, plain, short_label


@dataclass(frozen=True)
class Section:
    """One section: HTML with a place for each figure, and the figures by the name of their place."""

    anchor: str
    short: str
    """Title in the navigation."""
    title: str
    html: str
    figures: Mapping[str, go.Figure] = field(default_factory=dict)


def finding(study: Study, galleries: Galleries, row: int, *, feasible: bool) -> Section:
    """Show the best feasible trial, or the nearest misses: pictures, configuration, checks."""
    trial = int(study.trial[row])
    kind = "best within every bound" if feasible else "nearest to being within every bound"
    html = (
        f"<p>Trial {tables.trial_button(trial)} is the {kind}. Select any point, line or trial number in this report "
        f'to see the same for it.</p><div class="finding"><div>{_picture(galleries, trial)}'
        f'{tables.configuration_table(study, row)}</div><div class="bullets" data-checks-of="{trial}"></div></div>'
    )
    if not feasible:
        html = tables.nearest_table(study) + html
    title = "Best trial" if feasible else "Nearest trials"
    return Section("finding", title, title, html)


def _picture(galleries: Galleries, trial: int) -> str:
    picture = galleries.whole
    if picture is None:
        return f'<p class="empty">There is no gallery for trial {trial}.</p>'
    return (
        f'<figure class="gallery"><img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="Gallery of trial {trial}; a row an image, the columns are named in the picture"><figcaption>A row a '
        "test image; the columns are named above them.</figcaption></figure>"
    )


def fronts(study: Study, shown: Study, points: Points) -> Section:
    """Show the joint fronts, one front a family, and what each combination of strata achieved.

    Tables are of all trials, points of those in ``shown``, which holds every one that is on a front.
    """
    joint, families = joint_fronts(shown), family_fronts(shown)
    achieved = strata_tables.strata_tables(study)
    if not joint:
        html = '<p class="empty">The study has one objective, so there is no front to draw.</p>'
        return Section("front", "Fronts", "Pareto fronts", html + achieved)
    html = (
        f"<p>{escape(joint[0].y.label)} against the other objectives. The solid line is the front of trials within "
        "every bound; the dotted line is what could be had if nobody checked. A star is the honest baseline, and what "
        "anyone can guess.</p>"
    )
    caption = "All trials. Filled: within every bound; crossed: beyond some bound; ringed: on the feasible front."
    html += place("front-joint", _front_text(joint), caption)
    figures = {"front-joint": draw_fronts(joint, points)}
    if families:
        names = dict.fromkeys(front.title for front in families)
        html += f"<h3>One front a {escape(plain(study.strata[0].rpartition('.')[2]))}</h3>"
        html += _family_notes(families)
        html += place("front-families", _front_text(families), f"Rows: {escape(', '.join(names))}. Axes are shared.")
        figures["front-families"] = draw_fronts(families, points)
    for grid in strata_grids(shown):
        name = f"front-strata-{next(iter(grid.panels.values())).x.name}"
        html += _strata_heading(study, first=len(figures) == 2) + place(name, _grid_text(grid), _grid_caption(study))
        figures[name] = draw_strata(grid, points)
    return Section("front", "Fronts", "Pareto fronts", html + achieved, figures)


def _strata_heading(study: Study, *, first: bool) -> str:
    names = [plain(name.rpartition(".")[2]) for name in study.strata]
    return f"<h3>One front a combination of {escape(listing(names))}</h3>" if first else ""


def _grid_text(grid: StrataGrid) -> str:
    return _front_text(tuple(grid.panels.values()))


def _grid_caption(study: Study) -> str:
    last = plain(study.strata[-1].rpartition(".")[2])
    return (
        f"Columns: {escape(last)}. Filled: within every bound; crossed: beyond some bound. Axes are shared; a place "
        "without a panel is a combination that no trial had."
    )


def _family_notes(families: tuple[Front, ...]) -> str:
    notes = {front.title: front.note for front in families if front.note}
    items = "".join(f"<li><strong>{escape(title)}</strong>: {escape(note)}.</li>" for title, note in notes.items())
    return f"<ul>{items}</ul>" if items else ""


def _front_text(panels: tuple[Front, ...]) -> str:
    parts = [
        f"{short_label(panel.y)} against {short_label(panel.x)}, {panel.title}: {count(len(panel.rows), 'point')}, "
        f"{int(panel.feasible.sum())} feasible, {len(panel.front)} on the feasible front"
        + (f" ({panel.note})" if panel.note else "")
        for panel in panels
    ]
    return "Scatter plots. " + "; ".join(parts) + "."


def checks(study: Study, shown: Study, points: Points) -> Section:
    """Show each check against its bound: counts of all trials, points of those in ``shown``."""
    found = summarise_checks(study)
    title = "Checks against their bounds"
    if not found:
        return Section("checks", "Checks", title, '<p class="empty">The study has no check.</p>')
    counts = [
        f"{metric_label(c.constraint.check)}: {c.passed} trials within the bound, {c.stopped} beyond" for c in found
    ]
    html = (
        "<p>Margins are the search's estimates; verdicts are judged by 95 % intervals, and may say that there was too "
        "little data. Of several adversaries behind one check, the worst that has a vote counts.</p>"
    )
    caption = "One point a trial and check. Left of the line the check does not notice, right of it it does."
    html += place("margins", "Strip plot of margins by check. " + "; ".join(counts), caption)
    html += check_tables.checks_table(study, found)
    return Section("checks", "Checks", title, html, {"margins": draw_margins(shown, summarise_checks(shown), points)})


def controls(study: Study) -> Section:
    """Show what the checks were calibrated on."""
    found = summarise_controls(study)
    if not found:
        html = (
            '<p class="alert"><strong>No controls recorded.</strong> Nothing shows that the checks of this study can '
            "see anything at all.</p>"
        )
        return Section("controls", "Controls", "Controls", html)
    failed = sum(not item.sound for item in found)
    stated = (
        f"{failed} of {count(len(found), 'control')} failed in some trial: the adversary concerned had no vote there."
        if failed
        else f"All {count(len(found), 'control')} passed in every trial."
    )
    html = f"<p>An adversary that misses material with a known answer may not vote. {stated}</p>"
    return Section("controls", "Controls", "Controls", html + check_tables.controls_table(found))


def place(name: str, alternative: str, caption: str) -> str:
    """Return the place of a figure; ``alternative`` describes it for those who cannot see it, ``caption`` is HTML."""
    return (
        f'<figure class="chart"><div class="plot" id="plot-{name}" data-figure="{name}" role="img" '
        f'aria-label="{escape(alternative)}"></div><figcaption>{caption}</figcaption></figure>'
    )
