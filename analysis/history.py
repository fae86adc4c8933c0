"""Learning curves: what each trial reported step by step, thinned to what a small chart can show."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

MOST_STEPS = 40
"""Points of a curve; of longer ones every so-manieth is kept, and the last."""
GROUPS = ("signal", "loss")
"""Prefixes of the columns that are curves; signals, which say how a trial will end, come first."""

Curves = dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
"""Name of the column -> epochs, (steps,), int64, rising, and values, (steps,), float64, never NaN."""


def load_curves(folder: Path, trials: Iterable[int]) -> dict[int, Curves]:
    """Read the learning curves of some trials, from ``history.parquet`` and, of those not in it, from their parts.

    Trials whose file is absent or cannot be read have no curves.
    """
    wanted = list(dict.fromkeys(trials))
    found = _from_table(folder / "history.parquet", wanted)
    for trial in wanted:
        if trial not in found:
            curves = _from_part(folder / "parts" / f"{trial:05d}.parquet")
            if curves:
                found[trial] = curves
    return found


def _from_table(path: Path, wanted: list[int]) -> dict[int, Curves]:
    try:
        table = pq.read_table(path) if path.is_file() else None
    except (OSError, pa.ArrowException):
        table = None
    if table is None or not {"trial", "epoch"} <= set(table.column_names):
        return {}
    table = table.filter(pc.is_in(table["trial"], pa.array(wanted, pa.int64()))).sort_by(
        [("trial", "ascending"), ("epoch", "ascending")]
    )
    owners, epochs = table["trial"].to_numpy(), table["epoch"].to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1]))) if len(owners) else np.empty(0, int)
    names = [name for group in GROUPS for name in table.column_names if name.startswith(f"{group}.")]
    columns = {name: np.array(table[name].cast(pa.float64()).to_numpy()) for name in names}
    found: dict[int, Curves] = {}
    for start, stop in zip(starts, [*starts[1:], len(owners)], strict=True):
        curves = {name: _curve(epochs[start:stop], values[start:stop]) for name, values in columns.items()}
        found[int(owners[start])] = {name: curve for name, curve in curves.items() if len(curve[0]) > 1}
    return found


def _from_part(path: Path) -> Curves:
    try:
        rows = pq.ParquetFile(path).read(["history"])["history"].to_pylist() if path.is_file() else []
    except (OSError, KeyError, pa.ArrowException):
        return {}
    steps = sorted((step for row in rows for step in row or ()), key=lambda step: step["epoch"])
    curves: Curves = {}
    for group, field in zip(GROUPS, ("signals", "losses"), strict=True):
        names = dict.fromkeys(name for step in steps for name, _ in step.get(field) or ())
        for name in sorted(names):
            pairs = [(step["epoch"], dict(step.get(field) or ()).get(name)) for step in steps]
            values = np.asarray([np.nan if value is None else value for _, value in pairs], dtype=np.float64)
            curve = _curve(np.asarray([epoch for epoch, _ in pairs], dtype=np.int64), values)
            if len(curve[0]) > 1:
                curves[f"{group}.{name}"] = curve
    return curves


def _curve(epochs: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Leave out what was not measured, then thin."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) > MOST_STEPS:
        known = known[np.linspace(0, len(known) - 1, MOST_STEPS).round().astype(np.int64)]
    return epochs[known], values[known]
