"""Early stopping of one study: which trials compete with which, and what is known again when it is resumed.

Knows nothing of Ray; ``study.early_stopping`` is the thin layer that does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from study.config import StudyConfig
from study.nested import flatten
from study.outcomes import Outcome
from study.parameter import comparable
from study.records import Epoch, recorded_history
from study.schedulers import Decision, SuccessiveHalving

WITHOUT_RESULT = (Outcome.CRASHED, Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.PREEMPTED)
"""Outcomes after which a trial competes with nobody."""


class EarlyStopping:
    """Decides after each report of a trial whether it goes on."""

    def __init__(self, config: StudyConfig, scheduler: SuccessiveHalving) -> None:
        """Keep the parts; ``scheduler`` is that of the configuration, knowing no trial yet."""
        self._scheduler, self._source = scheduler, config.scheduler.source
        self._strata, self._defaults = config.space.strata, flatten(config.trial)

    @classmethod
    def of(cls, config: StudyConfig, rows: Iterable[Mapping[str, Any]]) -> EarlyStopping | None:
        """Return the early stopping of a study with what its records tell, None where there is none.

        Args:
            config: The study.
            rows: Its recorded trials, as ``study.records.read_parts`` returns them; none of a new study.
        """
        scheduler = config.scheduler.build()
        if scheduler is None:
            return None
        stopping = cls(config, scheduler)
        for row in rows:
            stopping.restore(row)
        return stopping

    def restore(self, row: Mapping[str, Any]) -> None:
        """Let a recorded trial take its places in the rungs again, whatever became of it then."""
        if row["outcome"] in WITHOUT_RESULT:
            return
        values = {name: row.get(f"param.{name}") for name in self._strata}
        known = {name: value for name, value in values.items() if value is not None}
        self._enter(row["trial"], {**self._defaults, **known}, recorded_history(row))

    def decide(self, number: int, trial: Mapping[str, Any], history: Sequence[Epoch]) -> Decision:
        """Return what becomes of a trial.

        Args:
            number: The trial.
            trial: Its complete nested configuration.
            history: What it reported since it was last asked about. After a restart that is everything: the trial
                passed all rungs but the last one before, and is not judged by them again.
        """
        return self._enter(number, flatten(trial), history)

    def forget(self, number: int) -> None:
        """Take a trial that ended without a result from its places: it shall not stop others, nor its own rerun."""
        self._scheduler.forget(str(number))

    def _enter(self, number: int, values: Mapping[str, Any], history: Sequence[Epoch]) -> Decision:
        stratum, decision = tuple(comparable(values.get(name)) for name in self._strata), Decision.CONTINUE
        for item in history:
            signal = self._source.read(item.signals)
            decision = self._scheduler.decide(str(number), item.epoch, signal, stage=item.stage, stratum=stratum)
        return decision
