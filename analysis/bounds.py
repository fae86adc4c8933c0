"""Bounds as people write them, ``expression_accuracy >= baseline - 0.05``, understood well enough to be drawn.

Margins and feasibility come from the records and are never recomputed here; this only says where, in the unit of the
metric, a bound lies for an adversary whose baseline, chance and majority are known.
"""

import re
from dataclasses import dataclass

REFERENCES = ("baseline", "chance", "majority")

_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"
_FORM = re.compile(
    rf"^\s*(?P<metric>[\w.]+)\s*(?P<sense><=|>=)\s*"
    rf"(?:(?P<number>[+-]?{_NUMBER})|(?P<reference>{'|'.join(REFERENCES)})(?:\s*(?P<sign>[+-])\s*(?P<offset>{_NUMBER}))?)\s*$"
)


@dataclass(frozen=True)
class Bound:
    """A bound on a metric: ``reference + offset``, or ``offset`` alone where it is absolute."""

    metric: str
    sense: str
    """"<=" or ">="."""
    reference: str | None
    """One of :data:`REFERENCES`, or None for an absolute bound."""
    offset: float
    """In the unit of the metric."""

    def at(self, *, baseline: float, chance: float, majority: float) -> float:
        """Return where the bound lies, in the unit of the metric; NaN if what it refers to is NaN."""
        if self.reference is None:
            return self.offset
        return {"baseline": baseline, "chance": chance, "majority": majority}[self.reference] + self.offset


def parse_bound(text: str) -> Bound | None:
    """Understand ``<metric> (<=|>=) <number>`` or ``<metric> (<=|>=) (baseline|chance|majority) [+|- <number>]``.

    Returns:
        The bound, or None where ``text`` has another form (it is then shown as text only).
    """
    match = _FORM.match(text)
    if match is None:
        return None
    if match["number"] is not None:
        return Bound(match["metric"], match["sense"], None, float(match["number"]))
    offset = float(match["offset"] or 0.0)
    return Bound(match["metric"], match["sense"], match["reference"], -offset if match["sign"] == "-" else offset)
