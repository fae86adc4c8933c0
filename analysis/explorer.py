"""The explorer: the front in any two quantities, parallel coordinates and the table of trials, linked by script.

Drawn in the browser, because axes, filters and brushes change there. What needs no script stands here: the table of the
best trials, and where everything goes.
"""

from html import escape

import numpy as np

from analysis import tables
from analysis.figures.parallel import draw_parallel
from analysis.fronts import front_mask
from analysis.parallel import Parallel, parallel_axes
from analysis.points import Points
from analysis.records import Study
from analysis.sections import Section, place
from analysis.words import count, listing, spoken

CONTROLS = """
<div class="explorer">
<div class="controls">
<label><span>Horizontal axis</span><select id="explorer-x"></select></label>
<label><span>Vertical axis</span><select id="explorer-y"></select></label>
<label><span>Colour</span><select id="explorer-colour"></select></label>
<label class="pill"><input type="checkbox" id="explorer-intervals">95 % intervals</label>
</div>
<div class="controls">
<label><span>Trials</span><select id="explorer-kind"><option value="all">all</option>
<option value="within">within every bound</option><option value="beyond">beyond some bound</option></select></label>
<label><span>Probability of feasibility at least <output id="explorer-chance-value">0 %</output></span>
<input type="range" id="explorer-chance" min="0" max="1" step="0.05" value="0"></label>
<div class="controls" id="explorer-strata"></div>
</div>
<div class="controls">
<span id="explorer-ranges"></span>
<button type="button" class="plain" id="explorer-add">+ range of a quantity</button>
<button type="button" class="plain" id="explorer-clear">Clear filters and selections</button>
</div>
<p id="explorer-status" role="status"></p>
</div>
"""


def explorer(study: Study, points: Points, order: np.ndarray, total: int) -> Section:
    """Show the front, the parameters and the table of the trials in ``study``, of ``total`` recorded ones."""
    primary = study.schema.primary
    described = (
        f"Scatter plot of {count(len(study), 'trial')}, {int(study.feasible.sum())} feasible, "
        f"{int(front_mask(study).sum())} on the feasible front of all objectives together; the table below lists them."
    )
    caption = (
        "Colour: the probability that a trial is within every bound, from its 95 % intervals. The solid line is the "
        "front of the trials within every bound, the dotted line what could be had if nobody checked; both are those "
        "of the trials that the filters leave. Dashed: bounds. Bars: 95 % intervals. Drag to select, click a point for "
        "its faces, configuration and checks."
    )
    html = (
        "<p>Every trial, in any two quantities. Filters change the front; a selection in the figure, on a parameter or "
        "by a filter shows in all three of figure, lines and table.</p>"
        f"{_thinned(len(study), total)}<noscript><p>The explorer needs JavaScript.</p></noscript>{CONTROLS}"
        f'<figure class="chart"><div class="plot" id="plot-explorer" role="img" aria-label="{escape(described)}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
    info = parallel_axes(study, order)
    figures = {}
    if info.rows.size:
        lines = count(len(info.rows), "line")
        words = f"Parallel coordinates of {len(info.axes) - 1} parameters, {lines}, coloured by {spoken(primary)}."
        below = (
            f"One line a trial, coloured by {escape(spoken(primary))}. Solid: within every bound; dotted: beyond some "
            "bound. A parameter that a trial does not use lies on the grey band below. Drag over a part of an axis to "
            "keep the trials that pass through it; several axes narrow each other."
        )
        html += "<h3>Parameters</h3>" + place("parallel", words, below) + _left_out(info)
        figures["parallel"] = draw_parallel(info, points, primary)
    html += "<h3>Trials</h3>" + _table(study, order)
    return Section("explore", "Explore", "Explore", html, figures)


def _thinned(shown: int, total: int) -> str:
    if shown == total:
        return ""
    return (
        f'<p class="alert" role="note"><strong>{shown:,} of {total:,} trials are drawn.</strong> All that are on a '
        "front of any two quantities with a better end, the best, and an even spread of the others. Counts, curves and "
        "tables of checks further down are of all trials; the records have every one.</p>"
    )


def _table(study: Study, order: np.ndarray) -> str:
    words = (
        "<p>Feasible trials first, by the first searched objective; then the nearest misses, by their total violation "
        "of the bounds. Small numbers are 95 % intervals. A trial is on the front if no feasible trial dominates it in "
        "all objectives together. A click on a heading sorts.</p>"
    )
    if (study.replicates > 1).any():
        words += (
            "<p>Values of trials with several seeds are means over these, \u00b1 their standard error; the intervals "
            "hold the variance between seeds as well.</p>"
        )
    return words + tables.trials_table(study, order) + '<button type="button" id="trials-more" hidden></button>'


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
