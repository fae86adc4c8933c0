"""Optuna behind ask and tell: what to try next, and what every outcome teaches the sampler. Knows nothing of Ray.

The storage is the truth about a study: which trials exist, which are finished, which starting points were enqueued.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from study.bounds import CLIP
from study.earlier import EARLIER, known_trial
from study.experiments import load_experiment
from study.nested import with_values
from study.objective import MAXIMISE, Score
from study.outcomes import RULES, Outcome, Told
from study.parameter import Value
from study.samplers import build_sampler
from study.storage import StorageError

if TYPE_CHECKING:
    from study.config import StudyConfig

ENQUEUED, ATTEMPT, RERUN_OF, OUTCOME, RUN_AGAIN = "starting_points", "attempt", "rerun_of", "outcome", "run_again"
ALONE = "alone"
GIVEN, REPEATED, REFUSED = "given", "repeated", "refused"
FOLDER, SPENT = "folder", "spent"
"""Names and values of the attributes that this module keeps in Optuna's storage."""

MODEL_DRAWS, DRAWS = 5, 20
"""Draws from the sampler, then at random up to so many in all, before a configuration is asked a second time: a model
that is sure of itself in a small space of categories draws the same again and again, and a space may be exhausted."""

PERMITTED_DRAWS = 1000
"""Draws before giving up on finding a configuration that the experiment does not refuse."""

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
    """The trial's own seed, a function of the study's seed, the number and the replicate."""
    replicate: int = 0
    """Which of the seeds of this configuration it is."""
    alone: bool = False
    """Whether it ran out of memory before, and is to have a device to itself."""


def trial_seed(study_seed: int, number: int, replicate: int = 0) -> int:
    """Return the seed of one replicate of trial ``number``, an integer in [0, 2**31)."""
    entropy = (study_seed, number, replicate) if replicate else (study_seed, number)
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)


@dataclass(frozen=True)
class Recovered:
    """What was found of a study whose driver ended without its doing."""

    told: tuple[int, ...]
    """Trials whose record was written but not told; they are finished now."""
    waiting: tuple[int, ...]
    """Trials that were begun and not ended; they wait to be continued under their number."""
    unrecorded: tuple[int, ...]
    """Trials that are finished in the storage, but have no record."""


