"""Draw the best feasible value over the trials of a study."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from analysis.figures.theme import BLACK, DASHES, FEASIBLE, INFEASIBLE, LINES, MUTED, figure, symbol
from analysis.points import Points
from analysis.progress import Progress
from analysis.records import Study
from analysis.schema import Objective
from analysis.words import axis_title, escape_plotly


def draw_progress(
    progress: Progress, shown: Study, points: Points, objective: Objective, guess: float | None
) -> go.Figure:
    """Draw every trial in order of completion and the running best of the feasible ones.

    Args:
        progress: What to draw, of all trials.
        shown: The trials that get a point.
        points: Hover texts and groups of these.
        objective: The objective on the y axis.
        guess: What anyone can reach without the secret; drawn as a line where known.
    """
    drawn = figure(430)
    steps = np.arange(1, len(progress.rows) + 1)
    for feasible in (False, True):
        _draw_trials(drawn, progress, shown, points, feasible)
    if guess is not None and np.isfinite(guess):
        line: dict[str, Any] = {"color": MUTED, "width": 1.6, "dash": "dot"}
        drawn.add_trace(_line(np.array([0, len(steps) + 1]), np.array([guess, guess]), "what anyone can guess", line))
    if np.isfinite(progress.best).any():
        drawn.add_trace(_line(steps, progress.best, "best feasible so far", {"color": BLACK, "width": 2.8}))
    for index, (family, best) in enumerate(progress.by_family):
        line = {"color": LINES[(index + 1) % len(LINES)], "width": 1.8, "dash": DASHES[index % len(DASHES)]}
        if np.isfinite(best).any():
            drawn.add_trace(_line(steps, best, f"best feasible, {escape_plotly(family)}", line))
    drawn.update_xaxes(title_text="Trials finished, in order of completion [count]", rangemode="tozero")
    drawn.update_yaxes(title_text=axis_title(objective))
    return drawn


def _line(xs: np.ndarray, ys: np.ndarray, name: str, line: dict[str, Any]) -> go.Scatter:
    changed = np.concatenate(([True], ~((ys[1:] == ys[:-1]) | (np.isnan(ys[1:]) & np.isnan(ys[:-1])))))
    changed[-1] = True
    xs, ys = xs[changed], ys[changed]
    return go.Scatter(x=xs, y=ys, mode="lines", line={**line, "shape": "hv"}, name=name, hoverinfo="skip")


def _draw_trials(drawn: go.Figure, progress: Progress, shown: Study, points: Points, feasible: bool) -> None:
    values = shown.objectives[progress.objective]
    rows = np.flatnonzero((shown.feasible == feasible) & ~np.isnan(values))
    if not rows.size:
        return
    step_of = {trial: step + 1 for step, trial in enumerate(progress.trials.tolist())}
    symbols = {group: symbol(index, feasible) for index, group in enumerate(points.groups)}
    colour = FEASIBLE if feasible else INFEASIBLE
    drawn.add_trace(
        go.Scatter(
            x=[step_of[trial] for trial in shown.trial[rows].tolist()],
            y=values[rows],
            mode="markers",
            name="feasible trial" if feasible else "infeasible trial",
            marker={
                "symbol": [symbols[points.group[row]] for row in rows],
                "color": colour,
                "size": 9,
                "opacity": 0.85 if feasible else 0.6,
                "line": {"width": 1.2, "color": colour},
            },
            customdata=[int(points.trial[row]) for row in rows],
            hovertext=[points.hover[row] for row in rows],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
