"""One parameter of a search space: its kind, its values, when it is active, and why it is there."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from study.sections import Section

if TYPE_CHECKING:
    from optuna.trial import FixedTrial, Trial

CATEGORICAL, INT, FLOAT = "categorical", "int", "float"
KINDS = (CATEGORICAL, INT, FLOAT)
ROLES = ("scientific", "nuisance", "fixed")
"""Why a parameter is searched: its effect is the question; it must be tuned to answer it; it has one value."""

Value = str | int | float | bool


@dataclass(frozen=True)
class Parameter:
    """One entry of a search space."""

    name: str
    """Dotted name in the trial configuration."""
    kind: str
    """"categorical", "int" or "float"."""
    role: str
    unit: str
    reason: str
    """Why this range, for people."""
    values: tuple[Value, ...] = ()
    """What a categorical parameter may be."""
    low: float = 0.0
    """Smallest value of a number."""
    high: float = 0.0
    """Largest value of a number, itself included."""
    step: float | None = None
    """Distance of neighbouring values; None for 1 (int) or continuous (float)."""
    log: bool = False
    """Whether a number is drawn on a logarithmic scale."""
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Values that other parameters must have for this one to be active."""

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` may be taken."""
        if self.kind == CATEGORICAL:
            return any(value == own and isinstance(value, bool) == isinstance(own, bool) for own in self.values)
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        if self.kind == INT and value != int(value):
            return False
        step = self.step or (1 if self.kind == INT else None)
        return step is None or math.isclose((value - self.low) / step, round((value - self.low) / step), abs_tol=1e-8)

    def own(self, value: Value) -> Value:
        """Return a value that may be taken, as this parameter itself would have it: 4, not 4.0, for an int."""
        if self.kind == CATEGORICAL:
            same = (own for own in self.values if own == value and isinstance(own, bool) == isinstance(value, bool))
            return next(same)
        return int(value) if self.kind == INT else float(value)

    def suggest(self, trial: Trial | FixedTrial) -> Value:
        """Ask an Optuna trial for a value."""
        if self.kind == CATEGORICAL:
            value = trial.suggest_categorical(self.name, self.values)
            assert value is not None  # none of the values is
            return value
        if self.kind == INT:
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def extremes(self) -> tuple[Value, ...]:
        """Return the values that stand for all others when a space is checked: every category, or both ends."""
        if self.kind == CATEGORICAL:
            return self.values
        ends = (self.low, self.high)
        return tuple(int(end) for end in ends) if self.kind == INT else ends

    def permitted(self) -> str:
        """Describe the permitted values for people."""
        if self.kind == CATEGORICAL:
            return ", ".join(str(value) for value in self.values)
        scale = ", log" if self.log else ""
        step = f", step {self.step:g}" if self.step else ""
        return f"{self.kind} in [{self.low:g}, {self.high:g}]{scale}{step}"

    def metadata(self) -> dict[str, Any]:
        """Return the entry as the records' metadata hold it."""
        numeric = self.kind != CATEGORICAL
        return {
            "kind": self.kind,
            "log": self.log,
            "unit": self.unit,
            "role": self.role,
            "reason": self.reason,
            "values": None if numeric else list(self.values),
            "low": self.low if numeric else None,
            "high": self.high if numeric else None,
            "when": {name: list(values) for name, values in self.when.items()},
        }


def read_parameter(where: str, entry: Any, problems: list[str]) -> Parameter | None:
    """Read one entry of ``space.parameters``; None, and at least one more problem, if it cannot be used."""
    before = len(problems)
    section = Section(where, entry, problems)
    name, kind = section.text("name"), section.text("kind", KINDS)
    if name:
        section.where = where = f"{where} ({name})"
    role = section.text("role", ROLES)
    unit, reason = section.text("unit"), section.text("reason")
    values: tuple[Value, ...] = ()
    low, high, log, step = 0.0, 0.0, False, None
    if kind == CATEGORICAL:
        values = _read_values(where, section.raw("values"), problems)
    else:
        low, high = section.number("low"), section.number("high")
        log = section.boolean("log") if section.raw("log") is not None else False
        step = section.number("step", 0) if section.raw("step") is not None else None
        _check_range(where, kind, low, high, log, step, problems)
    when = _read_when(where, section.raw("when"), problems)
    section.close()
    if role == "fixed" and (kind != CATEGORICAL or len(values) > 1):
        problems.append(f"{where}: role fixed needs kind categorical with one value")
    if len(problems) > before:
        return None
    return Parameter(name, kind, role, unit, reason, values, low, high, step, log, when)


def _read_values(where: str, values: Any, problems: list[str]) -> tuple[Value, ...]:
    if not isinstance(values, list) or not values:
        problems.append(f"{where}.values={values!r} must be a list of at least one value")
        return ()
    if any(not isinstance(value, str | int | float | bool) for value in values):
        problems.append(f"{where}.values={values!r} must hold text, numbers or true/false only")
    elif len(values) != len(set(map(repr, values))):
        problems.append(f"{where}.values={values!r} holds a value twice")
    return tuple(values)


def _check_range(
    where: str, kind: str, low: float, high: float, log: bool, step: float | None, problems: list[str]
) -> None:
    if low > high:
        problems.append(f"{where}: low={low:g} is above high={high:g}; no value is possible")
    if log and low <= 0:
        problems.append(f"{where}: low={low:g} must be > 0 on a logarithmic scale")
    if log and step:
        problems.append(f"{where}: step={step:g} cannot be combined with log: true")
    if step == 0:
        problems.append(f"{where}: step=0 must be > 0")
    if kind == INT and any(value != int(value) for value in (low, high, step or 1)):
        problems.append(f"{where}: low, high and step of an int must be whole numbers")


def _read_when(where: str, when: Any, problems: list[str]) -> dict[str, tuple[Value, ...]]:
    if when is None:
        return {}
    if not isinstance(when, Mapping):
        problems.append(f"{where}.when={when!r} must map a parameter to the list of values it must have")
        return {}
    return {str(name): tuple(values) if isinstance(values, list) else (values,) for name, values in when.items()}


def comparable(value: Any) -> Hashable:
    """Return a value as it compares equal whether a configuration or a record holds it: columns have one type."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return str(value)
