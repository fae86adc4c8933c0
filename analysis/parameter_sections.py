"""The section on parameters: which of them matter for what, slices through single ones and contours over two."""

from html import escape

from analysis.figures.importance import draw_importance
from analysis.importance import SHUFFLES, SIGNIFICANT, Importance
from analysis.sections import Section, place
from analysis.words import number

SLICES = """
<h3>Slices and contours</h3>
<p>The trials that the filters under \u201cExplore\u201d leave. Lines and surfaces are local averages (a Gaussian
kernel, 0.12 of the axis wide), drawn where there are trials to average: they show what was seen, with all that the
other parameters did, and predict nothing.</p>
<div class="explorer"><div class="controls">
<label><span>Quantity</span><select id="parameters-target"></select></label>
</div></div>
<figure class="chart"><div class="plot" id="plot-slices" role="img" aria-label="Scatter plots of the quantity chosen
against each parameter that varies, most important first."></div>
<figcaption>One panel a parameter, most important first. Filled: within every bound; open: beyond some bound.
</figcaption></figure>
"""
CONTOURS = """
<div class="explorer"><div class="controls">
<label><span>Parameter across</span><select id="contours-one"></select></label>
<label><span>Parameter up</span><select id="contours-two"></select></label>
</div></div>
<figure class="chart"><div class="plot" id="plot-contours" role="img" aria-label="Contours of the quantity chosen over
two parameters, with the trials as points."></div>
<figcaption>The same quantity over two parameters; white: no trial nearby.</figcaption></figure>
"""


def parameters(found: Importance, *, numeric: int) -> Section:
    """Show importances, slices and contours.

    Args:
        found: Importances.
        numeric: Numeric parameters that vary; contours need two.
    """
    html, figures = "", {}
    if found.parameters:
        best = [
            f"{name} for {target} ({number(float(found.share[i, j]), 2)})"
            for i, name in enumerate(found.parameters)
            for j, target in enumerate(found.targets)
            if found.p_value[i, j] <= SIGNIFICANT and found.share[i, j] > 0
        ]
        words = "Table of importances. " + ("; ".join(best) if best else "None beyond chance") + "."
        cells = int((found.p_value <= SIGNIFICANT).sum()), int((found.p_value == found.p_value).sum())
        html += (
            "<p>How much of the differences between trials one parameter explains, for each objective and each check: "
            "its share of the variance within the strata, beyond what chance explains. Strata are judged over all "
            "trials, a parameter of one family by that family's trials.</p>"
            + place(
                "importance",
                words,
                f"Numbers in brackets are no more than chance gives: fewer than {100 * (1 - SIGNIFICANT):.0f} % of "
                f"{SHUFFLES} shuffles of the target stay below. Of {cells[1]} cells {cells[0]} stand out; "
                f"{number(SIGNIFICANT * cells[1], 1)} would by luck alone.",
            )
        )
        figures["importance"] = draw_importance(found)
    else:
        html += '<p class="empty">Too few trials, or no parameter that varies: importances cannot be told.</p>'
    html += SLICES + (CONTOURS if numeric >= 2 else '<p class="note">Contours need two numeric parameters.</p>')
    return Section("parameters", "Parameters", escape("What matters"), html, figures)
