"""Early stopping in a study: who is stopped, what is kept of it, what a resumed study knows, what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState
from ray.tune.schedulers import TrialScheduler

from analysis.__main__ import main as analyse
from study.bounds import CLIP
from study.cli import resolve
from study.config import ConfigError, StudyConfig
from study.early_stopping import StoppingScheduler
from study.evaluation import Stage
from study.outcomes import Outcome
from study.progress import Progress
from study.records import Epoch, read_parts, recorded_history
from study.resume import resumed_config
from study.samplers import SAMPLERS, SearcherConfig, build_sampler
from study.schedulers import Decision
from study.stopping import EarlyStopping
from study.storage import open_storage
from study.trainable import REPORT, TASK
from study.trial_run import WorkerReport
from tests.study.in_process import evaluate_all

MakeConfig = Callable[..., StudyConfig]


def points(*values: float) -> str:
    return "space.starting_points=[" + ",".join(f"{{x: {value}, shape: round}}" for value in values) + "]"


def config_of(make_config: MakeConfig, *overrides: str) -> StudyConfig:
    return make_config("scheduler=empty", "trial.epochs=3", "searcher=random", "name=mine", *overrides)


def rows(config: StudyConfig) -> dict[int, dict[str, Any]]:
    return {row["trial"]: row for row in read_parts(config.output)}


def test_a_trial_that_falls_behind_is_stopped_recorded_and_never_told_complete(make_config: MakeConfig) -> None:
    # qualities 0.96, 0.9744, 0.51, 0.84; all pass the check
    config = config_of(make_config, "budget.trials=4", points(0.5, 0.54, 0.0, 0.3))
    said = io.StringIO()
    assert evaluate_all(config, Progress(config.objective, 4, stream=said))
    found = rows(config)
    assert [found[number]["outcome"] for number in range(4)] == ["ok", "ok", "stopped_early", "stopped_early"]
    assert "trial 2: stopped early after" in said.getvalue()
    assert "[4/4]" in said.getvalue()
    stopped = found[2]
    assert stopped["feasible"] is False
    assert stopped["constraint.leak"] == CLIP
    assert [item.epoch for item in recorded_history(stopped)] == [1]
    assert recorded_history(stopped)[0].signals == {"early_quality": pytest.approx(0.41), "early_leak": 0.2}
    trials = optuna.load_study(study_name="mine", storage=open_storage("", config.output)).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED] * 2
    assert trials[2].values is None


def test_a_trial_competes_in_its_own_stratum_only(make_config: MakeConfig) -> None:
    shapes = ["round", "square", "round", "square"]
    given = [{"x": x, "shape": shape} for x, shape in zip((0.5, 0.3, 0.4, 0.0), shapes, strict=True)]

    def edit(values: dict[str, Any]) -> None:
        values["space"] |= {"strata": ["shape"], "starting_points": given}

    config = make_config("scheduler=empty", "trial.epochs=3", "searcher=random", "budget.trials=4", edit=edit)
    evaluate_all(config)
    assert [rows(config)[number]["outcome"] for number in range(4)] == ["ok", "ok", "stopped_early", "stopped_early"]


def test_a_study_with_stopped_trials_is_reported_and_selected_from(make_config: MakeConfig) -> None:
    config = config_of(make_config, "budget.trials=4", points(0.5, 0.54, 0.0, 0.3))
    evaluate_all(config)
    assert analyse(["report", str(config.output)]) == 0
    assert "stopped by the scheduler before its end" in (config.output / "report.html").read_text()
    assert analyse(["select", str(config.output), "--top", "3"]) == 0
    chosen = yaml.safe_load((config.output / "best.yaml").read_text())["configurations"]
    assert [item["trial"] for item in chosen] == [1, 0]


class Told:
    """What became of trials that report one step each."""

    def __init__(self, config: StudyConfig) -> None:
        stopping = EarlyStopping.of(config, read_parts(config.output))
        assert stopping is not None
        self.stopping, self.config = stopping, config

    def decide(
        self, number: int, quality: float, *, leak: float = 0.2, stage: str = Stage.TRAINING, **trial: Any
    ) -> Decision:
        signals = {"early_quality": quality, "early_leak": leak}
        return self.stopping.decide(number, {**self.config.trial, **trial}, [Epoch(1, {}, signals, stage)])


def test_a_check_that_is_about_to_fail_saves_what_it_would_dominate(make_config: MakeConfig) -> None:
    told = Told(config_of(make_config))
    for number in range(8):
        told.decide(number, 0.9 + number / 100, leak=0.4)
    assert told.decide(8, 0.1, leak=0.2) is Decision.CONTINUE  # worse, but inside the limit that all others are beyond
    assert told.decide(9, 0.1, leak=0.4) is Decision.STOP


def test_what_is_certain_to_fail_is_stopped_before_the_checks(make_config: MakeConfig) -> None:
    told = Told(config_of(make_config, "scheduler.before_checks=true"))
    assert told.decide(0, 0.9, leak=0.9) is Decision.CONTINUE
    assert told.decide(0, 0.9, leak=0.9, stage=Stage.RELEASE) is Decision.STOP
    assert told.decide(1, 0.9, leak=0.3, stage=Stage.RELEASE) is Decision.CONTINUE


@pytest.mark.parametrize(("recorded", "given"), [(1.0, 1), ("True", True), ("round", "round")])
def test_a_record_is_of_the_stratum_of_its_trial_whatever_the_type_of_its_column(
    make_config: MakeConfig, recorded: Any, given: Any
) -> None:
    told = Told(config_of(make_config))
    for number in range(6):
        history = [{"epoch": 1, "losses": [], "signals": [("early_quality", 0.9), ("early_leak", 0.2)]}]
        told.stopping.restore({"trial": number, "outcome": "ok", "param.shape": recorded, "history": history})
    assert told.decide(6, 0.1, shape=given) is Decision.STOP
    assert told.decide(7, 0.1, shape="another") is Decision.CONTINUE


def test_after_a_restart_a_trial_is_not_judged_again_by_rungs_that_it_has_passed(make_config: MakeConfig) -> None:
    told = Told(config_of(make_config))
    for number in range(6):
        told.decide(number, 0.9)
    signals = {"early_quality": 0.1, "early_leak": 0.2}
    history = [Epoch(epoch, {}, signals) for epoch in (1, 2)]
    assert told.stopping.decide(9, told.config.trial, history) is Decision.CONTINUE
    assert told.stopping.decide(10, told.config.trial, history[:1]) is Decision.STOP


def test_a_resumed_study_stops_by_what_was_recorded_and_meets_its_budget(make_config: MakeConfig) -> None:
    config = config_of(make_config, "budget.trials=12", points(0.54, 0.5, 0.0, 0.45))
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(config, die_after=2)
    before = rows(config)
    stopped = {number for number, row in before.items() if row["outcome"] == "stopped_early"}
    assert stopped
    told = Told(config)
    assert told.decide(100, 0.3) is Decision.STOP  # against what the records hold: nobody has reported here
    assert told.decide(101, 0.99) is Decision.CONTINUE
    resumed = resumed_config(config.output, [])
    assert evaluate_all(resumed)
    after = rows(config)
    assert len(after) == 12
    assert {number: after[number]["finished"] for number in stopped} == {
        number: before[number]["finished"] for number in stopped
    }
    assert sum(row["outcome"] in ("ok", "infeasible", "stopped_early") for row in after.values()) == 12


def test_records_of_trials_without_a_result_take_no_places(make_config: MakeConfig) -> None:
    config = config_of(make_config, "budget.trials=4", points(0.54, 0.5, 0.52, 0.45))
    assert evaluate_all(config)
    assert Told(config).decide(100, 0.3) is Decision.STOP
    recorded = [row | {"outcome": "crashed"} for row in rows(config).values()]
    stopping = EarlyStopping.of(config, recorded)
    assert stopping is not None
    told = Told(config)
    told.stopping = stopping
    assert told.decide(100, 0.3) is Decision.CONTINUE


def test_a_new_study_without_a_scheduler_stops_nothing(make_config: MakeConfig) -> None:
    assert EarlyStopping.of(make_config(), []) is None


def test_ray_is_told_to_stop_or_to_go_on(make_config: MakeConfig) -> None:
    told = Told(config_of(make_config))
    for number in range(6):
        told.decide(number, 0.9)
    scheduler = StoppingScheduler(told.stopping)

    def asked(number: int, quality: float, replicate: int = 0) -> str:
        task = {"number": number, "trial": told.config.trial, "replicate": replicate}
        trial = SimpleNamespace(config={TASK: task})
        history = (Epoch(1, {}, {"early_quality": quality, "early_leak": 0.2}, Stage.TRAINING),)
        return scheduler.on_trial_result(None, trial, {REPORT: WorkerReport(history, 1.0)})

    assert asked(7, 0.99) == TrialScheduler.CONTINUE
    assert asked(8, 0.1) == TrialScheduler.STOP
    for number in (20, 21):  # a fault that a worker reports, and a worker that is lost
        assert asked(number, 0.9999 + number) == TrialScheduler.CONTINUE
    task = {"number": 20, "trial": told.config.trial, "replicate": 0}
    ended = WorkerReport((), 1.0, done=True, fault=Outcome.CRASHED)
    scheduler.on_trial_complete(None, SimpleNamespace(config={TASK: task}), {REPORT: ended})
    scheduler.on_trial_error(None, SimpleNamespace(config={TASK: task | {"number": 21}}))
    assert asked(22, 0.995) == TrialScheduler.CONTINUE  # nobody is left that it falls behind
    assert asked(9, 0.1, replicate=1) == TrialScheduler.CONTINUE  # the first seed has competed for all


@pytest.mark.slow
def test_a_study_on_ray_stops_trials(make_config: MakeConfig) -> None:
    from study.driver import run_study

    config = config_of(make_config, "budget.trials=4", "resources.max_concurrent=1", points(0.5, 0.54, 0.0, 0.3))
    said = io.StringIO()
    assert run_study(config, progress=Progress(config.objective, 4, stream=said))
    assert [rows(config)[number]["outcome"] for number in range(4)] == ["ok", "ok", "stopped_early", "stopped_early"]
    assert [len(recorded_history(rows(config)[number])) for number in range(4)] == [3, 3, 1, 1]


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]], ids=["one", "two"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in ("bayesian", "gp") else ()) for name in SAMPLERS]
)
@pytest.mark.parametrize("constrained", [True, False])
def test_every_sampler_lives_with_stopped_trials(name: str, directions: list[str], constrained: bool) -> None:
    settings = SearcherConfig(name, startup_trials=4, population_size=4)
    study = optuna.create_study(directions=directions, sampler=build_sampler(settings, 0))
    while len(study.trials) < 20:
        trial = study.ask()
        x, family = trial.suggest_float("x", 0, 1), trial.suggest_categorical("family", ["a", "b"])
        stopped = family == "b"
        if constrained:
            trial.set_constraint("check", CLIP if stopped else x - 0.8)
        if stopped:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [x, 1 - x][: len(directions)])
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(trial.values is None for trial in study.trials if trial.state is TrialState.PRUNED)


@pytest.mark.parametrize(("name", "trials"), [("tpe", 60), pytest.param("bayesian", 40, marks=pytest.mark.slow)])
def test_what_was_stopped_is_proposed_less_often(name: str, trials: int) -> None:
    """Everything of one family is stopped: a sampler that learnt nothing of it would find it worth a try for ever."""
    study = optuna.create_study(direction="maximize", sampler=build_sampler(SearcherConfig(name, startup_trials=6), 0))
    while len(study.trials) < trials:
        trial = study.ask()
        x, family = trial.suggest_float("x", 0, 1), trial.suggest_categorical("family", ["a", "b"])
        trial.set_constraint("check", CLIP if family == "b" else -1.0)
        if family == "b":
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, 1 - (x - 0.4) ** 2)
    later = study.trials[20:]
    assert sum(trial.params["family"] == "b" for trial in later) <= 0.3 * len(later)  # half of them at random


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("scheduler.name=halving", "scheduler.name='halving' is unknown; permitted: none, successive_halving"),
        ("scheduler.first=0", "scheduler.first=0 must be a whole number >= 1"),
        ("scheduler.reduction=1", "scheduler.reduction=1 must be a whole number >= 2"),
        ("scheduler.before_checks=perhaps", "must be true or false"),
        ("+scheduler.rungs=3", "scheduler.rungs is no option"),
        ("scheduler.objectives.quality=early_qality", "no signal of empty; did you mean 'early_quality'"),
        ("+scheduler.objectives.qualty=early_leak", "names no metric; did you mean 'quality'"),
        ("scheduler.objectives=3", "scheduler.objectives=3 must be a group"),
        ("scheduler.checks.leak.signal=leak", "permitted: early_quality, early_leak"),
        ("scheduler.checks.leak.limit=low", "scheduler.checks.leak.limit='low' must be a number"),
        ("scheduler.checks.leak.certain=0.25", "certain=0.25 must be above limit=0.25, since large values violate"),
        ("+scheduler.checks.leek={signal: early_leak, limit: 1, certain: 2}", "is no check; did you mean 'leak'"),
        ("searcher=gp", "searcher.name='gp' learns nothing from trials that scheduler.name='successive_halving' stops"),
        ("~scheduler.objectives.quality", "no signal stands for quality, which is searched for"),
    ],
)
def test_what_is_wrong_with_a_scheduler_is_said(make_config: MakeConfig, override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config("scheduler=empty", override)
    assert any(words in problem for problem in caught.value.problems), caught.value.problems


def test_several_problems_of_a_scheduler_come_together(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config("scheduler=empty", "scheduler.first=0", "scheduler.reduction=1", "scheduler.checks.leak.signal=x")
    assert len(caught.value.problems) == 3


def test_a_check_that_is_searched_for_needs_no_limit(make_config: MakeConfig) -> None:
    config = make_config(
        "scheduler=empty", "objective.objectives.leak.searched=true", "+scheduler.objectives.leak=early_leak"
    )
    assert config.scheduler.source.objectives == {"early_quality": -1.0, "early_leak": 1.0}
    assert config.scheduler.source.checks == ()


@pytest.mark.parametrize(
    ("objective", "objectives", "checks"),
    [
        ("constrained", {"ssim": -1.0}, {"quick_steganalysis", "quick_identity_excess"}),
        ("pareto", {"ssim": -1.0, "quick_identity": 1.0, "quick_steganalysis": 1.0}, set()),
    ],
)
def test_the_shipped_scheduler_fits_the_shipped_objectives(
    objective: str, objectives: dict[str, float], checks: set[str]
) -> None:
    source = resolve(["scheduler=successive_halving", f"objective={objective}"]).scheduler.source
    assert dict(source.objectives) == objectives
    assert {check.signal for check in source.checks} == checks


def test_resuming_may_not_change_who_is_stopped(make_config: MakeConfig) -> None:
    config = config_of(make_config, "budget.trials=2")
    evaluate_all(config)
    for override in ("scheduler=none", "scheduler.reduction=3"):
        with pytest.raises(ConfigError, match="that would be another study"):
            resumed_config(config.output, [override])
