"""The searcher's contract, row by row: whatever becomes of a trial, what is recorded and what Optuna holds afterwards.

In every row no trial is left RUNNING, and feasibility fails closed: nothing that was not wholly measured is feasible,
neither in the records nor for Optuna, which takes a completed trial without constraints for feasible.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from models.measurement import Measurement
from study.bounds import CLIP
from study.config import StudyConfig
from study.empty import EXPERIMENT
from study.evaluation import Context
from study.objective import score, unmeasured
from study.outcomes import Outcome
from study.progress import Progress
from study.records import Records, read_parts
from study.search import RUN_AGAIN, Proposal, Search
from study.searcher import StudySearcher
from study.spending import Spending
from study.storage import open_storage
from study.trainable import REPORT
from study.trial_run import TrialTask, WorkerReport

MakeConfig = Callable[..., StudyConfig]
Metrics = dict[str, Measurement]
CHECKS = ["detectability", "leak"]
NAN = Measurement(math.nan, math.nan, math.nan, 0.2, 0.18, 0.22)


class Task(TrialTask):
    """What a trial is given here: nothing runs."""

    def __init__(self, proposal: Proposal) -> None:
        self.__dict__["number"] = proposal.number

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number}


class Study:
    """A searcher without Ray, whose trials end as a test says."""

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self.search = Search(config, open_storage("", config.output))
        self.records = Records(config, EXPERIMENT.metrics)
        progress = Progress(config.objective, config.budget.trials, stream=io.StringIO())
        spending = Spending(config.budget, 1.0, {})
        self.searcher = StudySearcher(config, EXPERIMENT, self.search, self.records, progress, spending, Task)

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.search.study.get_trials()

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        return {row["trial"]: row for row in read_parts(self.config.output)}


def new_study(make_config: MakeConfig, *overrides: str, **options: Any) -> Study:
    config = make_config("budget.trials=1", "space.starting_points=[]", *overrides, **options)
    config.output.mkdir(exist_ok=True)
    return Study(config)


def measured(change: Callable[[Metrics], object] = lambda metrics: None) -> WorkerReport:
    """Return the last report of a trial that passes every check, its metrics changed."""
    context = Context({}, {}, Path(), Path(), "cpu")
    step = EXPERIMENT.start({**EXPERIMENT.defaults(), "x": 0.4, "epochs": 1}, 0, context).step()
    metrics = dict(step.metrics)
    change(metrics)
    return WorkerReport((), 1.0, done=True, metrics=metrics)


def fault(outcome: Outcome) -> WorkerReport:
    return WorkerReport((), 1.0, done=True, fault=outcome, error="RuntimeError: asked to")


UNFINISHED = WorkerReport((), 1.0)


def without(name: str) -> Callable[[Metrics], object]:
    return lambda metrics: metrics.pop(name)


def nan_in(name: str) -> Callable[[Metrics], object]:
    return lambda metrics: metrics.update({name: NAN})


def without_votes(metrics: Metrics) -> None:
    for name in ("leak.plain", "leak.high_pass"):
        metrics[name] = replace(metrics[name], votes=False)


@dataclass(frozen=True)
class Row:
    """One row of the contract."""

    event: str
    happens: Callable[[StudySearcher, str], object]
    """What Ray tells the searcher of the trial."""
    outcome: Outcome
    state: TrialState
    """What Optuna holds when the outcome stands."""
    at_worst: tuple[str, ...] = ()
    """Checks whose margin is at its worst."""
    values: list[float] | None = None
    """What Optuna holds as values; None for none."""
    tries: int = 1
    """Trials it takes until the outcome stands."""


def ends_with(report: WorkerReport) -> Callable[[StudySearcher, str], object]:
    return lambda searcher, name: searcher.on_trial_complete(name, {REPORT: report})


def paused_then_stopped(searcher: StudySearcher, name: str) -> None:
    searcher.on_trial_result(name, {REPORT: UNFINISHED})  # after which a scheduler pauses it, and Ray says nothing
    searcher.on_trial_complete(name)


def worker_lost(searcher: StudySearcher, name: str) -> None:
    searcher.on_trial_result(name, {REPORT: UNFINISHED})
    searcher.on_trial_complete(name, error=True)


COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
MISSING, DETECTED, ALL = Outcome.CHECK_MISSING, ("detectability",), ("detectability", "leak")
QUALITY = measured().metrics["quality"].value
CONTRACT = [
    Row("everything passes", ends_with(measured()), Outcome.OK, COMPLETE, (), [QUALITY]),
    Row("NaN objective", ends_with(measured(nan_in("quality"))), Outcome.OBJECTIVE_MISSING, COMPLETE, ALL, [0.0]),
    Row("missing objective", ends_with(measured(without("quality"))), Outcome.OBJECTIVE_MISSING, COMPLETE, ALL, [0.0]),
    Row("NaN check", ends_with(measured(nan_in("detectability"))), MISSING, COMPLETE, DETECTED, [QUALITY]),
    Row("NaN of one adversary", ends_with(measured(nan_in("leak.plain"))), MISSING, COMPLETE, ("leak",), [QUALITY]),
    Row("missing check", ends_with(measured(without("detectability"))), MISSING, COMPLETE, DETECTED, [QUALITY]),
    Row("missing adversary", ends_with(measured(without("leak.high_pass"))), MISSING, COMPLETE, ("leak",), [QUALITY]),
    Row("nobody may vote", ends_with(measured(without_votes)), MISSING, COMPLETE, ("leak",), [QUALITY]),
    Row("no metrics at all", ends_with(measured(dict.clear)), Outcome.OBJECTIVE_MISSING, COMPLETE, ALL, [0.0]),
    Row("diverged", ends_with(fault(Outcome.DIVERGED)), Outcome.DIVERGED, COMPLETE, ALL, [0.0]),
    Row("crashed trial", ends_with(fault(Outcome.CRASHED)), Outcome.CRASHED, FAIL, tries=2),
    Row("out of memory", ends_with(fault(Outcome.OUT_OF_MEMORY)), Outcome.OUT_OF_MEMORY, COMPLETE, ALL, [0.0], tries=2),
    Row("stopped early", ends_with(UNFINISHED), Outcome.STOPPED_EARLY, PRUNED, ALL),
    Row("paused, then stopped", paused_then_stopped, Outcome.STOPPED_EARLY, PRUNED, ALL),
    Row("stopped before any report", lambda s, name: s.on_trial_complete(name), Outcome.STOPPED_EARLY, PRUNED, ALL),
    Row("worker killed too often", worker_lost, Outcome.PREEMPTED, FAIL),
]


@pytest.mark.parametrize("row", CONTRACT, ids=lambda row: row.event)
def test_contract(make_config: MakeConfig, row: Row) -> None:
    study = new_study(make_config)
    tries = 0
    while isinstance(study.searcher.suggest(f"trial {tries}"), dict):
        row.happens(study.searcher, f"trial {tries}")
        tries += 1
    assert study.searcher.failure is None
    assert tries == row.tries
    assert study.search.done

    recorded = study.rows
    assert [recorded[number]["outcome"] for number in range(tries)] == [row.outcome] * tries
    assert [recorded[number]["feasible"] for number in range(tries)] == [row.outcome is Outcome.OK] * tries

    *earlier, last = study.trials
    assert [trial.state for trial in earlier] == [FAIL] * (tries - 1)
    assert last.state is row.state
    assert last.user_attrs["outcome"] == row.outcome
    assert last.values == row.values
    if last.state is FAIL:  # teaches no sampler anything, so it needs no constraints
        return
    assert list(last.constraints) == CHECKS
    assert {check for check, margin in last.constraints.items() if margin == CLIP} == set(row.at_worst)
    assert all(margin <= 0 for margin in last.constraints.values()) == (row.outcome is Outcome.OK)
    assert {check: recorded[last.number][f"constraint.{check}"] for check in CHECKS} == last.constraints


def test_every_outcome_is_in_the_contract() -> None:
    assert {row.outcome for row in CONTRACT} >= set(Outcome) - {Outcome.INFEASIBLE}


def test_a_violated_bound_is_recorded_and_told_with_its_margin(make_config: MakeConfig) -> None:
    def leaks(metrics: Metrics) -> None:
        metrics["leak.plain"] = replace(metrics["leak.plain"], value=0.3, low=0.28, high=0.32)

    study = new_study(make_config)
    study.searcher.suggest("a")
    study.searcher.on_trial_complete("a", {REPORT: measured(leaks)})
    (trial,) = study.trials
    assert study.rows[0]["outcome"] == Outcome.INFEASIBLE
    assert 0 < trial.constraints["leak"] < CLIP
    assert trial.constraints["detectability"] <= 0


def test_a_killed_driver_leaves_a_trial_that_the_next_one_continues(make_config: MakeConfig) -> None:
    study = new_study(make_config)
    assert isinstance(study.searcher.suggest("a"), dict)
    asked = study.trials[0].params
    again = Study(replace(study.config, resume=True))
    assert again.search.recover({}).waiting == (0,)
    assert again.trials[0].state is TrialState.WAITING
    assert again.searcher.suggest("b") == {"task": {"number": 0}}
    assert again.trials[0].params == asked
    again.searcher.on_trial_complete("b", {REPORT: measured()})
    assert [trial.state for trial in again.trials] == [COMPLETE]


def test_an_interrupted_study_leaves_its_trials_waiting_and_recorded_as_preempted(make_config: MakeConfig) -> None:
    study = new_study(make_config)
    study.searcher.suggest("a")
    study.searcher.interrupt()
    assert study.trials[0].state is TrialState.WAITING
    assert study.rows[0]["outcome"] == Outcome.PREEMPTED
    assert not study.search.done
    again = Study(replace(study.config, resume=True))
    assert again.search.recover(again.records.scores()).told == ()
    assert again.searcher.suggest("b") == {"task": {"number": 0}}


@pytest.mark.parametrize("asked", [0, 1, 3])
def test_starting_points_are_not_enqueued_again_in_a_storage_that_has_them(make_config: MakeConfig, asked: int) -> None:
    config = make_config("budget.trials=5")
    config.output.mkdir()
    first = Study(config)
    for name in range(asked):
        first.searcher.suggest(str(name))
    again = Study(replace(config, resume=True))
    again.search.recover({})
    points = []
    for name in range(5):
        again.searcher.suggest(str(name))
    for trial in again.trials:
        points += [point for point in config.space.starting_points if trial.params == point]
    assert points == list(config.space.starting_points)
    assert [trial.number for trial in again.trials] == list(range(5))


def test_starting_points_of_which_some_were_enqueued_are_completed(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver is killed between two of them."""
    config = make_config("budget.trials=5")
    config.output.mkdir()
    enqueue, calls = optuna.Study.enqueue_trial, []

    def die_at_second(self: optuna.Study, params: dict[str, Any], **named: Any) -> None:
        calls.append(params)
        if len(calls) == 2:
            raise KeyboardInterrupt
        enqueue(self, params, **named)

    monkeypatch.setattr(optuna.Study, "enqueue_trial", die_at_second)
    with pytest.raises(KeyboardInterrupt):
        Study(config)
    monkeypatch.undo()
    waiting = [trial.system_attrs["fixed_params"] for trial in Study(replace(config, resume=True)).trials]
    assert waiting == list(config.space.starting_points)


