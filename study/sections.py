"""Read one group of a resolved configuration field by field, collecting every problem instead of raising the first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from study.nested import near_misses


class Section:
    """One mapping of the configuration, read once; what is wrong with it goes into a shared list of problems.

    A field that is wrong or missing is reported and replaced by a harmless value, so that reading can go on.
    """

    def __init__(self, where: str, mapping: Any, problems: list[str]) -> None:
        """Begin to read ``mapping``, called ``where`` in messages, reporting into ``problems``."""
        self.where = where
        self._problems = problems
        self._read: set[str] = set()
        if isinstance(mapping, Mapping):
            self._mapping: Mapping[str, Any] = mapping
        else:
            self._mapping = {}
            self._report(f"{where}={mapping!r} must be a group of options, as in search_spaces/{where}/*.yaml")

    def _report(self, problem: str) -> None:
        self._problems.append(problem)

    def _name(self, field: str) -> str:
        return f"{self.where}.{field}" if self.where else field

    def raw(self, field: str, default: Any = None) -> Any:
        """Return the field as it is, ``default`` when absent."""
        self._read.add(field)
        return self._mapping.get(field, default)

    def text(self, field: str, permitted: Sequence[str] = (), *, optional: bool = False) -> str:
        """Return a string field; with ``permitted``, one of these. Empty when wrong or, if ``optional``, absent."""
        value = self.raw(field)
        if value is None and optional:
            return ""
        if not isinstance(value, str):
            self._report(f"{self._name(field)}={value!r} must be text" + self._one_of(permitted))
            return ""
        if permitted and value not in permitted:
            self._report(f"{self._name(field)}={value!r} is unknown{self._one_of(permitted)}")
            return permitted[0]
        return value

    def boolean(self, field: str) -> bool:
        """Return a true/false field."""
        value = self.raw(field)
        if not isinstance(value, bool):
            self._report(f"{self._name(field)}={value!r} must be true or false")
            return False
        return value

    def integer(self, field: str, low: int, high: float = math.inf) -> int:
        """Return a whole number in [low, high]."""
        value = self.raw(field)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._report(f"{self._name(field)}={value!r} must be a whole number{_interval(low, high)}")
            return low
        return value

    def number(self, field: str, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a finite number in [low, high]."""
        value = self.raw(field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._report(f"{self._name(field)}={value!r} must be a number{_interval(low, high)}")
            return low if math.isfinite(low) else 0.0
        return float(value)

    def automatic(self, field: str, low: float, *, whole: bool = False) -> float | None:
        """Return a number >= ``low``, or None where the field says ``auto``."""
        if self.raw(field) == "auto":
            return None
        if not isinstance(self.raw(field), int | float) or isinstance(self.raw(field), bool):
            kind = "a whole number" if whole else "a number"
            self._report(f"{self._name(field)}={self.raw(field)!r} must be auto or {kind}{_interval(low, math.inf)}")
            return None
        return self.integer(field, int(low)) if whole else self.number(field, low)

    def close(self) -> None:
        """Report the fields that nothing has read: unknown options."""
        for field in self._mapping:
            if field not in self._read:
                known = sorted(self._read)
                self._report(
                    f"{self._name(str(field))} is no option{near_misses(str(field), known)} "
                    f"(permitted: {', '.join(known)})"
                )

    @staticmethod
    def _one_of(permitted: Sequence[str]) -> str:
        return f"; permitted: {', '.join(permitted)}" if permitted else ""


def _interval(low: float, high: float) -> str:
    """Return " >= 1", " in [0, 1]" or "" for people."""
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" >= {low:g}"
    return f" in [{low:g}, {high:g}]"
