"""Draw the importance of parameters as a table of colours: a row a parameter, a column an objective or check."""

import numpy as np
import plotly.graph_objects as go

from analysis.figures.canvas import Canvas
from analysis.figures.theme import INK, figure
from analysis.importance import SIGNIFICANT, Importance
from analysis.words import escape_plotly, number

COLOURS = ((0.0, "#ffffff"), (0.25, "#cfe3f1"), (0.6, "#5fa3cf"), (1.0, "#0b5c94"))
TITLE_LINE = 16
"""Letters of a column's title before it is broken."""


def draw_importance(found: Importance) -> go.Figure:
    """Draw shares; those that chance explains as well are left white and their number is in brackets.

    Raises:
        ValueError: If no parameter could be judged.
    """
    if not found.parameters:
        raise ValueError("no parameter could be judged")
    stands = found.p_value <= SIGNIFICANT
    drawn = figure(150 + 34 * len(found.parameters), margin={"l": 260, "r": 20, "t": 96, "b": 16})
    names = [escape_plotly(name) for name in found.parameters]
    targets = [_broken(name) for name in found.targets]
    drawn.add_trace(
        go.Heatmap(
            z=np.where(stands, found.share, np.where(np.isnan(found.share), np.nan, 0.0)),
            x=targets,
            y=names,
            zmin=0.0,
            zmax=1.0,
            colorscale=[list(stop) for stop in COLOURS],
            xgap=2,
            ygap=2,
            showscale=False,
            hoverongaps=False,
            text=[[_hover(found, i, j) for j in range(len(targets))] for i in range(len(names))],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    canvas = Canvas(drawn, panels=False)
    for i, name in enumerate(names):
        for j, target in enumerate(targets):
            share = float(found.share[i, j])
            if np.isnan(share):
                continue
            sure = bool(stands[i, j])
            text = f"<b>{number(share, 2)}</b>" if sure else f"({number(share, 2)})"
            colour = "#ffffff" if sure and share > 0.55 else INK if sure else "#7b8794"
            canvas.write(x=target, y=name, text=text, font={"size": 12, "color": colour})
    canvas.finish()
    drawn.update_xaxes(side="top", showgrid=False, showline=False, ticks="", tickangle=0, automargin=False)
    drawn.update_yaxes(autorange="reversed", showgrid=False, showline=False, ticks="")
    return drawn


def _hover(found: Importance, i: int, j: int) -> str:
    share, p_value = float(found.share[i, j]), float(found.p_value[i, j])
    head = f"<b>{escape_plotly(found.parameters[i])}</b><br>{escape_plotly(found.targets[j])}"
    if np.isnan(share):
        return f"{head}<br>the target does not vary"
    explained = f"explains {number(share, 2)} of the variance beyond chance"
    return f"{head}<br>{explained}<br>p = {number(p_value)}, {found.trials[i]} trials"


def _broken(text: str) -> str:
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + len(word) < TITLE_LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "<br>".join(escape_plotly(line) for line in lines)
