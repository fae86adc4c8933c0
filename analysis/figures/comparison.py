"""Draw several studies side by side."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.compare import Comparison, Reached
from analysis.figures.outcomes import COLOURS
from analysis.figures.theme import LINES, figure, style
from analysis.pareto import nondominated
from analysis.records import Floats
from analysis.schema import Objective
from analysis.summary import objective_intervals
from analysis.words import axis_title, escape_plotly, number, plain

ROW = 34
"""Height of a study's row, in pixels."""


def colour(index: int) -> str:
    """Return the colour of the ``index``-th study, the same in all figures."""
    return LINES[index % len(LINES)]


def draw_best(found: Comparison) -> go.Figure:
    """Draw the best feasible value of each objective with its interval, and the share of feasible trials."""
    panels = len(found.objectives) + 1
    drawn = make_subplots(rows=1, cols=panels, shared_yaxes="all", horizontal_spacing=0.04)
    style(drawn, 130 + ROW * len(found.studies))
    names = [escape_plotly(item.name) for item in found.studies]
    for index, objective in enumerate(found.objectives):
        values = np.asarray([item.best_value[index] for item in found.studies])
        low = np.asarray([item.best_low[index] for item in found.studies])
        high = np.asarray([item.best_high[index] for item in found.studies])
        texts = [f"trial {item.best[index]}" if item.best[index] is not None else "" for item in found.studies]
        _dots(drawn, index + 1, names, values, low, high, texts)
        drawn.update_xaxes(title_text=axis_title(objective, short=True), row=1, col=index + 1)
    shares = np.asarray([item.feasible / len(item.study) for item in found.studies])
    low = np.asarray([item.feasible_low for item in found.studies])
    high = np.asarray([item.feasible_high for item in found.studies])
    texts = [f"{item.feasible} of {len(item.study)} trials" for item in found.studies]
    _dots(drawn, panels, names, shares, low, high, texts)
    drawn.update_xaxes(title_text="Feasible trials [share]<br><i>by estimate</i>", range=[0, 1], row=1, col=panels)
    drawn.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names)
    return drawn


def _dots(
    drawn: go.Figure, column: int, names: list[str], values: Floats, low: Floats, high: Floats, texts: list[str]
) -> None:
    drawn.add_trace(
        go.Scatter(
            x=values,
            y=names,
            mode="markers",
            showlegend=False,
            marker={"size": 11, "color": [colour(index) for index in range(len(names))]},
            error_x={
                "array": np.nan_to_num(high - values, nan=0.0),
                "arrayminus": np.nan_to_num(values - low, nan=0.0),
                "color": "#52606d",
                "thickness": 1.6,
                "width": 4,
            },
            text=[
                f"{text}: {number(float(value))} ({number(float(a))} to {number(float(b))})"
                for text, value, a, b in zip(texts, values, low, high, strict=True)
            ],
            hovertemplate="<b>%{y}</b><br>%{text}<extra></extra>",
        ),
        row=1,
        col=column,
    )


def draw_joint_fronts(found: Comparison) -> go.Figure:
    """Draw the feasible trials and fronts of all studies in the first two objectives compared.

    Raises:
        ValueError: If fewer than two objectives are compared.
    """
    if len(found.objectives) < 2:
        raise ValueError("a front needs two objectives")
    y = found.box.objectives[0]
    x = next(item for item in found.objectives if item.name != y.name)
    drawn = figure(500)
    for index, item in enumerate(found.studies):
        _draw_front(drawn, item, x, y, colour(index), str(index))
    drawn.update_xaxes(title_text=axis_title(x))
    drawn.update_yaxes(title_text=axis_title(y))
    return drawn


def _draw_front(drawn: go.Figure, item: Reached, x: Objective, y: Objective, own: str, group: str) -> None:
    study = item.study
    pairs = np.stack([study.objectives[x.name], study.objectives[y.name]], axis=1)
    front = np.flatnonzero(nondominated(np.where(study.feasible[:, None], pairs, np.nan), (x.maximise, y.maximise)))
    front = front[np.argsort(pairs[front, 0], kind="stable")]
    name = escape_plotly(item.name)
    (x_low, x_high), (y_low, y_high) = objective_intervals(study, x), objective_intervals(study, y)
    drawn.add_trace(
        go.Scatter(
            x=pairs[front, 0],
            y=pairs[front, 1],
            mode="lines+markers",
            name=name if len(front) else f"{name} (no feasible trial)",
            legendgroup=group,
            line={"color": own, "width": 2, "shape": "vh" if x.maximise else "hv"},
            marker={"size": 9, "color": own},
            error_x=_bars(pairs[front, 0], x_low[front], x_high[front], own),
            error_y=_bars(pairs[front, 1], y_low[front], y_high[front], own),
            text=[f"trial {study.trial[row]}" for row in front],
            hovertemplate=f"<b>{name}</b><br>%{{text}}: %{{x:.3f}}, %{{y:.3f}}<extra></extra>",
        )
    )


def _bars(values: Floats, low: Floats, high: Floats, own: str) -> dict[str, object]:
    above, below = np.nan_to_num(high - values, nan=0.0), np.nan_to_num(values - low, nan=0.0)
    return {"array": above, "arrayminus": below, "color": own, "thickness": 0.9, "width": 0}


def draw_outcome_shares(found: Comparison) -> go.Figure:
    """Draw how the trials of each study ended, as shares."""
    drawn = figure(130 + ROW * len(found.studies))
    names = [escape_plotly(item.name) for item in found.studies]
    for outcome in sorted({name for item in found.studies for name in item.study.outcome}, key=_rank):
        counts = [item.study.outcome.count(outcome) for item in found.studies]
        drawn.add_trace(
            go.Bar(
                y=names,
                x=[amount / len(item.study) for amount, item in zip(counts, found.studies, strict=True)],
                orientation="h",
                name=escape_plotly(plain(outcome)),
                marker={"color": COLOURS.get(outcome, "#8a94a0")},
                text=[str(amount) if amount else "" for amount in counts],
                hovertemplate=f"<b>%{{y}}</b><br>{escape_plotly(plain(outcome))}: %{{text}}<extra></extra>",
            )
        )
    drawn.update_layout(barmode="stack", legend={"traceorder": "normal"})
    drawn.update_xaxes(title_text="Share of trials", range=[0, 1], tickformat=".0%")
    drawn.update_yaxes(autorange="reversed")
    return drawn


def _rank(outcome: str) -> tuple[int, str]:
    return (list(COLOURS).index(outcome) if outcome in COLOURS else len(COLOURS)), outcome


def draw_seconds(found: Comparison) -> go.Figure:
    """Draw the distribution of the seconds that a trial took."""
    drawn = figure(130 + ROW * len(found.studies))
    for index, item in enumerate(found.studies):
        known = item.study.seconds[np.isfinite(item.study.seconds)]
        drawn.add_trace(
            go.Box(
                q1=[np.quantile(known, 0.25)] if known.size else [],
                median=[np.median(known)] if known.size else [],
                q3=[np.quantile(known, 0.75)] if known.size else [],
                lowerfence=[known.min()] if known.size else [],
                upperfence=[known.max()] if known.size else [],
                y=[escape_plotly(item.name)],
                orientation="h",
                showlegend=False,
                line={"color": colour(index), "width": 1.8},
            )
        )
    drawn.update_xaxes(title_text="Time of a trial [s]: range, quartiles and median", rangemode="tozero")
    drawn.update_yaxes(autorange="reversed")
    return drawn
