"""Optuna behind ask and tell: what to try next, and what every outcome teaches the sampler. Knows nothing of Ray.

The storage is the truth about a study: which trials exist, which are finished, which starting points were enqueued.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from study.nested import with_values
from study.objective import MAXIMISE, Score
from study.outcomes import RULES, Told
from study.parameter import Value
from study.samplers import build_sampler

if TYPE_CHECKING:
    from study.config import StudyConfig

ENQUEUED, ATTEMPT, RERUN_OF, OUTCOME, RUN_AGAIN = "starting_points", "attempt", "rerun_of", "outcome", "run_again"
GIVEN, REPEATED = "given", "repeated"
"""Names of the attributes that this module keeps in Optuna's storage."""

MODEL_DRAWS, DRAWS = 5, 20
"""Draws from the sampler, then at random up to so many in all, before a configuration is asked a second time: a model
that is sure of itself in a small space of categories draws the same again and again, and a space may be exhausted."""

_STATES = {Told.COMPLETE: TrialState.COMPLETE, Told.PRUNED: TrialState.PRUNED, Told.FAIL: TrialState.FAIL}


@dataclass(frozen=True)
class Proposal:
    """One configuration to evaluate."""

    number: int
    """Number of the Optuna trial, and of the trial in the records."""
    parameters: dict[str, Value]
    """Active parameters by dotted name."""
    trial: dict[str, Any]
    """Complete nested trial configuration."""
    seed: int
    """The trial's own seed, a function of the study's seed and the number."""


def open_storage(url: str, folder: Path) -> optuna.storages.BaseStorage:
    """Return the storage at ``url``, or the journal file of the study folder if that is empty."""
    if url:
        return optuna.storages.get_storage(url)
    return optuna.storages.JournalStorage(JournalFileBackend(str(folder / "journal.log")))


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed of trial ``number``, an integer in [0, 2**31)."""
    return int(np.random.SeedSequence((study_seed, number)).generate_state(1)[0] >> 1)


class Search:
    """The running search of one study."""

    def __init__(self, config: StudyConfig, storage: optuna.storages.BaseStorage) -> None:
        """Create the study in ``storage`` and enqueue the starting points.

        Raises:
            optuna.exceptions.DuplicatedStudyError: If the storage holds a study of this name already.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._config = config
        self._sampler = build_sampler(config.searcher, config.seed)
        self._random = optuna.samplers.RandomSampler(seed=config.seed)
        self.study = optuna.create_study(
            storage=storage,
            study_name=config.name,
            sampler=self._sampler,
            directions=[_direction(objective.direction) for objective in config.objective.searched],
        )
        self._running: dict[int, Trial] = {}
        self._asked: list[dict[str, Value]] = [dict(trial.params) for trial in self.study.get_trials(deepcopy=False)]
        self.finished = 0
        """Trials that count for the budget: those that ended and are not run again."""
        self._enqueue_starting_points()

    def _enqueue_starting_points(self) -> None:
        """Enqueue what is to be tried first, once in the life of the storage."""
        if self.study.user_attrs.get(ENQUEUED):
            return
        for point in [*self._config.starting_points, *self._config.space.starting_points]:
            self.study.enqueue_trial(dict(point), user_attrs={GIVEN: True}, skip_if_exists=True)
        self.study.set_user_attr(ENQUEUED, True)

    @property
    def running(self) -> int:
        """Number of trials asked for and not yet told."""
        return len(self._running)

    @property
    def done(self) -> bool:
        """Whether the budget is used up."""
        return self.finished >= self._config.budget.trials

    def ask(self) -> Proposal | None:
        """Return what to try next, not yet asked if there is such; None while the rest of the budget is running.

        Numbers of draws that were asked before are skipped, so the numbers of a study's trials can have gaps.
        """
        if self.finished + self.running >= self._config.budget.trials:
            return None
        for draw in range(DRAWS):
            trial, parameters = self._draw(self._sampler if draw < MODEL_DRAWS else self._random)
            if GIVEN in trial.user_attrs or parameters not in self._asked:
                break
            trial.set_user_attr(OUTCOME, REPEATED)
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            trial, parameters = self._draw(self._sampler)
        self.study.sampler = self._sampler  # the one that is to learn what is told
        self._asked.append(parameters)
        self._running[trial.number] = trial
        return Proposal(
            number=trial.number,
            parameters=parameters,
            trial=with_values(self._config.trial, parameters),
            seed=trial_seed(self._config.seed, trial.number),
        )

    def _draw(self, sampler: optuna.samplers.BaseSampler) -> tuple[Trial, dict[str, Value]]:
        self.study.sampler = sampler
        trial = self.study.ask()
        try:
            return trial, self._config.space.suggest(trial, self._config.trial)
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)  # nobody else knows of it, so nobody else would end it
            raise

    def tell(self, number: int, score: Score, *, interrupted: bool = False) -> bool:
        """Tell Optuna how a trial ended; after this it is not RUNNING, whatever happened to it.

        Args:
            number: The trial.
            score: How it ended.
            interrupted: Whether the whole study stops: the trial is then waiting again, whatever its attempts.

        Returns:
            Whether the configuration waits to be run again under a new number, and so does not count for the budget.
        """
        trial = self._running.pop(number)
        attempt = trial.user_attrs.get(ATTEMPT, 0)
        run_again = interrupted or attempt < RULES[score.outcome].reruns
        trial.set_user_attr(OUTCOME, str(score.outcome))
        trial.set_user_attr(RUN_AGAIN, run_again)
        told = Told.FAIL if run_again else RULES[score.outcome].told
        if told is not Told.FAIL:
            for check in sorted(score.margins):
                trial.set_constraint(check, score.margins[check])
        self.study.tell(trial, self._values(score) if told is Told.COMPLETE else None, _STATES[told])
        if run_again:
            attempts = attempt if interrupted else attempt + 1
            self.study.enqueue_trial(trial.params, user_attrs={GIVEN: True, ATTEMPT: attempts, RERUN_OF: number})
        else:
            self.finished += 1
        return run_again

    def give_up(self, number: int) -> None:
        """Tell Optuna FAIL of a trial that ended but could not be recorded, if it was not told already."""
        trial = self._running.pop(number, None)
        if trial is not None:
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _values(self, score: Score) -> list[float]:
        """Return the searched objectives, the worst possible where one was not measured: Optuna refuses NaN."""
        values = []
        for objective in self._config.objective.searched:
            value = score.objectives[objective.name]
            values.append(value if math.isfinite(value) else objective.worst)
        return values


def _direction(direction: str) -> StudyDirection:
    return StudyDirection.MAXIMIZE if direction == MAXIMISE else StudyDirection.MINIMIZE
