"""Finished trials of earlier studies that a new study's sampler starts from, and the copy of them in its folder.

The copy makes the study independent of the earlier one: that may be moved, go on or be removed, and resuming after a
crash adds exactly the trials that are still missing in the storage. ``study.warm_start`` chooses the trials.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from study.durable import write_text_durably
from study.parameter import Value
from study.samplers import attributes_of_known

if TYPE_CHECKING:
    from study.config import StudyConfig

WARM_START = "warm_start.json"
"""File of a study folder: the trials that it was started from."""

EARLIER, EARLIER_TRIAL = "earlier", "earlier_trial"
"""Attributes of such a trial in Optuna's storage: its place in that file, and what it was, for people."""


@dataclass(frozen=True)
class EarlierTrial:
    """A finished trial of another study, in terms of this one."""

    study: str
    """Name of the other study."""
    number: int
    """Its number there."""
    parameters: dict[str, Value]
    """Parameters of this study's space that are active, by dotted name."""
    values: dict[str, float | None]
    """The objectives that this study searches for, None where one was not measured."""
    margins: dict[str, float]
    """Margin of every constraint of this study, never NaN; all at the clip where an objective was not measured."""


@dataclass(frozen=True)
class WarmStart:
    """What a study starts from."""

    trials: tuple[EarlierTrial, ...] = ()
    notes: tuple[str, ...] = ()
    """What was taken and what was not, for people; empty on a resumption."""


def write_earlier(folder: Path, warm_start: WarmStart) -> None:
    """Write the trials into a study folder, if there are any."""
    if warm_start.trials:
        text = json.dumps([asdict(trial) for trial in warm_start.trials], indent=1)
        write_text_durably(folder / WARM_START, text + "\n")


def read_earlier(folder: Path, problems: list[str]) -> WarmStart:
    """Read what :func:`write_earlier` wrote; what is wrong with it is added to ``problems``."""
    path = folder / WARM_START
    try:
        return WarmStart(tuple(EarlierTrial(**fields) for fields in json.loads(path.read_text())))
    except (OSError, ValueError, TypeError) as error:
        problems.append(f"{path} cannot be read ({error}); put a copy of it back")
        return WarmStart()


def known_trial(index: int, config: StudyConfig) -> optuna.trial.FrozenTrial:
    """Return an earlier trial as a sampler of this study sees one: complete, with its objectives and margins.

    Args:
        index: Its place among ``config.warm_start.trials``.
        config: The new study.
    """
    earlier, searched = config.warm_start.trials[index], config.objective.searched
    asked = optuna.trial.FixedTrial(earlier.parameters)
    parameters = config.space.suggest(asked, config.trial)
    values = [earlier.values[objective.name] for objective in searched]
    return optuna.trial.create_trial(
        values=[one.worst if value is None else value for one, value in zip(searched, values, strict=True)],
        params=parameters,
        distributions=asked.distributions,
        constraints={check: earlier.margins[check] for check in sorted(earlier.margins)},
        user_attrs={EARLIER: index, EARLIER_TRIAL: f"trial {earlier.number} of {earlier.study}"},
        system_attrs=attributes_of_known(config.searcher),
    )
