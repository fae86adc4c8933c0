"""What the checks were calibrated on, and with what result: controls of all trials, alike ones put together."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from analysis.records import Control, Study


@dataclass(frozen=True)
class ControlSummary:
    """One control of one adversary over all trials that ran it."""

    check: str
    adversary: str
    control: str
    required: str
    """What was required; " or " joins several, where trials differ."""
    low: float
    """Smallest lower end of the 95 % interval over trials; NaN where none was measured."""
    high: float
    value_low: float
    """Smallest value over trials."""
    value_high: float
    trials: int
    passed: int

    @property
    def sound(self) -> bool:
        """Whether it passed in every trial."""
        return self.passed == self.trials


def summarise_controls(study: Study) -> tuple[ControlSummary, ...]:
    """Put alike controls together; those that failed somewhere first."""
    groups: dict[tuple[str, str, str], list[Control]] = {}
    for control in study.controls:
        groups.setdefault((control.check, control.adversary, control.control), []).append(control)
    summaries = [_summary(*key, group) for key, group in groups.items()]
    return tuple(sorted(summaries, key=lambda item: (item.sound, item.check, item.adversary, item.control)))


def _summary(check: str, adversary: str, control: str, group: list[Control]) -> ControlSummary:
    required = sorted({item.required for item in group if item.required})
    return ControlSummary(
        check=check,
        adversary=adversary,
        control=control,
        required=" or ".join(required) if len(required) <= 2 else f"{required[0]} … {required[-1]}",
        low=_extreme(min, [item.low for item in group]),
        high=_extreme(max, [item.high for item in group]),
        value_low=_extreme(min, [item.value for item in group]),
        value_high=_extreme(max, [item.value for item in group]),
        trials=len({item.trial for item in group}),
        passed=len({item.trial for item in group} - {item.trial for item in group if not item.passed}),
    )


def _extreme(choose: Callable[[list[float]], float], values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return choose(known) if known else math.nan
