"""Draw how trials ended over the course of a study."""

import numpy as np
import plotly.graph_objects as go

from analysis.figures.theme import FEASIBLE, INFEASIBLE, figure
from analysis.outcomes import OutcomesOverTime
from analysis.words import escape_plotly, plain

COLOURS = {
    "ok": FEASIBLE,
    "infeasible": INFEASIBLE,
    "stopped_early": "#E69F00",
    "check_missing": "#CC79A7",
    "objective_missing": "#8a5a83",
    "diverged": "#3d4852",
    "out_of_memory": "#7b8794",
    "preempted": "#b8c4ce",
    "crashed": "#000000",
}


def draw_outcomes(found: OutcomesOverTime) -> go.Figure:
    """Draw stacked bars, a bar a step, as shares of the trials of that step."""
    drawn = figure(300, margin={"l": 70, "r": 24, "t": 60, "b": 60})
    widths = np.diff(np.concatenate(([0], found.ends)))
    starts = found.ends - widths
    for name, counts in found.counts.items():
        drawn.add_trace(
            go.Bar(
                x=starts + widths / 2 + 0.5,
                y=counts / widths,
                width=widths * 0.94,
                name=escape_plotly(plain(name)),
                marker={"color": COLOURS.get(name, "#8a94a0"), "line": {"width": 0}},
                customdata=np.stack([counts, starts + 1, found.ends], axis=1).tolist(),
                hovertemplate=f"<b>{escape_plotly(plain(name))}</b>: %{{customdata[0]}} of the trials "
                "%{customdata[1]} to %{customdata[2]}<extra></extra>",
            )
        )
    drawn.update_layout(barmode="stack", bargap=0, legend={"traceorder": "normal"})
    drawn.update_xaxes(title_text="Trials finished, in order of completion [count]", rangemode="tozero")
    drawn.update_yaxes(title_text="Share of trials", range=[0, 1], tickformat=".0%")
    return drawn
