"""Draw small multiples: the front of every combination of strata, in one pair of objectives with shared axes."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures.canvas import Canvas
from analysis.figures.theme import FEASIBLE, INFEASIBLE, INK, MUTED, style
from analysis.fronts import Front, StrataGrid
from analysis.points import Points
from analysis.words import axis_title, escape_plotly

ROW_HEIGHT = 165
"""Height of a row of panels, in pixels."""
GAP = 0.1
"""Space between panels, as part of a panel with its space."""


def draw_strata(grid: StrataGrid, points: Points) -> go.Figure:
    """Draw a grid; a combination without trials leaves its place empty, one without measured values says so."""
    rows, columns = len(grid.row_names), len(grid.column_names)
    some = next(iter(grid.panels.values()))
    drawn = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all",
        shared_yaxes="all",
        specs=[[{} if (i, j) in grid.panels else None for j in range(columns)] for i in range(rows)],
        horizontal_spacing=GAP / columns,
        vertical_spacing=GAP / rows,
        x_title=axis_title(some.x).replace("<br>", " · "),
        y_title=axis_title(some.y, short=True).replace("<br>", " · "),
    )
    style(drawn, 190 + ROW_HEIGHT * rows)
    drawn.update_layout(margin={"l": 84, "r": 130, "t": 70, "b": 76})
    shown: set[str] = set()
    canvas = Canvas(drawn)
    for (i, j), front in grid.panels.items():
        _draw_panel(canvas, front, points, i + 1, j + 1, shown)
    _name_rows_and_columns(canvas, grid)
    canvas.finish()
    return drawn


def _draw_panel(canvas: Canvas, front: Front, points: Points, row: int, column: int, shown: set[str]) -> None:
    place = {"row": row, "col": column}
    for feasible in (False, True):
        chosen = np.flatnonzero(front.feasible == feasible)
        colour, symbol = (FEASIBLE, "circle") if feasible else (INFEASIBLE, "x-thin-open")
        if not chosen.size and not (feasible and not len(front.rows)):
            continue
        trace = go.Scatter(
            x=front.xs[chosen],
            y=front.ys[chosen],
            mode="markers",
            marker={"symbol": symbol, "color": colour, "size": 7, "line": {"width": 1.5}},
            customdata=[int(points.trial[number]) for number in front.rows[chosen]],
            hovertext=[points.hover[number] for number in front.rows[chosen]],
            hovertemplate="%{hovertext}<extra></extra>",
            **_once(shown, "feasible" if feasible else "infeasible"),
        )
        canvas.trace(trace, **place)
    if front.front.size:
        xs, ys = front.xs[front.front].tolist(), front.ys[front.front].tolist()
        if not front.x.maximise:  # what one can have, one can have at more leakage as well
            xs, ys = [*xs, float(front.xs[front.feasible].max())], [*ys, ys[-1]]
        line = {"color": FEASIBLE, "width": 1.8, "shape": "vh" if front.x.maximise else "hv"}
        entry = _once(shown, "feasible front")
        canvas.trace(go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", **entry), **place)
    for bound in front.bounds:
        canvas.vline(bound.at, line={"color": INFEASIBLE, "width": 1, "dash": "dash"}, opacity=0.6, **place)
    text = f"{int(front.feasible.sum())} of {len(front.rows)} feasible" if len(front.rows) else "none measured"
    canvas.write(
        x=0.98,
        y=0.02,
        xref="domain",
        yref="domain",
        xanchor="right",
        yanchor="bottom",
        text=text,
        font={"size": 10.5, "color": MUTED},
        bgcolor="rgba(255,255,255,0.7)",
        **place,
    )


def _name_rows_and_columns(canvas: Canvas, grid: StrataGrid) -> None:
    """Write names at the edges of the figure; plotly's own titles would vanish with an empty panel."""
    rows, columns = len(grid.row_names), len(grid.column_names)
    bold: dict[str, Any] = {"xref": "paper", "yref": "paper", "font": {"size": 12.5, "color": INK}}
    for j, name in enumerate(grid.column_names):
        x = _centre(j, columns)
        canvas.write(x=x, y=1.0, xanchor="center", yanchor="bottom", text=f"<b>{escape_plotly(name)}</b>", **bold)
    for i, name in enumerate(grid.row_names):
        text = f"<b>{'<br>'.join(escape_plotly(part) for part in name.split(' · '))}</b>"
        y = 1 - _centre(i, rows)
        canvas.write(x=1.008, y=y, xanchor="left", yanchor="middle", align="left", text=text, **bold)


def _centre(index: int, amount: int) -> float:
    """Return where the middle of a row or column of panels is, as part of the figure."""
    gap = GAP / amount
    width = (1 - gap * (amount - 1)) / amount
    return index * (width + gap) + width / 2


def _once(shown: set[str], name: str) -> dict[str, object]:
    first = name not in shown
    shown.add(name)
    return {"name": name, "legendgroup": name, "showlegend": first}
