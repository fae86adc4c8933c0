"""Draw Pareto fronts: one row of panels a group of trials, one column an objective on the x axis."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures.canvas import Canvas
from analysis.figures.theme import BLACK, FEASIBLE, INFEASIBLE, INK, MUTED, style, symbol
from analysis.fronts import BoundLine, Front
from analysis.points import Points
from analysis.words import axis_title, escape_plotly, plain, short_label

CROWDED = 150
"""Points in a panel from which on they are drawn smaller."""
LABEL_WIDTH = 0.04
"""Width of a bound's label, as part of the width of a panel."""
ROW_HEIGHT = 330
"""Height of a row of panels where there are several, in pixels."""


def draw_fronts(fronts: tuple[Front, ...], points: Points) -> go.Figure:
    """Draw fronts as a grid; panels with one title share a row, panels with one x objective a column.

    Raises:
        ValueError: If ``fronts`` is empty.
    """
    if not fronts:
        raise ValueError("there is no front to draw; a study with one objective has none")
    titles = list(dict.fromkeys(front.title for front in fronts))
    columns = list(dict.fromkeys(front.x.name for front in fronts))
    several = len(titles) > 1
    drawn = make_subplots(
        rows=len(titles),
        cols=len(columns),
        shared_xaxes="columns" if several else False,
        shared_yaxes="all",
        horizontal_spacing=0.06,
        vertical_spacing=0.16 / len(titles) if several else 0.0,
        row_titles=[f"<b>{escape_plotly(title)}</b>" for title in titles] if several else None,
    )
    style(drawn, 170 + ROW_HEIGHT * len(titles) if several else 500)
    drawn.update_layout(margin={"l": 70, "r": 40, "t": 76, "b": 70})
    shown: set[str] = set()
    canvas = Canvas(drawn)
    for front in fronts:
        row, column = titles.index(front.title) + 1, columns.index(front.x.name) + 1
        _draw_lines(canvas, front, row, column, shown)
        _draw_points(canvas, front, points, row, column, shown)
        _draw_reference(canvas, front, row, column, shown)
        _draw_bounds(canvas, front, row, column)
        _draw_note(canvas, front, row, column)
        if row == len(titles):
            drawn.update_xaxes(title_text=axis_title(front.x), row=row, col=column)
        if column == 1:
            drawn.update_yaxes(title_text=axis_title(front.y, short=several), row=row, col=column)
    canvas.finish()
    return drawn


def _once(shown: set[str], name: str, *, rank: int) -> dict[str, object]:
    """Return the legend entry of a trace: shown the first time, toggled together with its likes, in order of rank."""
    first = name not in shown
    shown.add(name)
    return {"name": name, "legendgroup": name, "showlegend": first, "legendrank": 1000 + rank}


def _draw_bounds(canvas: Canvas, front: Front, row: int, column: int) -> None:
    for bound in front.bounds:
        line = {"color": INFEASIBLE, "width": 1.3, "dash": "dash"}
        canvas.vline(bound.at, line=line, layer="above", row=row, col=column)
    for group in _neighbours(front):
        names = [plain(bound.adversary) for bound in group if bound.adversary]
        text = f"{'bounds' if len(group) > 1 else 'bound'}{', ' if names else ''}{', '.join(names)}"
        canvas.write(
            x=group[-1].at,
            y=1.0,
            yref="domain",
            text=escape_plotly(text),
            textangle=-90,
            xanchor="left",
            yanchor="top",
            font={"size": 11, "color": INFEASIBLE},
            bgcolor="rgba(255,255,255,0.7)",
            row=row,
            col=column,
        )


def _neighbours(front: Front) -> list[list[BoundLine]]:
    """Put bounds together whose labels would lie on one another."""
    places = [*front.xs, *(bound.at for bound in front.bounds)] + ([front.reference.x] if front.reference else [])
    groups: list[list[BoundLine]] = []
    for bound in sorted(front.bounds, key=lambda bound: bound.at):
        if groups and bound.at - groups[-1][-1].at < LABEL_WIDTH * (max(places) - min(places)):
            groups[-1].append(bound)
        else:
            groups.append([bound])
    return groups


