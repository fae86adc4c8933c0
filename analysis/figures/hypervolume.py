"""Draw the feasible hypervolume of one study or of several, over trials and over device hours."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures.theme import DASHES, LINES, style
from analysis.hypervolume import VolumeCurve
from analysis.words import escape_plotly


def draw_hypervolume(curves: dict[str, VolumeCurve]) -> go.Figure:
    """Draw curves side by side: over trials finished on the left, over device hours on the right.

    Args:
        curves: By name of the study; one of a report, several of a comparison.

    Raises:
        ValueError: If there is no curve.
    """
    if not curves:
        raise ValueError("there is no curve to draw")
    drawn = make_subplots(rows=1, cols=2, shared_yaxes="all", horizontal_spacing=0.06)
    style(drawn, 400 + 14 * max(0, len(curves) - 4))
    for index, (name, curve) in enumerate(curves.items()):
        line: dict[str, Any] = {"color": LINES[index % len(LINES)], "width": 2.6, "shape": "hv"}
        line["dash"] = "solid" if index < len(LINES) else DASHES[index % len(DASHES)]
        entry = {"name": escape_plotly(name), "legendgroup": str(index), "mode": "lines", "line": line}
        for column, xs, words in ((1, curve.trials, "after %{x} trials"), (2, curve.hours, "after %{x:.3g} hours")):
            text = f"{escape_plotly(name)}<br>{words}: %{{y:.3f}}<extra></extra>"
            shown = column == 1 and len(curves) > 1
            drawn.add_trace(
                go.Scatter(x=xs, y=curve.volume, hovertemplate=text, showlegend=shown, **entry), row=1, col=column
            )
    devices = sorted({curve.device for curve in curves.values()})
    drawn.update_xaxes(title_text="Trials finished [count]", rangemode="tozero", row=1, col=1)
    drawn.update_xaxes(title_text=f"Time of trials [{' or '.join(devices)} hours]", rangemode="tozero", row=1, col=2)
    drawn.update_yaxes(rangemode="tozero")
    drawn.update_yaxes(title_text="Feasible hypervolume [share of the range]<br><i>higher is better</i>", row=1, col=1)
    return drawn
