"""Figures of ``benchmarks.space``: what is hidden against what is noticed under each channel, slices, and effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures.theme import BLUE, GREEN, INFEASIBLE, INK, MUTED, ORANGE, PURPLE, style
from benchmarks.space_design import CHANNELS, FAMILIES, LEARNED, SLICES
from benchmarks.space_summary import EFFECTS, Estimate, Result, effects
from study.bounds import Bound

COLOURS = {"keyed": BLUE, "learned": ORANGE, "sampled": GREEN}
SECRETS = {
    "image": ("reconstruction_ssim", "SSIM of the recovered image"),
    "identity": ("secret_accuracy", "identity read back"),
}
CURVES = {
    "steganalysis_auc": ("AUC of one image", INK),
    "steganalysis_auc_100": ("of 100 images", PURPLE),
    "steganalysis_auc_1000": ("of 1,000 images", ORANGE),
}


def write_figures(found: Sequence[Result], bounds: Sequence[Bound], path: Path) -> None:
    """Write every figure that has something to show into one HTML file, which needs no network.

    Args:
        found: Points of the design with their records.
        bounds: Of the checks; those of a fixed value are drawn as lines.
        path: The file.
    """
    limits = {bound.metric: bound.offset for bound in bounds if bound.reference is None}
    drawn = (
        ("Families and secrets under each channel", draw_channels(found, limits)),
        ("One setting at a time", draw_slices(found, limits)),
        ("Discriminators and weights", draw_effects(found)),
    )
    note = "Bars are 95 % intervals of the test images; retraining shows in the spread between seeds."
    parts = [f"<!doctype html><meta charset='utf-8'><title>Space</title><p>{note}</p>"]
    for title, figure in drawn:
        if figure is not None:
            parts.append(f"<h2>{title}</h2>" + figure.to_html(full_html=False, include_plotlyjs=len(parts) == 1))
    path.write_text("\n".join(parts), encoding="utf-8")


def draw_channels(found: Sequence[Result], limits: dict[str, float]) -> go.Figure | None:
    """Draw a panel for each channel and secret: what is recovered against detectability, a colour a family."""
    shown = [result for result in found if result.point.group in (FAMILIES, LEARNED) and result.measured]
    channels = [name for name in CHANNELS if any(r.point.values.get("channel") == name for r in shown)]
    if not channels:
        return None
    drawn = make_subplots(
        rows=len(SECRETS),
        cols=len(channels),
        shared_xaxes="all",
        shared_yaxes="rows",
        column_titles=[f"<b>{name}</b>" for name in channels],
        horizontal_spacing=0.015,
        vertical_spacing=0.06,
    )
    style(drawn, 680)
    named: set[str] = set()
    for result in shown:
        values = result.point.values
        secret, channel = values["subversion.secret"], values["channel"]
        x, y = result.estimate("steganalysis_auc"), result.estimate(SECRETS[secret][0])
        if x is None or y is None:
            continue
        name = f"{values['subversion.family']}, {'within' if result.feasible else 'beyond'} bounds"
        trace = go.Scatter(
            x=[x.value],
            y=[y.value],
            error_x=_bars([x]),
            error_y=_bars([y]),
            mode="markers",
            marker=_marker(values["subversion.family"], feasible=result.feasible),
            hovertext=f"{result.point.name}<br>{result.outcome()}",
            **_once(named, name),
        )
        drawn.add_trace(trace, row=list(SECRETS).index(secret) + 1, col=channels.index(channel) + 1)
    if "steganalysis_auc" in limits:
        drawn.add_vline(x=limits["steganalysis_auc"], line={"color": INFEASIBLE, "width": 1.3, "dash": "dash"})
    for row, (_, label) in enumerate(SECRETS.values(), 1):
        drawn.update_yaxes(title_text=label, range=[-0.05, 1.08], row=row, col=1)
    drawn.update_xaxes(range=[0.42, 1.04])
    drawn.update_xaxes(title_text="steganalysis AUC", row=len(SECRETS))
    drawn.update_layout(legend={"y": 1.1})
    return drawn


def _marker(family: str, *, feasible: bool) -> dict[str, Any]:
    colour = COLOURS[family]
    return {"symbol": "circle" if feasible else "x-thin-open", "color": colour, "size": 10, "line": {"width": 2}}


def draw_slices(found: Sequence[Result], limits: dict[str, float]) -> go.Figure | None:
    """Draw what is read back, and what one, 100 and 1,000 images betray, along each slice; a point a seed."""
    slices = [result for result in found if result.point.group == SLICES and result.measured]
    places = list(dict.fromkeys((r.point.values["channel"], r.point.varied) for r in slices))
    if not places:
        return None
    drawn = make_subplots(
        rows=2,
        cols=len(places),
        shared_yaxes="rows",
        horizontal_spacing=0.03,
        vertical_spacing=0.14,
        column_titles=[f"<b>{channel}</b>" for channel, _ in places],
    )
    style(drawn, 680)
    named: set[str] = set()
    for column, (channel, varied) in enumerate(places, 1):
        own = [r for r in slices if (r.point.values["channel"], r.point.varied) == (channel, varied)]
        own.sort(key=lambda result: result.point.values[varied])
        _draw_curve(drawn, own, varied, "secret_accuracy", ("identity read back", BLUE), named, (1, column))
        for metric, look in CURVES.items():
            _draw_curve(drawn, own, varied, metric, look, named, (2, column))
            if metric in limits:
                line = {"color": INFEASIBLE, "width": 1.3, "dash": "dash"}
                drawn.add_hline(y=limits[metric], line=line, row=2, col=column)
        ticks = [result.point.values[varied] for result in own]
        drawn.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{value:g}" for value in ticks], col=column)
        drawn.update_xaxes(title_text=varied.rpartition(".")[2].replace("_", " "), row=2, col=column)
    drawn.update_yaxes(title_text="identity read back", range=[0, 1.05], row=1, col=1)
    drawn.update_yaxes(title_text="AUC", range=[0.4, 1.03], row=2, col=1)
    drawn.update_layout(legend={"y": 1.1})
    return drawn


def _draw_curve(
    drawn: go.Figure,
    own: Sequence[Result],
    varied: str,
    metric: str,
    look: tuple[str, str],
    named: set[str],
    place: tuple[int, int],
) -> None:
    """Draw one metric along a slice; ``look`` is its name and its colour, ``place`` row and column."""
    known = [(result.point.values[varied], found) for result in own if (found := result.estimate(metric)) is not None]
    if not known:
        return
    estimates = [found for _, found in known]
    name, colour = look
    place_of = {"row": place[0], "col": place[1]}
    curve = go.Scatter(
        x=[x for x, _ in known],
        y=[item.value for item in estimates],
        error_y=_bars(estimates),
        mode="lines+markers",
        line={"color": colour},
        marker={"size": 8},
        **_once(named, name),
    )
    seeds = go.Scatter(
        x=[x for x, item in known for _ in item.seeds],
        y=[value for item in estimates for value in item.seeds],
        mode="markers",
        marker={"color": colour, "size": 6, "symbol": "line-ew-open"},
        showlegend=False,
        hoverinfo="skip",
        legendgroup=name,
    )
    drawn.add_trace(curve, **place_of)
    drawn.add_trace(seeds, **place_of)


def draw_effects(found: Sequence[Result]) -> go.Figure | None:
    """Draw what each discriminator type and weight changed, as differences to the base of its family."""
    shown = [effect for effect in effects(found) if effect.result.measured]
    if not shown:
        return None
    titles = [metric.replace("_", " ") for metric in EFFECTS]
    drawn = make_subplots(cols=len(EFFECTS), shared_yaxes=True, horizontal_spacing=0.02, column_titles=titles)
    style(drawn, 160 + 26 * len(shown))
    named: set[str] = set()
    for column, metric in enumerate(EFFECTS, 1):
        for effect in shown:
            difference, family = effect.differences[metric], effect.result.point.values["subversion.family"]
            if difference is None:
                continue
            trace = go.Scatter(
                x=[difference.value],
                y=[effect.result.point.name],
                error_x=_bars([difference]),
                mode="markers",
                marker={"color": COLOURS[family], "size": 9},
                hovertext=effect.result.outcome(),
                **_once(named, family),
            )
            drawn.add_trace(trace, row=1, col=column)
        drawn.add_vline(x=0, line={"color": MUTED, "width": 1}, row=1, col=column)
        drawn.update_xaxes(title_text="change", row=1, col=column)
    names = [effect.result.point.name for effect in shown]
    drawn.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    drawn.update_layout(margin={"l": 240, "t": 90}, legend={"y": 1.05})
    return drawn


def _bars(found: Iterable[Estimate]) -> dict[str, Any]:
    found = list(found)
    above, below = [item.high - item.value for item in found], [item.value - item.low for item in found]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1, "width": 3}


def _once(named: set[str], name: str) -> dict[str, Any]:
    """Return the legend entry of a trace: shown the first time, toggled together with its likes."""
    first = name not in named
    named.add(name)
    return {"name": name, "legendgroup": name, "showlegend": first}
