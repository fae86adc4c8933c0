"""What laundering leaves: ``laundering.parquet`` of a study folder, as ``python -m study.laundering`` writes it.

Laundering has a front of its own, from the buyer's side: steps after which the subverter reads least, for what they
cost in the images' use.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from analysis.pareto import nondominated

FILE = "laundering.parquet"
SUPPORTED_VERSIONS = (1,)
UNTOUCHED = "none"
"""The step that changes nothing."""

_COLUMNS = ("trial", "step", "family", "secret", "secret_accuracy", "expression_accuracy")
_WORDS = {
    "levels": "{} grey levels",
    "jpeg": "JPEG {}",
    "blur": "blur, sigma {} pixels",
    "noise": "noise, sigma {} levels",
    "resize": "resize to {} % and back",
    "median": "median of {0} x {0}",
    "autoencoder": "autoencoder",
    "denoiser": "noise, then denoiser",
    UNTOUCHED: "as released",
}


@dataclass(frozen=True)
class Laundered:
    """One trial after one step."""

    trial: int
    step: str
    secret_accuracy: float
    """Share of images whose identity the subverter reads; NaN where not measured."""
    secret_low: float
    """Lower end of its 95 % interval."""
    guess: float
    """What a guess reaches: the larger of chance and the most frequent person's share."""
    reconstruction_ssim: float
    bit_error_rate: float
    """NaN where no bits are carried."""
    expression_lost: float
    """Expression accuracy of the trial's untouched release less that of the laundered images; NaN without either."""
    released_psnr: float
    """Of laundered against released images, dB; 99 where equal."""

    @property
    def silenced(self) -> bool:
        """Whether the subverter reads no more than a guess would give, by the 95 % interval."""
        return self.secret_low <= self.guess  # False for NaN: what was not measured is not gone


@dataclass(frozen=True)
class Group:
    """The trials of one family and secret."""

    name: str
    points: tuple[Laundered, ...]
    """In order of trial, and of steps as they were tried."""
    front: NDArray[np.int64]
    """Positions of the points that no other undercuts in both secret accuracy and loss, in order of loss."""

    @property
    def trials(self) -> tuple[int, ...]:
        """The trials that were laundered."""
        return tuple(dict.fromkeys(point.trial for point in self.points))

    def of(self, step: str) -> tuple[Laundered, ...]:
        """Return the points of one step."""
        return tuple(point for point in self.points if point.step == step)

    def cheapest_silencing(self) -> str | None:
        """Return the step that silences every trial of the group at the least mean loss; None if there is none."""
        steps = dict.fromkeys(point.step for point in self.points)
        losses = {
            step: float(np.mean([point.expression_lost for point in self.of(step)]))
            for step in steps
            if {point.trial for point in self.of(step) if point.silenced} == set(self.trials)
        }
        known = {step: loss for step, loss in losses.items() if not math.isnan(loss)}
        return min(known, key=lambda step: known[step], default=None)


def load_laundering(folder: Path) -> tuple[Group, ...]:
    """Read what was laundered in a study, by family and secret; nothing where there is no such file.

    Raises:
        AnalysisError: If the file cannot be read, is of another version, or lacks columns.
    """
    path = folder / FILE
    if not path.is_file():
        return ()
    try:
        table = pq.read_table(path)
        version = json.loads((table.schema.metadata or {})[b"study"])["schema_version"]
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise AnalysisError(f"{FILE} cannot be read ({error}); move it away, or launder again") from error
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if version not in SUPPORTED_VERSIONS or missing:
        raise AnalysisError(
            f"{FILE} is of version {version!r}, where this code reads {', '.join(map(str, SUPPORTED_VERSIONS))}, and "
            f"lacks the columns {', '.join(missing) or 'none'}; move it away, and launder again"
        )
    rows = table.to_pylist()
    names = dict.fromkeys(_group_name(row) for row in rows)
    return tuple(_group(name, [row for row in rows if _group_name(row) == name]) for name in sorted(names))


def step_words(step: str) -> str:
    """Return a step as people read it: "jpeg75" -> "JPEG 75"."""
    match = re.fullmatch(r"([a-z]+)([0-9.]*)", step)
    return _WORDS[match[1]].format(match[2]) if match and match[1] in _WORDS else step


def steps_of(groups: Iterable[Group]) -> tuple[str, ...]:
    """Return all steps, in the order in which they were tried."""
    return tuple(dict.fromkeys(point.step for group in groups for point in group.points))


def _group_name(row: dict[str, Any]) -> str:
    return f"{row['family']} · {row['secret']}"


def _group(name: str, rows: Sequence[dict[str, Any]]) -> Group:
    untouched = {row["trial"]: _float(row, "expression_accuracy") for row in rows if row["step"] == UNTOUCHED}
    points = tuple(_point(row, untouched.get(row["trial"], math.nan)) for row in rows)
    values = np.array([[point.secret_accuracy, point.expression_lost] for point in points])
    front = np.flatnonzero(nondominated(values, (False, False)))
    return Group(name, points, front[np.lexsort((values[front, 0], values[front, 1]))])


def _point(row: dict[str, Any], untouched: float) -> Laundered:
    guesses = (_float(row, "secret_accuracy.chance"), _float(row, "secret_accuracy.majority"))
    return Laundered(
        trial=row["trial"],
        step=row["step"],
        secret_accuracy=_float(row, "secret_accuracy"),
        secret_low=_float(row, "secret_accuracy.low"),
        guess=max((guess for guess in guesses if not math.isnan(guess)), default=math.nan),
        reconstruction_ssim=_float(row, "reconstruction_ssim"),
        bit_error_rate=_float(row, "bit_error_rate"),
        expression_lost=untouched - _float(row, "expression_accuracy"),
        released_psnr=_float(row, "released_psnr"),
    )


def _float(row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    return math.nan if value is None else float(value)
