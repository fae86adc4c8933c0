"""Draw what laundering leaves of the secret against what it costs: a panel for each family and secret."""

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures.theme import FEASIBLE, MUTED, NEUTRAL, style
from analysis.laundering import UNTOUCHED, Group, Laundered, step_words
from analysis.words import escape_plotly, number

COLUMNS = 3
PANEL_HEIGHT = 300
"""Height of a row of panels, in pixels."""


def draw_laundering(groups: tuple[Group, ...]) -> go.Figure:
    """Draw every group: its points, the buyer's front, and what a guess reaches."""
    columns = min(COLUMNS, len(groups))
    rows = math.ceil(len(groups) / columns)
    drawn = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[escape_plotly(group.name) for group in groups],
        horizontal_spacing=0.05,
        vertical_spacing=0.14 / rows,
        x_title="Expression accuracy lost [fraction of images] · lower is better for the buyer",
        y_title="Secret accuracy left [fraction of images]",
    )
    style(drawn, 130 + PANEL_HEIGHT * rows)
    drawn.update_layout(margin={"l": 84, "r": 24, "t": 76, "b": 76})
    for index, group in enumerate(groups):
        _draw(drawn, group, index // columns + 1, index % columns + 1, first=index == 0)
    return drawn


def _draw(drawn: go.Figure, group: Group, row: int, column: int, *, first: bool) -> None:
    place = {"row": row, "col": column}
    for name, colour, marks in (
        ("laundered", NEUTRAL, {"symbol": "circle", "size": 7}),
        ("as released", MUTED, {"symbol": "star", "size": 12}),
    ):
        points = [point for point in group.points if (point.step == UNTOUCHED) == (name == "as released")]
        trace = go.Scatter(
            x=[point.expression_lost for point in points],
            y=[point.secret_accuracy for point in points],
            mode="markers",
            marker={**marks, "color": colour},
            customdata=[point.trial for point in points],
            hovertext=[_hover(point) for point in points],
            hovertemplate="%{hovertext}<extra></extra>",
            name=name,
            legendgroup=name,
            showlegend=first,
        )
        drawn.add_trace(trace, **place)
    chosen = [group.points[index] for index in group.front]
    front = go.Scatter(
        x=[point.expression_lost for point in chosen],
        y=[point.secret_accuracy for point in chosen],
        mode="lines+markers",
        line={"color": FEASIBLE, "width": 1.8, "shape": "hv"},
        marker={"color": FEASIBLE, "size": 7},
        customdata=[point.trial for point in chosen],
        hovertext=[_hover(point) for point in chosen],
        hovertemplate="%{hovertext}<extra></extra>",
        name="buyer's front",
        legendgroup="front",
        showlegend=first,
    )
    drawn.add_trace(front, **place)
    guesses = [point.guess for point in group.points if not math.isnan(point.guess)]
    if guesses:
        drawn.add_hline(
            y=float(np.median(guesses)), line={"color": MUTED, "width": 1, "dash": "dash"}, opacity=0.7, **place
        )


def _hover(point: Laundered) -> str:
    lines = [
        f"<b>{escape_plotly(step_words(point.step))}</b> · trial {point.trial}",
        f"secret accuracy {number(point.secret_accuracy)}, guess {number(point.guess)}",
        f"SSIM of the recovered image {number(point.reconstruction_ssim)}",
        f"bit error rate {number(point.bit_error_rate)}",
        f"expression accuracy lost {number(point.expression_lost)}",
        f"PSNR to the release {number(point.released_psnr)} dB",
    ]
    return "<br>".join(lines)
