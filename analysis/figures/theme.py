"""Colours, symbols and layout that all figures share.

Colours are those of Okabe and Ito (2008), which stay apart for colour-blind readers; feasibility is shown by symbol as
well, so that the report also reads in grey. Cividis (Nunez, Anderton and Renslow, 2018) colours continuous values.
"""

from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
FEASIBLE, INFEASIBLE, NEUTRAL = BLUE, VERMILLION, "#8a94a0"
LINES = (BLUE, ORANGE, GREEN, PURPLE, SKY)
DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot")
INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"

SCALE = tuple(sample_colorscale("Cividis", [0.86 * step / 8 for step in range(9)]))
"""Without the lightest end, which vanishes on white."""

SYMBOLS = (
    ("circle", "circle-x-open"),
    ("square", "square-x-open"),
    ("diamond", "diamond-x-open"),
    ("hexagon", "hexagon-open"),
    ("triangle-up", "triangle-up-open"),
)
"""Filled for feasible, open for infeasible; one pair a family."""

FONT = "'Inter', 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"


def symbol(index: int, feasible: bool) -> str:
    """Return the symbol of the ``index``-th family."""
    filled, opened = SYMBOLS[index % len(SYMBOLS)]
    return filled if feasible else opened


def figure(height: int, **layout: Any) -> go.Figure:
    """Return an empty figure in the house style, ``height`` in pixels."""
    drawn = go.Figure()
    style(drawn, height, **layout)
    return drawn


def style(drawn: go.Figure, height: int, **layout: Any) -> None:
    """Give a figure the house style."""
    drawn.update_layout(
        template="none",
        height=height,
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="#ffffff",
        margin={"l": 70, "r": 24, "t": 56, "b": 70},
        hoverlabel={
            "bgcolor": "#ffffff",
            "bordercolor": MUTED,
            "font": {"family": FONT, "size": 12.5},
            "align": "left",
        },
        hovermode="closest",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#9aa5b1", "activecolor": BLUE},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.04, "x": 0, "font": {"size": 12.5}},
    )
    drawn.update_xaxes(**_axis_style())
    drawn.update_yaxes(**_axis_style())
    drawn.update_layout(**layout)


def _axis_style() -> dict[str, Any]:
    return {
        "gridcolor": GRID,
        "linecolor": "#9aa5b1",
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#9aa5b1",
        "title": {"standoff": 10, "font": {"size": 13}},
        "automargin": True,
    }
