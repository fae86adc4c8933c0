"""Configurations of an Optuna study as arrays: what the model behind a sampler sees of them.

Which parameters a configuration has may depend on others. What is known of such conditions is what the study's trials
show: a categorical parameter is *structural* if another parameter was there with some of its values only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Array = NDArray[np.float64]

INACTIVE = 0.5
"""What the model sees of a parameter that a configuration does not have."""


@dataclass(frozen=True)
class Column:
    """One parameter on [0, 1]."""

    name: str
    distribution: BaseDistribution
    choices: tuple[Any, ...]
    """Values in the order of their levels; empty for a number."""
    levels: int
    """Number of values; 0 for a continuous number or too many to matter."""
    nominal: bool
    """Whether the values have no order. Categories that are all numbers have one: strength 1, 2, 4, 8."""

    def encode(self, value: Any) -> float:
        """Return the place of ``value`` in [0, 1]."""
        if self.choices:
            return self.choices.index(value) / max(self.levels - 1, 1)
        low, high = self._ends()
        scaled = np.log(value) if self._log else value
        return float((scaled - low) / (high - low)) if high > low else INACTIVE

    def decode(self, place: float) -> Any:
        """Return the value at ``place``, the nearest one that the distribution has."""
        if self.choices:
            return self.choices[round(place * (self.levels - 1))]
        low, high = self._ends()
        value = low + float(np.clip(place, 0.0, 1.0)) * (high - low)
        value = float(np.exp(value)) if self._log else value
        distribution = self.distribution
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        if distribution.step is not None:
            value = distribution.low + round((value - distribution.low) / distribution.step) * distribution.step
        value = min(max(value, distribution.low), distribution.high)
        return int(value) if isinstance(distribution, IntDistribution) else value

    def snap(self, places: Array) -> Array:
        """Return the places of the nearest values that there are, in [0, 1]."""
        places = np.clip(places, 0.0, 1.0)
        return np.round(places * (self.levels - 1)) / (self.levels - 1) if self.levels > 1 else places

    @property
    def _log(self) -> bool:
        return bool(getattr(self.distribution, "log", False))

    def _ends(self) -> tuple[float, float]:
        distribution = self.distribution
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        low, high = float(distribution.low), float(distribution.high)
        return (float(np.log(low)), float(np.log(high))) if self._log else (low, high)


def make_column(name: str, distribution: BaseDistribution) -> Column:
    """Return the column of one parameter."""
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        ordered = all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)
        choices = tuple(sorted(choices)) if ordered else tuple(choices)  # type: ignore[type-var]
        return Column(name, distribution, choices, len(choices), nominal=not ordered)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    levels = 0
    if distribution.step is not None and not distribution.log:
        levels = round((distribution.high - distribution.low) / distribution.step) + 1
    return Column(name, distribution, (), levels, nominal=False)


@dataclass(frozen=True)
class Encoding:
    """The parameters of a study that can vary, in the order of their names."""

    columns: tuple[Column, ...]
    structural: NDArray[np.bool_]
    """Parameters on whose values others depend, (parameters,)."""

    @property
    def chosen(self) -> NDArray[np.bool_]:
        """Parameters that take one of a list of values, (parameters,)."""
        return np.array([bool(column.choices) for column in self.columns], dtype=bool)

    @property
    def nominal(self) -> NDArray[np.bool_]:
        """Parameters whose values have no order, (parameters,)."""
        return np.array([column.nominal for column in self.columns], dtype=bool)

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """Return (configurations, parameters) in [0, 1], NaN where a configuration has no such parameter."""
        rows = [
            [column.encode(one[column.name]) if column.name in one else np.nan for column in self.columns]
            for one in configurations
        ]
        return np.array(rows, dtype=float).reshape(len(configurations), len(self.columns))

    def decode(self, row: Array) -> dict[str, Any]:
        """Return the configuration at one row, without the parameters that are NaN in it."""
        pairs = zip(self.columns, row, strict=True)
        return {column.name: column.decode(place) for column, place in pairs if not np.isnan(place)}

    def random(self, structures: Array, rng: np.random.Generator) -> Array:
        """Return random configurations with the structure of the given ones, (n, parameters)."""
        return np.where(self.structural | np.isnan(structures), structures, self._draw(len(structures), rng))

    def neighbours(self, rows: Array, width: Array, rng: np.random.Generator) -> Array:
        """Return a neighbour of each row: some parameters, at least one, moved by about ``width`` or exchanged.

        Args:
            rows: (n, parameters).
            width: Standard deviation of a move of an ordered parameter, (n,).
            rng: Source of randomness.
        """
        free = ~self.structural & ~np.isnan(rows)
        share = np.minimum(1.0, 2.0 / np.maximum(free.sum(axis=1), 1))
        chance = np.where(free, rng.random(rows.shape), np.inf)
        moved = free & ((chance < share[:, None]) | (chance == chance.min(axis=1, keepdims=True)))
        steps = width[:, None] * rng.standard_normal(rows.shape)
        for index, column in enumerate(self.columns):
            if column.levels > 1:  # a whole level at least
                one = 1.0 / (column.levels - 1)
                steps[:, index] = np.sign(steps[:, index]) * np.maximum(np.abs(steps[:, index]), one)
        reflected = np.abs(rows + steps)
        reflected = np.clip(np.where(reflected > 1.0, 2.0 - reflected, reflected), 0.0, 1.0)
        values = np.where(self.nominal, self._draw(len(rows), rng), self._snap(reflected))
        return np.where(moved, values, rows)

    def _draw(self, count: int, rng: np.random.Generator) -> Array:
        """Return uniform draws from the values of every parameter, (count, parameters)."""
        uniform = rng.random((count, len(self.columns)))
        for index, column in enumerate(self.columns):
            if column.levels:
                uniform[:, index] = np.floor(uniform[:, index] * column.levels) / max(column.levels - 1, 1)
        return uniform

    def _snap(self, places: Array) -> Array:
        return np.column_stack([column.snap(places[:, index]) for index, column in enumerate(self.columns)])


def seen(points: Array) -> Array:
    """Return what the model sees of encoded configurations: a value where a parameter is inactive."""
    return np.where(np.isnan(points), INACTIVE, points)


def make_encoding(
    distributions: Mapping[str, BaseDistribution], configurations: Sequence[Mapping[str, Any]]
) -> Encoding:
    """Return the encoding of all parameters that configurations of a study have had.

    Args:
        distributions: By name.
        configurations: Every configuration tried so far, from which conditions are read.
    """
    columns = tuple(make_column(name, distributions[name]) for name in sorted(distributions))
    encoding = Encoding(columns, np.zeros(len(columns), dtype=bool))
    rows = encoding.encode(configurations)
    return Encoding(columns, np.array([_is_structural(rows, index) for index in range(len(columns))]) & encoding.chosen)


def _is_structural(rows: Array, index: int) -> bool:
    """Return whether some parameter was there with one value of the parameter at ``index`` and never with another."""
    active = ~np.isnan(rows)
    values = np.unique(rows[active[:, index], index])
    present = np.array([active[rows[:, index] == value].any(axis=0) for value in values])
    return bool(len(values) and (present.any(axis=0) & ~present.all(axis=0)).any())
