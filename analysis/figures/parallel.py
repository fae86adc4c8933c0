"""Draw parameters on parallel axes, one line a trial, coloured by the objective.

Drawn as ordinary lines, not as plotly's own parallel coordinates: those can show neither an inactive parameter nor a
dashed line, answer no click, and need WebGL.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from analysis.figures.canvas import Canvas
from analysis.figures.theme import GRID, INK, MUTED, SCALE, figure
from analysis.parallel import INACTIVE, Axis, Parallel
from analysis.points import Points
from analysis.records import Floats
from analysis.schema import Objective
from analysis.words import direction_text, escape_plotly, objective_unit, short_label

SHADES = len(SCALE)
"""Lines of one shade share a trace, so that hundreds of trials stay quick to draw."""


def draw_parallel(info: Parallel, points: Points, objective: Objective) -> go.Figure:
    """Draw the lines, axes and ticks.

    Raises:
        ValueError: If there is no trial to draw.
    """
    if info.rows.size == 0:
        raise ValueError("no trial has a measured objective, so there is nothing to draw")
    drawn = figure(500, margin={"l": 60, "r": 110, "t": 112, "b": 8})
    shades, low, high = _shades(info.values)
    for feasible in (False, True):
        for shade in range(SHADES):
            chosen = np.flatnonzero((info.feasible == feasible) & (shades == shade))
            if chosen.size:
                _draw_lines(drawn, info, points, chosen, SCALE[shade], feasible)
    canvas = Canvas(drawn, panels=False)
    _draw_axes(canvas, info.axes)
    canvas.finish()
    _draw_legend(drawn, objective, low, high)
    drawn.update_layout(meta={"axes": [axis.name for axis in info.axes]})
    drawn.update_xaxes(visible=False, range=[-0.35, len(info.axes) - 0.65])
    drawn.update_yaxes(visible=False, range=[INACTIVE - 0.07, 1.04])
    return drawn


def _shades(values: Floats) -> tuple[np.ndarray, float, float]:
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.full(len(values), SHADES - 1), low, low + 1.0
    return np.minimum(((values - low) / (high - low) * SHADES).astype(int), SHADES - 1), low, high


def _draw_lines(
    drawn: go.Figure, info: Parallel, points: Points, chosen: np.ndarray, colour: str, feasible: bool
) -> None:
    xs: list[float | None] = []
    ys: list[float | None] = []
    trials: list[int | None] = []
    texts: list[str | None] = []
    for line in chosen:
        row = info.rows[line]
        for index, axis in enumerate(info.axes):
            xs.append(index)
            ys.append(float(axis.positions[line]) + _spread(axis, int(row)))
            trials.append(int(points.trial[row]))
            texts.append(points.hover[row])
        for column in (xs, ys, trials, texts):
            column.append(None)  # A gap between two trials.
    drawn.add_trace(
        go.Scatter(
            x=xs,
            y=ys,
            mode="lines+markers",
            connectgaps=False,
            line={"color": colour, "width": 2.2 if feasible else 1.1, "dash": "solid" if feasible else "dot"},
            marker={"size": 5 if feasible else 4, "symbol": "circle" if feasible else "x-thin-open"},
            opacity=0.95 if feasible else 0.55,
            customdata=trials,
            hovertext=texts,
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    )


def _spread(axis: Axis, row: int) -> float:
    """Pull lines through one category a little apart, so that their number shows."""
    crowded = len(set(axis.positions.tolist())) <= 6
    return (((row * 0.6180339887498949) % 1.0) - 0.5) * 0.035 if crowded else 0.0


def _draw_axes(canvas: Canvas, axes: tuple[Axis, ...]) -> None:
    for index, axis in enumerate(axes):
        canvas.shape(
            type="line", x0=index, x1=index, y0=0, y1=1, line={"color": "#7b8794", "width": 1.3}, layer="below"
        )
        head, _, tail = axis.name.rpartition(".")
        group = escape_plotly(head.rpartition(".")[2])  # axes are narrow; the table below has the whole name
        unit = "" if axis.unit == "no unit" else f"<br>[{_wrap(axis.unit)}]"
        scale = "<br>log scale" if axis.log else ""
        title = f"<span style='color:{MUTED}'>{group}</span><br><b>{_wrap(tail)}</b>{unit}{scale}"
        _write(canvas, index, 1.02, title, yanchor="bottom", font={"size": 11.5, "color": INK})
        for at, text in axis.ticks:
            _write(canvas, index, at, _tick_text(text), xanchor="left", xshift=6, **_label())
        if axis.has_inactive:
            _write(canvas, index, INACTIVE, "inactive", xanchor="left", xshift=6, **_label())
    if any(axis.has_inactive for axis in axes):
        canvas.shape(
            type="line", x0=-0.3, x1=len(axes) - 0.7, y0=INACTIVE, y1=INACTIVE, line={"color": GRID, "width": 8},
            layer="below",
        )  # fmt: skip


def _wrap(name: str) -> str:
    """Break a long name or unit at the underscore or space next to its middle."""
    places = [index for index, letter in enumerate(name) if letter in "_ "]
    if len(name) <= 12 or not places:
        return escape_plotly(name)
    middle = min(places, key=lambda index: abs(index - len(name) / 2))
    return f"{escape_plotly(name[: middle + 1])}<br>{escape_plotly(name[middle + 1 :])}"


def _tick_text(text: str) -> str:
    return escape_plotly(text if len(text) <= 16 else f"{text[:15]}\u2026")


def _label() -> dict[str, Any]:
    return {"font": {"size": 11, "color": INK}, "bgcolor": "rgba(255,255,255,0.82)"}


def _write(canvas: Canvas, x: float, y: float, text: str, **options: Any) -> None:
    canvas.write(x=x, y=y, text=text, align="left", **options)


def _draw_legend(drawn: go.Figure, objective: Objective, low: float, high: float) -> None:
    unit = escape_plotly(objective_unit(objective))
    title = f"{escape_plotly(short_label(objective))}<br>[{unit}]<br><i>{direction_text(objective)}</i>"
    drawn.add_trace(
        go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            showlegend=False,
            hoverinfo="skip",
            marker={
                "colorscale": list(SCALE),
                "cmin": low,
                "cmax": high,
                "color": [low],
                "showscale": True,
                "colorbar": {
                    "title": {"text": title, "side": "right", "font": {"size": 12}},
                    "thickness": 14,
                    "len": 0.9,
                },
            },
        )
    )
