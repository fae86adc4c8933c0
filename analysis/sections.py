"""The sections of the report: figures, tables and the words between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import numpy as np
import plotly.graph_objects as go

from analysis import check_tables, strata_tables, tables
from analysis.checks import summarise_checks
from analysis.controls import summarise_controls
from analysis.figures.fronts import draw_fronts
from analysis.figures.margins import draw_margins
from analysis.figures.parallel import draw_parallel
from analysis.figures.progress import draw_progress
from analysis.figures.strata import draw_strata
from analysis.fronts import Front, StrataGrid, family_fronts, joint_fronts, strata_grids
from analysis.gallery import Galleries
from analysis.parallel import Parallel, parallel_axes
from analysis.points import Points
from analysis.progress import search_progress
from analysis.records import Study
from analysis.summary import guess_value
from analysis.words import count, listing, metric_label, number, plain, short_label, spoken


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
    """Show the best feasible trial, or the nearest miss: its pictures, its configuration, its checks."""
    trial = int(study.trial[row])
    kind = "best within every bound" if feasible else "nearest to being within every bound"
    html = (
        f"<p>Trial {tables.trial_button(trial)} is the {kind}. Select any point, line or trial number in this report "
        f'to see the same for it.</p><div class="finding"><div>{_picture(galleries, trial)}'
        f'{tables.configuration_table(study, row)}</div><div class="bullets" data-checks-of="{trial}"></div></div>'
    )
    title = "Best trial" if feasible else "Nearest trial"
    return Section("finding", title, title, html)


def _picture(galleries: Galleries, trial: int) -> str:
    picture = galleries.embedded.get(trial)
    if picture is None:
        return f'<p class="empty">There is no gallery for trial {trial}.</p>'
    return (
        f'<figure class="gallery"><img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="Gallery of trial {trial}; a row an image, the columns are named in the picture"><figcaption>A row a '
        "test image; the columns are named above them.</figcaption></figure>"
    )


def fronts(study: Study, points: Points) -> Section:
    """Show the joint fronts, one front a family, and what each combination of strata achieved."""
    joint, families = joint_fronts(study), family_fronts(study)
    if not joint:
        html = '<p class="empty">The study has one objective, so there is no front to draw.</p>'
        return Section("front", "Pareto front", "Pareto front", html + strata_tables.strata_tables(study))
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
    for grid in strata_grids(study):
        name = f"front-strata-{next(iter(grid.panels.values())).x.name}"
        html += _strata_heading(study, first=len(figures) == 2) + place(name, _grid_text(grid), _grid_caption(study))
        figures[name] = draw_strata(grid, points)
    return Section("front", "Pareto front", "Pareto front", html + strata_tables.strata_tables(study), figures)


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


def checks(study: Study, points: Points) -> Section:
    """Show each check against its bound."""
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
    return Section("checks", "Checks", title, html, {"margins": draw_margins(study, found, points)})


def search(study: Study, points: Points) -> Section:
    """Show the best feasible value over trials."""
    primary = study.schema.primary
    progress = search_progress(study)
    final = progress.best[-1]
    words = f"ends at {number(float(final))}" if np.isfinite(final) else "never starts: no trial was feasible"
    caption = (
        "Every finished trial, and the best feasible value so far. Trials without a measured value take a place on the "
        "x axis and show no point."
    )
    described = f"Running best of {spoken(primary)} among feasible trials, in order of completion; it {words}."
    guess = guess_value(study)
    drawn = draw_progress(progress, points, primary, None if np.isnan(guess) else guess)
    return Section(
        "progress", "Progress", "Best feasible over trials", place("progress", described, caption), {"progress": drawn}
    )


def parameters(study: Study, points: Points, order: np.ndarray) -> Section:
    """Show parameters on parallel axes."""
    info = parallel_axes(study, order)
    if not info.rows.size:
        html = '<p class="empty">No trial has a measured objective.</p>'
        return Section("parameters", "Parameters", "Parameters", html)
    primary = study.schema.primary
    lines = count(len(info.rows), "line")
    described = f"Parallel coordinates of {len(info.axes) - 1} parameters, {lines}, coloured by {spoken(primary)}."
    caption = (
        f"One line a trial, coloured by {escape(spoken(primary))}. Solid: within every bound; dotted: beyond some "
        "bound. A parameter that a trial does not use lies on the grey band below."
    )
    html = place("parallel", described, caption) + _left_out(info)
    return Section("parameters", "Parameters", "Parameters", html, {"parallel": draw_parallel(info, points, primary)})


def _left_out(info: Parallel) -> str:
    notes = []
    if info.constant:
        fixed = [f"<code>{escape(name)}</code> = {escape(value)}" for name, value in info.constant]
        notes.append(f"The same in all trials shown: {listing(fixed)}.")
    if info.without_value:
        notes.append(f"Not drawn: {count(info.without_value, 'trial')} without a measured objective.")
    if info.thinned:
        notes.append(f"Not drawn: the {info.thinned} lowest-ranked trials.")
    return f'<p class="note">{" ".join(notes)}</p>' if notes else ""


def trials(study: Study, order: np.ndarray) -> Section:
    """Show the table of the best."""
    rest = len(order) - tables.MOST_ROWS
    more = f'<p class="note">{count(rest, "lower-ranked trial")} not listed.</p>' if rest > 0 else ""
    html = (
        "<p>Feasible trials first, by the first searched objective; then the nearest misses, by their worst margin. "
        "Small numbers are 95 % intervals. A trial is on the front if no feasible trial dominates it in all objectives "
        "together.</p>"
    )
    if (study.replicates > 1).any():
        html += (
            "<p>Values of trials with several seeds are means over these, \u00b1 their standard error; the intervals "
            "hold the variance between seeds as well.</p>"
        )
    return Section("trials", "Trials", "Trials", html + tables.trials_table(study, order) + more)


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
