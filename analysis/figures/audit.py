"""Draw each margin of the short list twice: as the search estimated it and as the audit did."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from analysis.figures.theme import BLACK, MUTED, VERMILLION, figure
from analysis.words import escape_plotly, metric_label

ROW_PIXELS = 34


def draw_margins_twice(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw margins with their 95 % intervals, a line a trial and check; at most 0 is within the bound.

    Args:
        rows: Comparisons of margins: ``trial``, ``name``, ``search`` and ``audit``, both with ``_low`` and ``_high``.
    """
    labels = [f"trial {row['trial']} · {escape_plotly(metric_label(str(row['name'])))}" for row in rows]
    drawn = figure(140 + ROW_PIXELS * len(rows))
    for part, colour, symbol, name in (
        ("search", MUTED, "circle-open", "as searched"),
        ("audit", VERMILLION, "diamond", "as audited"),
    ):
        values = [row[part] for row in rows]
        drawn.add_trace(
            go.Scatter(
                x=values,
                y=labels,
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
                error_x={
                    "array": [_distance(row[f"{part}_high"], row[part]) for row in rows],
                    "arrayminus": [_distance(row[part], row[f"{part}_low"]) for row in rows],
                    "color": colour,
                    "thickness": 1.4,
                },
                hovertemplate=f"%{{y}}<br>{name}: %{{x:.3f}}<extra></extra>",
            )
        )
    drawn.add_vline(x=0, line={"color": BLACK, "width": 1.5})
    drawn.update_xaxes(title_text="Margin, in scales of the check (at most 0 is within its bound)")
    drawn.update_yaxes(autorange="reversed")
    return drawn


def _distance(high: float | None, low: float | None) -> float | None:
    """Return the length of an error bar, None where an end is not known."""
    if high is None or low is None or high != high or low != low:
        return None
    return max(0.0, high - low)
