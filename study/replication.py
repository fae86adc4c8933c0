"""Which seed of which configuration runs next, and what a configuration is worth when its seeds have ended.

One Optuna trial is one configuration; each of its replicates is a trial of its own for Ray. With racing, a
configuration gets its next seed only while ``study.racing`` finds it promising; otherwise all of them at once. What was
recorded by an earlier driver is taken up: no replicate that ended is run again.

A configuration fails closed. One seed that diverged, did not fit into memory or was lost makes that the outcome of the
whole, and one that could not be judged leaves the mean unjudged; in both cases further seeds could change nothing, so
none are begun.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from models.measurement import Measurement
from study.evaluation import MetricInfo
from study.objective import MAXIMISE, ObjectiveConfig, Score, measured_under, score, unmeasured
from study.outcomes import Outcome
from study.parameter import comparable
from study.racing import Floats, Seeds, deviations, promising
from study.records import FinishedTrial
from study.replicate_records import ReplicateRecords
from study.replicates import UPPER, aggregate, standard_error
from study.scheduler_config import NONE
from study.search import Proposal, trial_seed

if TYPE_CHECKING:
    from study.config import StudyConfig

FAULTS = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.STOPPED_EARLY, Outcome.CRASHED, Outcome.PREEMPTED)
"""Outcomes that a single seed gives to its configuration; of several the first: facts before faults of machines."""


@dataclass
class _Configuration:
    """A configuration that is not told yet; replicates by index."""

    proposal: Proposal
    finished: dict[int, FinishedTrial]
    waiting: list[int] = field(default_factory=list)
    running: set[int] = field(default_factory=set)


class Replication:
    """The replicates of all configurations of a study."""

    def __init__(self, config: StudyConfig, infos: Mapping[str, MetricInfo], records: ReplicateRecords) -> None:
        """Take up what is recorded of earlier configurations, which new ones have to compete with."""
        self._config, self._infos, self._records = config, infos, records
        self._begun: dict[int, _Configuration] = {}
        self._strata: dict[int, tuple[Hashable, ...]] = {}
        self._scores: dict[int, list[Score]] = {}
        for row in records.rows():
            parameters = {name: row.get(f"param.{name}") for name in config.space.strata}
            self._note(row["trial"], parameters, records.read_score(row))

    def begin(self, proposal: Proposal) -> FinishedTrial | None:
        """Take a configuration that Optuna proposed; return its record if all of its seeds had ended before.

        Args:
            proposal: The configuration, with the seed of its first replicate.
        """
        recorded = self._records.read(proposal.number, proposal.parameters) if self._config.replicates > 1 else {}
        finished = {index: trial for index, trial in recorded.items() if trial.score.outcome is not Outcome.PREEMPTED}
        self._begun[proposal.number] = one = _Configuration(proposal, finished)
        return self._go_on(one)

    def next(self) -> Proposal | None:
        """Return a replicate to run, of the oldest configuration that waits for one; None if none does."""
        for number, one in self._begun.items():
            if one.waiting:
                index = one.waiting.pop(0)
                one.running.add(index)
                return replace(one.proposal, replicate=index, seed=trial_seed(self._config.seed, number, index))
        return None

    def ended(self, replicate: int, trial: FinishedTrial) -> FinishedTrial | None:
        """Record a replicate that ended; return the configuration's own record once no other seed is to come.

        Raises:
            OSError: If it could not be recorded.
        """
        one = self._begun[trial.number]
        if self._config.replicates > 1:
            self._records.write(trial, replicate)
            self._note(trial.number, trial.parameters, trial.score)
        one.running.discard(replicate)
        one.finished[replicate] = trial
        return self._go_on(one)

    def interrupted(self, number: int, running: Sequence[FinishedTrial], error: str) -> FinishedTrial:
        """Return the record of a configuration whose driver ends; ``running`` are its replicates that had not ended."""
        one = self._begun.pop(number)
        trials = [*(one.finished[index] for index in sorted(one.finished)), *running]
        if not trials:  # proposed, and not even its first replicate was begun
            proposal = one.proposal
            trials = [FinishedTrial(number, proposal.parameters, proposal.seed, self._preempted, {}, (), (), 0.0, 0.0)]
        return replace(combine(self._config.objective, self._infos, trials), score=self._preempted, error=error)

    @property
    def begun(self) -> tuple[int, ...]:
        """Numbers of the configurations that are not told yet."""
        return tuple(self._begun)

    def drop(self, number: int) -> None:
        """Forget a configuration that could not be recorded or told."""
        self._begun.pop(number, None)

    @property
    def _preempted(self) -> Score:
        return unmeasured(self._config.objective, Outcome.PREEMPTED)

    def _go_on(self, one: _Configuration) -> FinishedTrial | None:
        """Let replicates wait to be run; return the record of the whole if there are none and none is running."""
        busy = {*one.finished, *one.running, *one.waiting}
        missing = [index for index in range(self._config.replicates) if index not in busy]
        if any(trial.score.outcome not in (Outcome.OK, Outcome.INFEASIBLE) for trial in one.finished.values()):
            one.waiting.clear()
        elif not self._config.racing:
            alone = self._config.scheduler.name != NONE and 0 not in one.finished  # it may be stopped early
            one.waiting += [index for index in missing if index == 0] if alone else missing
        elif missing and not one.running and not one.waiting and self._deserves_another(one):
            one.waiting.append(missing[0])
        if one.running or one.waiting:
            return None
        del self._begun[one.proposal.number]
        trials = [one.finished[index] for index in sorted(one.finished)]
        return combine(self._config.objective, self._infos, trials)

    def _deserves_another(self, one: _Configuration) -> bool:
        if not one.finished:
            return True
        number = one.proposal.number
        stratum = self._strata[number]
        same = {other: self._seeds(other) for other, theirs in self._strata.items() if theirs == stratum}
        rivals = [seeds for other, seeds in same.items() if other != number and seeds is not None]
        own = same[number]
        assert own is not None  # a seed that was not measured has settled the configuration
        first = one.finished[min(one.finished)]
        stated = stated_errors(self._config.objective, self._infos, first.metrics)
        return promising(own, rivals, deviations([*rivals, own], stated))

    def _note(self, number: int, parameters: Mapping[str, object], result: Score) -> None:
        if result.outcome is not Outcome.PREEMPTED:
            self._strata[number] = tuple(comparable(parameters.get(name)) for name in self._config.space.strata)
            self._scores.setdefault(number, []).append(result)

    def _seeds(self, number: int) -> Seeds | None:
        """Return what a configuration's seeds measured, None if one of them was not wholly measured."""
        scores, objective = self._scores[number], self._config.objective
        if any(one.outcome not in (Outcome.OK, Outcome.INFEASIBLE) for one in scores):
            return None
        losses = [
            [-one.objectives[item.name] if item.direction == MAXIMISE else one.objectives[item.name] for one in scores]
            for item in objective.searched
        ]
        margins = [[one.margins[bound.check] for bound in objective.bounds] for one in scores]
        return Seeds(np.array(losses).T, np.array(margins).reshape(len(scores), len(objective.bounds)))