class Search:
    """The running search of one study."""

    def __init__(self, config: StudyConfig, storage: optuna.storages.BaseStorage, folder_id: str = "") -> None:
        """Create the study in ``storage``, or load it if the configuration says ``resume``; enqueue starting points.

        Args:
            config: The study.
            storage: The storage.
            folder_id: Identity of the study folder, kept in the storage.

        Raises:
            optuna.exceptions.DuplicatedStudyError: If the storage holds a study of this name already.
            StorageError: If the storage's study belongs to another folder.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._config = config
        self._experiment = load_experiment(config.experiment)
        self.study = optuna.create_study(
            storage=storage,
            study_name=config.name,
            directions=[_direction(objective.direction) for objective in config.objective.searched],
            load_if_exists=config.resume,
        )
        trials = self.study.get_trials(deepcopy=False)
        if self.study.user_attrs.get(FOLDER, None if trials else folder_id) != folder_id:
            raise StorageError(f"the storage's study named {config.name!r} belongs to another folder")
        self.study.set_user_attr(FOLDER, folder_id)
        # A sampler that began again with the same random numbers would draw what it drew before. The quasi-random one
        # keeps its place in the storage, under its seed.
        # An earlier study may have had the same seed: what it drew is known, and drawing it again would be in vain.
        earlier = len(config.warm_start.trials)
        first_seed = trial_seed(config.seed, earlier) if earlier else config.seed
        new_seed = trials and config.searcher.name != "qmc"
        seed = trial_seed(first_seed, len(trials)) if new_seed else first_seed
        self._sampler = build_sampler(config.searcher, seed)
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._running: dict[int, Trial] = {}
        self._asked = [dict(trial.params) for trial in trials if trial.state.is_finished()]
        self.finished = sum(_counts(trial) for trial in trials)
        """Trials that count for the budget: those that ended and are not run again."""
        self._enqueue_starting_points()

    @property
    def spent(self) -> dict[str, float]:
        """Seconds that the study has used up, by kind, as last set."""
        return dict(self.study.user_attrs.get(SPENT) or {})

    @spent.setter
    def spent(self, value: Mapping[str, float]) -> None:
        self.study.set_user_attr(SPENT, dict(value))

    def recover(self, recorded: Mapping[int, Score]) -> Recovered:
        """Bring the storage into agreement with the records after the driver was lost, whenever that happened.

        A trial whose record was written before the loss is told now; one that was running waits again, under its own
        number, so that it continues from its last checkpoint; a rerun that was due is enqueued. Repeatable.

        Args:
            recorded: Scores of all records, by trial number.
        """
        trials = self.study.get_trials(deepcopy=False)
        told = []
        for trial in trials:
            if trial.state is not TrialState.RUNNING:
                continue
            self._running[trial.number] = Trial(self.study, trial._trial_id)
            score = recorded.get(trial.number)
            if score is None or score.outcome is Outcome.PREEMPTED:
                self.put_back(trial.number)
            else:
                self.tell(trial.number, score)
                self._asked.append(dict(trial.params))
                told.append(trial.number)
        now = self.study.get_trials(deepcopy=False)
        begun = tuple(trial.number for trial in now if trial.state is TrialState.WAITING and trial.params)
        again = {trial.user_attrs.get(RERUN_OF) for trial in now}
        for trial in trials:
            if trial.state.is_finished() and trial.user_attrs.get(RUN_AGAIN) and trial.number not in again:
                self._enqueue_rerun(trial)
        ended = [trial for trial in trials if trial.state.is_finished() and RUN_AGAIN in trial.user_attrs]
        unrecorded = [trial.number for trial in ended if trial.number not in recorded]
        return Recovered(tuple(told), begun, tuple(unrecorded))

    def knows(self, number: int) -> bool:
        """Return whether the storage holds a trial of this number."""
        return number < len(self.study.get_trials(deepcopy=False))

    @property
    def told(self) -> frozenset[int]:
        """Numbers of the trials that the storage holds as finished."""
        return frozenset(trial.number for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished())

    def _enqueue_starting_points(self) -> None:
        """Enqueue what is to be tried first, once in the life of the storage.

        Between the two kinds of starting points the trials of earlier studies are added: points that the user chose
        are tried even if they are among these, those of the space are not.
        """
        if self.study.user_attrs.get(ENQUEUED):
            return
        self._enqueue(self._config.starting_points)
        self._add_earlier()
        self._enqueue(self._config.space.starting_points)
        self.study.set_user_attr(ENQUEUED, True)

    def _enqueue(self, points: Iterable[Mapping[str, Value]]) -> None:
        for point in points:
            self.study.enqueue_trial(dict(point), user_attrs={GIVEN: True}, skip_if_exists=True)

    def _add_earlier(self) -> None:
        """Add the trials of earlier studies that the storage does not hold yet; they never count for the budget."""
        added = {trial.user_attrs.get(EARLIER) for trial in self.study.get_trials(deepcopy=False)}
        for index, trial in enumerate(self._config.warm_start.trials):
            if index not in added:
                self.study.add_trial(known_trial(index, self._config))
                self._asked.append(dict(trial.parameters))

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

        Numbers of draws that were asked before, or that the experiment refuses, are skipped, so the numbers of a
        study's trials can have gaps.

        Raises:
            RuntimeError: If the experiment refuses whatever is drawn.
        """
        if self.finished + self.running >= self._config.budget.trials:
            return None
        for draw in range(PERMITTED_DRAWS):
            trial, parameters = self._draw(self._sampler if draw < MODEL_DRAWS else self._random)
            reason = self._reason_to_skip(trial, parameters, may_repeat=draw >= DRAWS)
            if reason is None:
                break
            self._skip(trial, reason)
        else:
            problems = "; ".join(self._problems(parameters))
            raise RuntimeError(
                f"{PERMITTED_DRAWS} configurations in a row are not possible, the last because {problems}"
            )
        self.study.sampler = self._sampler  # the one that is to learn what is told
        if parameters in self._asked:
            trial.set_user_attr(GIVEN, True)  # if it has to wait again, it must not be taken for a repeat
        self._asked.append(parameters)
        self._running[trial.number] = trial
        return Proposal(
            number=trial.number,
            parameters=parameters,
            trial=with_values(self._config.trial, parameters),
            seed=trial_seed(self._config.seed, trial.number),
            alone=bool(trial.user_attrs.get(ALONE)),
        )

    def _reason_to_skip(self, trial: Trial, parameters: dict[str, Value], *, may_repeat: bool) -> str | None:
        if self._problems(parameters):
            return REFUSED
        repeated = GIVEN not in trial.user_attrs and not may_repeat and parameters in self._asked
        return REPEATED if repeated else None

    def _skip(self, trial: Trial, reason: str) -> None:
        """Tell a draw that is not evaluated. Refusal is a fact of the configuration, told as infeasible at the clip: a
        sampler that learns nothing of it draws its like again and again, until random draws replace the model's."""
        trial.set_user_attr(OUTCOME, reason)
        if reason == REPEATED:
            self.study.tell(trial, state=TrialState.FAIL)
            return
        objective = self._config.objective
        for check in sorted({bound.check for bound in objective.bounds} - set(trial.constraints)):
            trial.set_constraint(check, CLIP)
        self.study.tell(trial, [one.worst for one in objective.searched])

    def _problems(self, parameters: dict[str, Value]) -> list[str]:
        """Return why the experiment cannot evaluate a combination of values, each of which the space permits."""
        config = self._config
        return self._experiment.problems(with_values(config.trial, parameters), config.data)

    def _draw(self, sampler: optuna.samplers.BaseSampler) -> tuple[Trial, dict[str, Value]]:
        self.study.sampler = sampler
        trial = self.study.ask()
        try:
            return trial, self._config.space.suggest(trial, self._config.trial)
        except BaseException:
            self._wait(trial)  # nobody else knows of it, so nobody else would put it back
            raise

    def tell(self, number: int, score: Score) -> bool:
        """Tell Optuna how a trial ended; after this it is not RUNNING, whatever happened to it.

        Repeatable: a trial of which a part was told before the driver was lost is told the rest.

        Args:
            number: The trial.
            score: How it ended.

        Returns:
            Whether the configuration waits to be run again under a new number, and so does not count for the budget.
        """
        trial = self._running.pop(number)
        attempt = trial.user_attrs.get(ATTEMPT, 0)
        run_again = attempt < RULES[score.outcome].reruns
        trial.set_user_attr(OUTCOME, str(score.outcome))
        trial.set_user_attr(RUN_AGAIN, run_again)
        told = Told.FAIL if run_again else RULES[score.outcome].told
        if told is not Told.FAIL:
            for check in sorted(set(score.margins) - set(trial.constraints)):
                trial.set_constraint(check, score.margins[check])
        self.study.tell(trial, self._values(score) if told is Told.COMPLETE else None, _STATES[told])
        if run_again:
            self._enqueue_rerun(trial)
        else:
            self.finished += 1
        return run_again

    def _enqueue_rerun(self, trial: Trial | FrozenTrial) -> None:
        attributes = {GIVEN: True, ATTEMPT: trial.user_attrs.get(ATTEMPT, 0) + 1, RERUN_OF: trial.number}
        if trial.user_attrs.get(OUTCOME) == Outcome.OUT_OF_MEMORY:
            attributes[ALONE] = True
        self.study.enqueue_trial(dict(trial.params), user_attrs=attributes)

    def put_back(self, number: int) -> None:
        """Let a trial that has not ended wait again, under its own number; nothing if it was told already."""
        trial = self._running.pop(number, None)
        if trial is not None:
            self._wait(trial)

    def _wait(self, trial: Trial) -> None:
        """Make a running trial the next to be asked; Optuna keeps its number and parameters."""
        trial.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def _values(self, score: Score) -> list[float]:
        """Return the searched objectives, the worst possible where one was not measured: Optuna refuses NaN."""
        values = []
        for objective in self._config.objective.searched:
            value = score.objectives[objective.name]
            values.append(value if math.isfinite(value) else objective.worst)
        return values


def _counts(trial: optuna.trial.FrozenTrial) -> bool:
    """Return whether a trial counts for the budget: it ended, was no repeated draw, and is not run again."""
    return trial.state.is_finished() and trial.user_attrs.get(RUN_AGAIN) is False


def _direction(direction: str) -> StudyDirection:
    return StudyDirection.MAXIMIZE if direction == MAXIMISE else StudyDirection.MINIMIZE
