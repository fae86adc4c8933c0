"""The section of the report on laundering: one figure, one table, and which step silences whom."""

from collections.abc import Iterable
from html import escape

import numpy as np

from analysis.errors import AnalysisError
from analysis.figures.laundering import draw_laundering
from analysis.laundering import UNTOUCHED, Group, load_laundering, step_words, steps_of
from analysis.records import Study
from analysis.sections import Section, place
from analysis.tables import table
from analysis.words import count, listing, number


def laundering(study: Study) -> tuple[Section, ...]:
    """Show what a buyer can do against hidden content; no section where nothing was laundered."""
    title = "What laundering leaves of the secret"
    try:
        groups = load_laundering(study.folder)
    except AnalysisError as error:
        return (Section("laundering", "Laundering", title, f'<p class="alert">{escape(str(error))}.</p>'),)
    if not groups:
        return ()
    trials = [trial for group in groups for trial in group.trials]
    html = (
        f"<p>What a buyer could do to released images without knowing of a secret, on {count(len(trials), 'trial')}. "
        "After every step the subverter reads what is left with its own extractor and key; a classifier trained on "
        "originals says what is left of the expression. A step silences a subverter if it reads no more than a guess "
        f"would give, by the 95 % interval.</p><ul>{''.join(map(_finding, groups))}</ul>"
    )
    names = listing([group.name for group in groups])
    described = (
        f"Scatter plots of secret accuracy left against expression accuracy lost, a panel each for {names}; "
        + "; ".join(_described(group) for group in groups)
        + "."
    )
    caption = (
        "A point is a trial after a step. The line joins the steps that no other undercuts in both; dashed: what a "
        "guess reaches."
    )
    html += place("laundering", described, caption) + _table(groups)
    figures = {"laundering": draw_laundering(groups)}
    return (Section("laundering", "Laundering", title, html, figures),)


def _finding(group: Group) -> str:
    step = group.cheapest_silencing()
    if step is None:
        text = "no step tried silences it"
    elif step == UNTOUCHED:
        text = "it is silent as released"
    else:
        lost = float(np.mean([point.expression_lost for point in group.of(step)]))
        text = f"{step_words(step)} silences it, at {number(lost)} of expression accuracy"
    return f"<li><strong>{escape(group.name)}</strong>: {escape(text)}.</li>"


def _described(group: Group) -> str:
    return f"{group.name}: {count(len(group.points), 'point')}, {len(group.front)} on the buyer's front"


def _table(groups: tuple[Group, ...]) -> str:
    headers = ["Step", "Expression accuracy lost", "PSNR to the release <small>[dB]</small>"]
    headers += [f"Secret accuracy, {escape(group.name)}" for group in groups]
    rows = []
    for step in steps_of(groups):
        points = [point for group in groups for point in group.of(step)]
        cells = [escape(step_words(step)), _median(point.expression_lost for point in points)]
        cells.append(_median(point.released_psnr for point in points))
        cells += [_median(point.secret_accuracy for point in group.of(step)) for group in groups]
        rows.append(cells)
    return table("What each step costs, and what it leaves; medians over trials", headers, rows)


def _median(values: Iterable[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return number(float(np.median(known)) if known else None)