def combine(
    objective: ObjectiveConfig, infos: Mapping[str, MetricInfo], trials: Sequence[FinishedTrial]
) -> FinishedTrial:
    """Return the record of a configuration from those of its replicates, in their order; of one alone, that one.

    Means of what was measured, judged anew; see the module's docstring for replicates that were not. Losses are those
    of the first, seconds are added up.
    """
    first = trials[0]
    if len(trials) == 1:
        return first
    outcomes = [trial.score.outcome for trial in trials]
    fault = next((outcome for outcome in FAULTS if outcome in outcomes), None)
    metrics = aggregate([trial.metrics for trial in trials])
    errors = [f"seed {trial.seed}: {trial.error}" for trial in trials if trial.error]
    return replace(
        first,
        score=score(objective, infos, metrics) if fault is None else unmeasured(objective, fault),
        metrics=metrics,
        controls=tuple(dict.fromkeys(control for trial in trials for control in trial.controls)),
        seconds=sum(trial.seconds for trial in trials),
        memory=max((trial.memory for trial in trials if trial.memory), key=lambda use: use.peak, default=None),
        finished=max(trial.finished for trial in trials),
        error="; ".join(errors) or None,
        replicates=len(trials),
        standard_errors={
            item.name: standard_error([trial.score.objectives[item.name] for trial in trials])
            for item in objective.objectives
        },
    )


def stated_errors(
    objective: ObjectiveConfig, infos: Mapping[str, MetricInfo], metrics: Mapping[str, Measurement]
) -> Floats:
    """Return the standard errors that measurements state themselves, (searched objectives + bounds,).

    Of several members behind a metric the largest; those of bounds are in units of the margin.
    """

    def largest(metric: str) -> float:
        members = [item for item in measured_under(metric, infos, metrics).values() if item is not None and item.votes]
        return max((item.high - item.low) / (2 * ndtri(UPPER)) for item in members)

    return np.array(
        [largest(item.metric) for item in objective.searched]
        + [largest(bound.metric) / bound.scale for bound in objective.bounds]
    )