def _draw_lines(canvas: Canvas, front: Front, row: int, column: int, shown: set[str]) -> None:
    everything, within = np.ones(len(front.rows), dtype=bool), front.feasible
    lines = (
        ("front if nobody checked", front.unchecked, everything, {"color": MUTED, "width": 1.4, "dash": "dot"}),
        ("feasible front", front.front, within, {"color": FEASIBLE, "width": 2.4}),
    )
    for name, members, among, line in lines:
        if members.size == 0:
            continue
        xs, ys = front.xs[members].tolist(), front.ys[members].tolist()
        if not front.x.maximise:  # What one can have, one can have at more leakage as well.
            xs, ys = [*xs, float(front.xs[among].max())], [*ys, ys[-1]]
        shape = "vh" if front.x.maximise else "hv"
        canvas.trace(
            go.Scatter(
                x=xs,
                y=ys,
                mode="lines",
                line={**line, "shape": shape},
                hoverinfo="skip",
                **_once(shown, name, rank=30),
            ),
            row=row,
            col=column,
        )


def _draw_points(canvas: Canvas, front: Front, points: Points, row: int, column: int, shown: set[str]) -> None:
    on_front = np.zeros(len(front.rows), dtype=bool)
    on_front[front.front] = True
    groups = np.asarray(points.group, dtype=object)[front.rows]
    for index, group in enumerate(points.groups):
        for feasible in (False, True):
            chosen = np.flatnonzero((groups == group) & (front.feasible == feasible))
            if not chosen.size:
                continue
            colour = FEASIBLE if feasible else INFEASIBLE
            rings = np.where(on_front[chosen], 2.0, 0.7 if feasible else 1.6)
            marker = {
                "symbol": symbol(index, feasible),
                "color": colour,
                "size": np.where(on_front[chosen], 13, 10 if len(front.rows) < CROWDED else 7),
                "opacity": 0.9 if feasible else 0.75,
                "line": {"width": rings, "color": [BLACK if on else colour for on in on_front[chosen]]},
            }
            name = f"{group}, {'feasible' if feasible else 'infeasible'}"
            canvas.trace(
                go.Scatter(
                    x=front.xs[chosen],
                    y=front.ys[chosen],
                    mode="markers",
                    marker=marker,
                    customdata=[int(points.trial[row_number]) for row_number in front.rows[chosen]],
                    hovertext=[points.hover[row_number] for row_number in front.rows[chosen]],
                    hovertemplate="%{hovertext}<extra></extra>",
                    **_once(shown, name, rank=2 * index + (not feasible)),
                ),
                row=row,
                col=column,
            )


def _draw_reference(canvas: Canvas, front: Front, row: int, column: int, shown: set[str]) -> None:
    if front.reference is None:
        return
    name = "honest baseline (mean training face)"
    canvas.trace(
        go.Scatter(
            x=[front.reference.x],
            y=[front.reference.y],
            mode="markers",
            marker={"symbol": "star-open", "size": 15, "color": BLACK, "line": {"width": 2}},
            hovertemplate=_reference_text(short_label(front.x), front.reference.x_is, short_label(front.y)),
            **_once(shown, name, rank=20),
        ),
        row=row,
        col=column,
    )


def _reference_text(x: str, x_is: str, y: str) -> str:
    return (
        f"<b>Honest baseline</b><br>{escape_plotly(x)}, {x_is}: %{{x:.3f}}<br>"
        f"{escape_plotly(y)} that anyone can guess: %{{y:.3f}}<extra></extra>"
    )


def _draw_note(canvas: Canvas, front: Front, row: int, column: int) -> None:
    if front.note:
        canvas.write(
            x=0.5,
            y=0.02,
            xref="domain",
            yref="domain",
            text=f"<i>{front.note}</i>",
            yanchor="bottom",
            bgcolor="rgba(255,255,255,0.85)",
            font={"size": 12, "color": INK},
            row=row,
            col=column,
        )
