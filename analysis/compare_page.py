"""The page of a comparison: one HTML file that needs no network, no server and no other file."""

from html import escape
from pathlib import Path
from string import Template

import numpy as np
from plotly.offline import get_plotlyjs

from analysis.compare import Comparison
from analysis.figures import comparison as drawing
from analysis.figures.hypervolume import draw_hypervolume
from analysis.report import asset, figure_data, json_block, page_script, section
from analysis.sections import Section, place
from analysis.tables import table
from analysis.words import count, interval, listing, number, share, short_label

MOST_SETTINGS = 80
"""Rows of the table of differing settings."""


def build_page(found: Comparison) -> str:
    """Return the page."""
    parts = (_reached(found), _search(found), _costs(found), _settings(found))
    names = [item.name for item in found.studies]
    trials = count(sum(len(item.study) for item in found.studies), "trial")
    head = (
        '<p class="kicker">What the privacy checks noticed</p>'
        f"<h1>{count(len(names), 'study').replace('studys', 'studies')} side by side</h1>"
        f'<p class="lead">{escape(listing(names))}: {trials}, compared in '
        f"{escape(listing([short_label(item) for item in found.objectives]))}.</p>{_alerts(found)}"
    )
    return Template(asset("report.html")).substitute(
        title=escape(f"{len(names)} studies side by side"),
        style=asset("report.css"),
        plotly=get_plotlyjs(),
        script=page_script("compare"),
        head=head,
        live="",
        connect="'none'",
        navigation="".join(f'<a href="#{part.anchor}">{escape(part.short)}</a>' for part in parts),
        body="".join(section(part) for part in parts),
        figures=json_block("figures", {n: figure_data(item) for part in parts for n, item in part.figures.items()}),
        data="",
    )


def write_comparison(found: Comparison, output: Path) -> None:
    """Write the page to ``output``, whose folder is made if missing.

    Raises:
        OSError: If the file cannot be written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(build_page(found), encoding="utf-8")


def _alerts(found: Comparison) -> str:
    notes = []
    if found.left_out:
        notes.append(f"Not compared, because only some of the studies have them: {listing(list(found.left_out))}.")
    without = [item.name for item in found.studies if not item.feasible]
    if without:
        notes.append(f"Without a feasible trial: {listing(without)}.")
    bounds = {
        item.name: tuple(sorted((c.check, c.text) for c in item.study.schema.constraints)) for item in found.studies
    }
    if len(set(bounds.values())) > 1:
        notes.append(
            "The studies have different checks or bounds, so feasible does not mean the same in all of them: "
            + "; ".join(f"{name}: {', '.join(text for _, text in own) or 'none'}" for name, own in bounds.items())
            + "."
        )
    return "".join(f'<div class="alert" role="note">{escape(text)}</div>' for text in notes)


def _reached(found: Comparison) -> Section:
    rows = []
    for item in found.studies:
        cells = [f"<strong>{escape(item.name)}</strong>", str(len(item.study))]
        cells.append(
            f"{item.feasible} <small>({share(item.feasible, len(item.study))}; "
            f"{number(item.feasible_low, 2)} to {number(item.feasible_high, 2)})</small>"
        )
        for index in range(len(found.objectives)):
            spread = interval(float(item.best_low[index]), float(item.best_high[index]))
            trial = "" if item.best[index] is None else f"trial {item.best[index]}"
            cells.append(f"{number(float(item.best_value[index]))} <small>{spread}<br>{trial}</small>")
        volume = float(item.curve.volume[-1])
        cells.append(f"{number(volume)} <small>{number(item.volume_low)} to {number(item.volume_high)}</small>")
        rows.append(cells)
    headers = ["Study", "Trials", "Feasible <small>(share, 95 % interval)</small>"]
    headers += [f"Best feasible {escape(short_label(item))} <small>95 % interval</small>" for item in found.objectives]
    headers += ["Feasible hypervolume <small>range</small>"]
    html = (
        "<p>Each best value is the best of many trials by estimate, so it looks better than it is, and the more so the "
        "more trials a study had; its interval is that of the one measurement. The range of a hypervolume takes the "
        "worse ends of all intervals and only trials that are feasible with a probability of at least 0.975, then the "
        "better ends and all with at least 0.025.</p>" + table("What each study reached", headers, rows)
    )
    html += place("best", "Best feasible values and share of feasible trials by study.", "Dots with 95 % intervals.")
    figures = {"best": drawing.draw_best(found)}
    if len(found.objectives) > 1:
        html += "<h3>Feasible fronts</h3>" + place(
            "fronts", "Feasible fronts of the studies.", "The front of each study's feasible trials, with intervals."
        )
        figures["fronts"] = drawing.draw_joint_fronts(found)
    return Section("reached", "Reached", "What each study reached", html, figures)


def _search(found: Comparison) -> Section:
    names = listing([short_label(item) for item in found.box.objectives])
    html = (
        f"<p>The share of one range that feasible trials dominate: the range of {escape(names)} over all trials of all "
        "studies together. A study that was run once says little of its sampler: another seed gives another curve.</p>"
    )
    ends = "; ".join(f"{item.name} {number(float(item.curve.volume[-1]))}" for item in found.studies)
    html += place("hypervolume", f"Feasible hypervolume over trials and device hours. {ends}.", "Higher is better.")
    curves = {item.name: item.curve for item in found.studies}
    return Section("search", "Search", "Feasible hypervolume", html, {"hypervolume": draw_hypervolume(curves)})


def _costs(found: Comparison) -> Section:
    html = place("outcomes", "Outcomes by study.", "How the trials ended; the numbers are trials.")
    html += place("seconds", "Seconds a trial by study.", "Median, quartiles and range of the time that a trial took.")
    rows = []
    for item in found.studies:
        known = item.study.seconds[np.isfinite(item.study.seconds)]
        median = number(float(np.median(known)), 1) if known.size else number(None)
        hours = number(float(item.curve.hours[-1]))
        rows.append([f"<strong>{escape(item.name)}</strong>", median, f"{hours} {item.curve.device} hours"])
    html += table("Time", ["Study", "Median of a trial <small>[s]</small>", "All trials"], rows)
    figures = {"outcomes": drawing.draw_outcome_shares(found), "seconds": drawing.draw_seconds(found)}
    return Section("costs", "Outcomes and time", "Outcomes and time", html, figures)


def _settings(found: Comparison) -> Section:
    if not found.settings:
        html = '<p class="empty">The configurations do not differ in anything that could change a result.</p>'
        return Section("settings", "Settings", "What differs", html)
    rows = [
        [f"<code>{escape(name)}</code>", *(f"<td>{escape(value)}</td>" for value in values)]
        for name, values in found.settings[:MOST_SETTINGS]
    ]
    headers = ["Setting", *(escape(item.name) for item in found.studies)]
    html = table("Settings of config.yaml that are not the same in all studies", headers, rows)
    rest = len(found.settings) - MOST_SETTINGS
    html += f'<p class="note">{rest} further settings differ.</p>' if rest > 0 else ""
    return Section("settings", "Settings", "What differs", html)
