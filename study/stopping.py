"""Early stopping of one study: which trials compete with which, and what is known again when it is resumed.

Knows nothing of Ray; ``study.early_stopping`` is the thin layer that does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from study.config import StudyConfig
from study.nested import flatten
from study.records import Epoch, recorded_history
from study.schedulers import Decision, SuccessiveHalving


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

    def _enter(self, number: int, values: Mapping[str, Any], history: Sequence[Epoch]) -> Decision:
        stratum, decision = tuple(_plain(values.get(name)) for name in self._strata), Decision.CONTINUE
        for item in history:
            signal = self._source.read(item.signals)
            decision = self._scheduler.decide(str(number), item.epoch, signal, stage=item.stage, stratum=stratum)
        return decision


def _plain(value: Any) -> Hashable:
    """Return a value as it compares equal whether a configuration or a record holds it: columns have one type."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return str(value)
