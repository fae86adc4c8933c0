"""Tables of ``benchmarks.space`` as Markdown, ready for EXPERIMENTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.space_design import FAMILIES, LEARNED, SLICES
from benchmarks.space_summary import EFFECTS, Estimate, Result, effects

_COLUMNS = (
    ("SSIM", "reconstruction_ssim"),
    ("identity read back", "secret_accuracy"),
    ("bit errors", "bit_error_rate"),
    ("PSNR, dB", "cover_psnr"),
    ("AUC, 1 image", "steganalysis_auc"),
    ("100", "steganalysis_auc_100"),
    ("1,000", "steganalysis_auc_1000"),
)
_PLAIN = ("bit_error_rate", "cover_psnr", "steganalysis_auc_100", "steganalysis_auc_1000")
"""Metrics that are printed without their interval, for width."""


def print_tables(found: Sequence[Result]) -> str:
    """Return every table that has a row, one below the other."""
    parts = []
    families = [result for result in found if result.point.group == FAMILIES]
    for channel in dict.fromkeys(str(result.point.values.get("channel", "")) for result in families):
        own = [result for result in families if result.point.values.get("channel", "") == channel]
        parts.append(_table(f"Channel `{channel}`", own))
    parts.append(_table("Learned embedders and the channel", [r for r in found if r.point.group == LEARNED]))
    slices = [result for result in found if result.point.group == SLICES]
    for place in dict.fromkeys((r.point.values.get("channel"), r.point.varied) for r in slices):
        own = [r for r in slices if (r.point.values.get("channel"), r.point.varied) == place]
        parts.append(_table(f"Slice along `{place[1]}` under `{place[0]}`", own))
    parts.append(_effects_table(found))
    return "\n\n".join(part for part in parts if part)


def _table(title: str, found: Iterable[Result]) -> str:
    run = [result for result in found if result.records]
    if not run:
        return ""
    headers = ["setting", *(name for name, _ in _COLUMNS), "strong identity over honest", "outcome"]
    rows = []
    for result in run:
        cells = [estimate_text(result.estimate(metric), short=metric in _PLAIN) for _, metric in _COLUMNS]
        excess = estimate_text(result.excess("strong_identity_accuracy"), signed=True)
        rows.append([result.point.name, *cells, excess, result.outcome()])
    return markdown(title, headers, rows)


def _effects_table(found: Sequence[Result]) -> str:
    rows = [
        [effect.result.point.name]
        + [estimate_text(effect.differences[metric], signed=True) for metric in EFFECTS]
        + [effect.result.outcome()]
        for effect in effects(found)
        if effect.result.records
    ]
    headers = ["change", *(f"{metric.replace('_', ' ')}, change" for metric in EFFECTS), "outcome"]
    return markdown("Discriminators and weights, against the base of their family", headers, rows) if rows else ""


def estimate_text(estimate: Estimate | None, *, short: bool = False, signed: bool = False) -> str:
    """Return an estimate with its interval, and the least and largest of several seeds."""
    if estimate is None:
        return "-"
    form = "+.3f" if signed else ".3f"
    if abs(estimate.value) >= 10:
        form = ".1f"
    text = f"{estimate.value:{form}}"
    if short:
        return text
    text += f" [{estimate.low:{form}}, {estimate.high:{form}}]"
    if len(estimate.seeds) > 1:
        text += f" ({min(estimate.seeds):{form}} to {max(estimate.seeds):{form}})"
    return text


def markdown(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table under a heading."""
    lines = [f"### {title}", "", _line(headers), _line(["---"] * len(headers))]
    return "\n".join([*lines, *(_line([cell.replace("|", "/") for cell in row]) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
