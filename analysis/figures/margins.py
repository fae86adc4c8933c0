"""Draw each check against its bound: one strip a check, one point a trial, the bound at zero."""

import numpy as np
import plotly.graph_objects as go

from analysis.checks import CheckSummary
from analysis.figures.theme import FEASIBLE, INFEASIBLE, INK, MUTED, figure, symbol
from analysis.points import Points
from analysis.records import Floats, Study
from analysis.words import bound_text, escape_plotly, metric_label, number

CLIP = 3.0
GOLDEN = 0.6180339887498949
"""Multiples of it, modulo one, spread evenly for any number of trials: a jitter without randomness."""


def draw_margins(study: Study, checks: tuple[CheckSummary, ...], points: Points) -> go.Figure:
    """Draw the margins of all trials, by check.

    Raises:
        ValueError: If there is no check.
    """
    if not checks:
        raise ValueError("the study has no check to draw")
    drawn = figure(150 + 112 * len(checks), margin={"l": 220, "r": 120, "t": 76, "b": 64})
    drawn.add_vrect(x0=0, x1=CLIP + 0.3, fillcolor=INFEASIBLE, opacity=0.06, line_width=0, layer="below")
    drawn.add_vline(x=0, line={"color": INK, "width": 2})
    levels = {check.constraint.check: len(checks) - 1 - index for index, check in enumerate(checks)}
    jitter: Floats = 0.62 * (np.asarray(study.trial * GOLDEN, dtype=np.float64) % 1.0 - 0.5)
    for feasible in (False, True):
        _draw_trials(drawn, study, checks, points, levels, jitter, feasible)
    _draw_words(drawn, checks, levels)
    ticks = [-3, -2, -1, 0, 1, 2, 3]
    drawn.update_xaxes(
        range=[-CLIP - 0.3, CLIP + 0.3],
        tickvals=ticks,
        ticktext=["\u2264 \u22123", "\u22122", "\u22121", "0", "1", "2", "\u2265 3"],
        title_text="Margin: (estimate \u2212 bound) / scale of the check [no unit]<br>"
        "<i>at or below 0 is within the bound</i>",
    )
    drawn.update_yaxes(
        range=[-0.55, len(checks) - 0.45],
        tickvals=list(levels.values()),
        ticktext=[_tick(check) for check in checks],
        showgrid=False,
        ticks="",
    )
    return drawn


def _tick(check: CheckSummary) -> str:
    bound = bound_text(check.constraint.text, check.constraint.metric)
    name = escape_plotly(metric_label(check.constraint.check))
    wrapped = name if len(name) < 27 else name.replace(" ", "<br>", 1)
    return f"<b>{wrapped}</b><br>{escape_plotly(bound)}"


def _draw_trials(
    drawn: go.Figure,
    study: Study,
    checks: tuple[CheckSummary, ...],
    points: Points,
    levels: dict[str, int],
    jitter: Floats,
    feasible: bool,
) -> None:
    symbols = {group: symbol(index, feasible) for index, group in enumerate(points.groups)}
    rows = np.flatnonzero(study.feasible == feasible)
    xs, ys, marks, trials, texts, hovers = [], [], [], [], [], []
    for check in checks:
        unit = f"in units of {number(check.constraint.scale)}"
        for row in rows:
            margin = float(np.clip(check.margins[row], -CLIP, CLIP))
            missing = bool(check.missing[row])
            xs.append(margin)
            ys.append(levels[check.constraint.check] + float(jitter[row]))
            marks.append("asterisk-open" if missing else symbols[points.group[row]])
            trials.append(int(study.trial[row]))
            stated = "no result, counted as violated" if missing else f"margin {number(margin)} {unit}"
            texts.append(f"{escape_plotly(metric_label(check.constraint.check))}: {stated}")
            hovers.append(points.hover[row])
    drawn.add_trace(
        go.Scatter(
            x=xs,
            y=ys,
            mode="markers",
            name="trial within all bounds"
            if feasible
            else "trial beyond some bound (\u2733: the check gave no result)",
            marker={
                "symbol": marks,
                "size": 9,
                "opacity": 0.8,
                "color": FEASIBLE if feasible else INFEASIBLE,
                "line": {"width": 1.4, "color": FEASIBLE if feasible else INFEASIBLE},
            },
            customdata=trials,
            text=texts,
            hovertext=hovers,
            hovertemplate="%{text}<br>%{hovertext}<extra></extra>",
        )
    )


def _counts(check: CheckSummary) -> str:
    missing = int(check.missing.sum())
    text = f"<b>{check.passed}</b> within<br><b>{check.stopped}</b> beyond"
    return text + (f"<br><b>{missing}</b> no result" if missing else "")


def _draw_words(drawn: go.Figure, checks: tuple[CheckSummary, ...], levels: dict[str, int]) -> None:
    for check in checks:
        drawn.add_annotation(
            x=1.01,
            xref="paper",
            xanchor="left",
            y=levels[check.constraint.check],
            text=_counts(check),
            showarrow=False,
            align="left",
            font={"size": 12.5, "color": INK},
        )
    for at, anchor, text, colour in (
        (-0.06, "right", "\u25c0 within the bound", MUTED),
        (0.06, "left", "beyond the bound \u25b6", INFEASIBLE),
    ):
        drawn.add_annotation(
            x=at, y=1.0, yref="paper", yanchor="bottom", xanchor=anchor, text=text, showarrow=False,
            font={"size": 12, "color": colour},
        )  # fmt: skip