def test_constraints_given_in_another_order_are_the_same_to_optuna(make_config: MakeConfig) -> None:
    def other_way_round(values: dict[str, Any]) -> None:
        bounds = values["checks"]["bounds"]
        values["checks"]["bounds"] = dict(reversed(bounds.items()))

    orders = []
    for edit in (None, other_way_round):
        config = make_config("budget.trials=2", edit=edit)
        search = Search(config, optuna.storages.InMemoryStorage())
        passed = score(config.objective, EXPERIMENT.metrics, measured().metrics)
        backwards = replace(passed, margins=dict(reversed(passed.margins.items())))
        for given in (passed, backwards):
            proposal = search.ask()
            assert proposal is not None
            search.tell(proposal.number, given)
        orders += [list(trial.constraints.items()) for trial in search.study.get_trials()]
    assert [name for name, _ in orders[0]] == CHECKS
    assert all(order == orders[0] for order in orders)


@pytest.mark.parametrize("told", ["nothing", "attributes", "one constraint", "all constraints"])
def test_a_trial_that_was_half_told_is_told_the_rest(make_config: MakeConfig, told: str) -> None:
    study = new_study(make_config)
    study.searcher.suggest("a")
    result = score(study.config.objective, EXPERIMENT.metrics, measured().metrics)
    trial = study.search._running[0]
    if told != "nothing":
        trial.set_user_attr("outcome", "ok")
        trial.set_user_attr(RUN_AGAIN, False)
    for check in {"one constraint": CHECKS[:1], "all constraints": CHECKS}.get(told, []):
        trial.set_constraint(check, result.margins[check])
    again = Study(replace(study.config, resume=True))
    assert again.search.recover({0: result}).told == (0,)
    assert again.search.done
    assert again.trials[0].state is COMPLETE
    assert again.trials[0].constraints == result.margins


def test_a_rerun_that_was_due_when_the_driver_was_killed_is_enqueued_once(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study(make_config)
    study.searcher.suggest("a")

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study.search, "_enqueue_rerun", die)
    with pytest.raises(KeyboardInterrupt):
        study.searcher.on_trial_complete("a", {REPORT: fault(Outcome.CRASHED)})
    for _ in range(2):
        again = Study(replace(study.config, resume=True))
        again.search.recover(again.records.scores())
    failed, waiting = again.trials
    assert (failed.state, waiting.state) == (FAIL, TrialState.WAITING)
    assert waiting.user_attrs["rerun_of"] == 0
    assert waiting.system_attrs["fixed_params"] == failed.params


def test_a_trial_that_cannot_be_recorded_is_put_back_and_stops_the_study(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    study = new_study(make_config)
    study.searcher.suggest("a")
    monkeypatch.setattr(study.records, "write", fail)
    study.searcher.on_trial_complete("a", {REPORT: measured()})
    assert isinstance(study.searcher.failure, OSError)
    assert study.searcher.suggest("b") == "FINISHED"
    assert [trial.state for trial in study.trials] == [TrialState.WAITING]


def test_what_is_read_back_from_the_records_is_what_was_scored(make_config: MakeConfig) -> None:
    study = new_study(make_config, "budget.trials=3")
    reports: Mapping[str, WorkerReport] = {
        "a": measured(),
        "b": measured(nan_in("quality")),
        "c": measured(without("leak.plain")),
    }
    expected = {}
    for number, (name, report) in enumerate(reports.items()):
        study.searcher.suggest(name)
        study.searcher.on_trial_complete(name, {REPORT: report})
        expected[number] = score(study.config.objective, EXPERIMENT.metrics, report.metrics)
    for number, read in study.records.scores().items():
        wanted = expected[number]
        assert (read.margins, read.verdicts, read.outcome) == (wanted.margins, wanted.verdicts, wanted.outcome)
        assert str(read.objectives) == str(wanted.objectives)  # NaN is not equal to itself


def test_a_trial_the_searcher_does_not_know_is_ignored(make_config: MakeConfig) -> None:
    study = new_study(make_config)
    study.searcher.on_trial_result("stranger", {REPORT: UNFINISHED})
    study.searcher.on_trial_complete("stranger", {REPORT: measured()})
    assert study.trials == []
    assert study.rows == {}


def test_unmeasured_trials_of_any_kind_are_infeasible_to_optuna_and_to_us(make_config: MakeConfig) -> None:
    objective = make_config().objective
    for outcome in set(Outcome) - {Outcome.OK}:
        result = unmeasured(objective, outcome)
        assert not result.feasible
        assert all(margin > 0 for margin in result.margins.values())
