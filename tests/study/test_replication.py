"""Studies of several seeds: what is run, what the search is told, what is recorded, and what a lost driver costs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
from optuna.trial import FrozenTrial, TrialState

from models.measurement import Measurement
from study.bounds import CLIP
from study.config import ConfigError, StudyConfig
from study.empty import EXPERIMENT
from study.evaluation import Context
from study.forecast import forecast
from study.outcomes import Outcome
from study.progress import Progress
from study.records import Records, read_parts
from study.replicate_records import REPLICATES
from study.resources import Plan
from study.resume import resumed_config
from study.search import Search, trial_seed
from study.searcher import StudySearcher
from study.spending import Spending
from study.storage import open_storage
from study.trainable import REPORT
from study.trial_run import WorkerReport
from tests.study.in_process import evaluate_all

MakeConfig = Callable[..., StudyConfig]
NOISY = ("trial.noise=0.02", "checkpoint_every=1", "searcher=random")


def table(config: StudyConfig, name: str) -> list[dict[str, Any]]:
    return pq.read_table(config.output / f"{name}.parquet").to_pylist()


def told(config: StudyConfig) -> list[FrozenTrial]:
    return optuna.load_study(study_name=config.name, storage=open_storage("", config.output)).get_trials()


def test_the_search_is_told_means_and_every_seed_is_recorded(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=4", "replicates=3", "racing=false", "seed=3", *NOISY)
    evaluate_all(config)
    seeds = table(config, "replicates")
    assert [(row["trial"], row["replicate"]) for row in seeds] == [(n, r) for n in range(4) for r in range(3)]
    assert [row["seed"] for row in seeds] == [trial_seed(3, row["trial"], row["replicate"]) for row in seeds]
    assert len({row["objective.quality"] for row in seeds}) == 12
    for row, trial in zip(table(config, "trials"), told(config), strict=True):
        own = [seed["objective.quality"] for seed in seeds if seed["trial"] == row["trial"]]
        spread = (sum((value - sum(own) / 3) ** 2 for value in own) / 2) ** 0.5
        assert row["objective.quality"] == pytest.approx(sum(own) / 3)
        assert row["standard_error.quality"] == pytest.approx(spread / 3**0.5)
        assert row["metric.quality.high"] - row["metric.quality"] == pytest.approx(
            (0.02**2 + (4.302653 * spread) ** 2 / 3) ** 0.5
        )
        assert row["replicates"] == 3
        assert trial.values == [row["objective.quality"]]
        assert trial.constraints == {name: row[f"constraint.{name}"] for name in ("detectability", "leak")}
    assert {path.name for path in (config.output / "artifacts" / "0").iterdir()} == {
        "config.yaml",
        "replicate_1",
        "replicate_2",
    }


def test_one_seed_is_a_study_as_it_was(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=3")
    evaluate_all(config)
    assert not list(config.output.glob("replicates*"))
    rows = table(config, "trials")
    assert [row["replicates"] for row in rows] == [1, 1, 1]
    assert not [name for name in rows[0] if name.startswith("standard_error")]
    assert [row["seed"] for row in rows] == [trial_seed(0, number) for number in range(3)]


def test_seeds_of_first_replicates_are_those_of_a_study_of_one_seed() -> None:
    assert trial_seed(5, 7, 0) == trial_seed(5, 7)
    assert len({trial_seed(5, number, replicate) for number in range(20) for replicate in range(5)}) == 100


def test_racing_gives_further_seeds_to_some_only(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=20", "replicates=3", "trial.noise=0.002", "searcher=random")
    evaluate_all(config)
    rows, seeds = table(config, "trials"), table(config, "replicates")
    assert len(rows) == 20
    assert sum(row["replicates"] for row in rows) == len(seeds) < 40
    assert {row["replicates"] for row in rows} >= {1, 3}
    best = max((row for row in rows if row["feasible"]), key=lambda row: row["objective.quality"])
    assert best["replicates"] == 3
    assert all(row["replicates"] == 1 for row in rows if row["constraint.leak"] == CLIP)


class Task:
    """What a trial is given here: nothing runs."""

    def to_dict(self) -> dict[str, Any]:
        return {}


class Study:
    """A searcher of three seeds without racing and without Ray, whose replicates end as a test says."""

    def __init__(self, config: StudyConfig, stream: io.StringIO | None = None) -> None:
        config.output.mkdir(exist_ok=True)
        self.config = config
        self.search = Search(config, open_storage("", config.output))
        if config.resume:
            self.search.recover(Records(config, EXPERIMENT.metrics).scores())
        records, spending = Records(config, EXPERIMENT.metrics), Spending(config.budget, 1.0, {})
        progress = Progress(config.objective, config.budget.trials, stream=stream or io.StringIO())
        self.searcher = StudySearcher(
            config,
            EXPERIMENT,
            self.search,
            records,
            progress,
            spending,
            lambda proposal: Task(),  # type: ignore[arg-type,return-value]
        )

    def end(self, name: str, report: WorkerReport | None = None, *, lost: bool = False) -> None:
        self.searcher.on_trial_complete(name, {REPORT: report} if report else None, error=lost)
        assert self.searcher.failure is None

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        return {row["trial"]: row for row in read_parts(self.config.output)}

    @property
    def replicates(self) -> dict[tuple[int, int], dict[str, Any]]:
        rows = read_parts(self.config.output, parts=REPLICATES)
        return {(row["trial"], row["replicate"]): row for row in rows}


@pytest.fixture
def config(make_config: MakeConfig) -> StudyConfig:
    return make_config("budget.trials=1", "replicates=3", "racing=false", "space.starting_points=[]")


def measured(x: float = 0.4, **changed: Measurement) -> WorkerReport:
    context = Context({}, {}, Path(), Path(), "cpu")
    step = EXPERIMENT.start({**EXPERIMENT.defaults(), "x": x, "epochs": 1}, 0, context).step()
    return WorkerReport((), 1.0, done=True, metrics={**step.metrics, **changed}, controls=step.controls)


def fault(outcome: Outcome) -> WorkerReport:
    return WorkerReport((), 1.0, done=True, fault=outcome, error="RuntimeError: asked to")


NAN, BOTH = Measurement.not_measured(), {"detectability", "leak"}


@pytest.mark.parametrize(
    ("report", "outcome", "state", "at_clip"),
    [
        (fault(Outcome.DIVERGED), Outcome.DIVERGED, TrialState.COMPLETE, BOTH),
        (fault(Outcome.OUT_OF_MEMORY), Outcome.OUT_OF_MEMORY, TrialState.FAIL, BOTH),
        (fault(Outcome.CRASHED), Outcome.CRASHED, TrialState.FAIL, BOTH),
        (WorkerReport((), 1.0), Outcome.STOPPED_EARLY, TrialState.PRUNED, BOTH),
        (None, Outcome.PREEMPTED, TrialState.FAIL, BOTH),
        (measured(detectability=NAN), Outcome.CHECK_MISSING, TrialState.COMPLETE, {"detectability"}),
        (measured(quality=NAN), Outcome.OBJECTIVE_MISSING, TrialState.COMPLETE, BOTH),
    ],
)
def test_one_seed_that_was_not_measured_settles_the_configuration(
    config: StudyConfig, report: WorkerReport | None, outcome: Outcome, state: TrialState, at_clip: set[str]
) -> None:
    study = Study(config)
    for name in "abc":
        assert study.searcher.suggest(name) == {"task": {}}
    study.end("a", measured())
    study.end("b", report, lost=report is None)
    assert study.search.study.get_trials()[0].state is TrialState.RUNNING, "the third seed still runs"
    study.end("c", measured())
    trial, row = study.search.study.get_trials()[0], study.rows[0]
    assert (trial.state, row["outcome"], row["feasible"]) == (state, outcome, False)
    assert {check for check in BOTH if row[f"constraint.{check}"] == CLIP} == at_clip
    assert [one["outcome"] for one in study.replicates.values()] == ["ok", outcome, "ok"]
    assert study.search.done is (state is not TrialState.FAIL or outcome is Outcome.PREEMPTED)


def test_after_such_a_seed_no_further_one_is_begun(config: StudyConfig) -> None:
    study = Study(config)
    study.searcher.suggest("a")
    study.end("a", fault(Outcome.DIVERGED))
    assert study.searcher.suggest("b") == "FINISHED"
    assert study.rows[0]["outcome"] == Outcome.DIVERGED


def test_a_crashed_configuration_is_run_again_once_with_other_seeds(config: StudyConfig) -> None:
    study = Study(config)
    study.searcher.suggest("a")
    study.end("a", fault(Outcome.CRASHED))
    for name in "bcd":
        assert study.searcher.suggest(name) == {"task": {}}
        study.end(name, measured())
    assert study.search.done
    assert [row["outcome"] for row in study.rows.values()] == ["crashed", "ok"]
    again = study.search.study.get_trials()[1]
    assert again.user_attrs["rerun_of"] == 0
    assert list(study.replicates) == [(0, 0), (1, 0), (1, 1), (1, 2)]


def test_means_decide_feasibility_and_verdicts_hold_the_spread(config: StudyConfig) -> None:
    study = Study(config)
    for name, x in (("a", 0.5), ("b", 0.5), ("c", 0.62)):  # leaks 0, 0 and 0.12 above the baseline; 0.05 is permitted
        study.searcher.suggest(name)
        study.end(name, measured(x))
    row = study.rows[0]
    assert (row["outcome"], row["replicates"]) == ("ok", 3)
    assert row["constraint.leak"] == pytest.approx((0.04 - 0.05) / 0.05)
    assert row["verdict.leak"] == "too_little_data"
    assert row["seconds"] == 3.0


def test_interrupted_seeds_are_taken_up_and_those_that_ended_are_not_run_again(config: StudyConfig) -> None:
    study = Study(config)
    for name in "ab":
        study.searcher.suggest(name)
    study.end("b", measured())
    study.searcher.interrupt()
    assert study.rows[0]["outcome"] == Outcome.PREEMPTED
    assert study.rows[0]["error"] == "the study was interrupted"
    assert study.search.study.get_trials()[0].state is TrialState.WAITING
    before = study.replicates
    again = Study(replace(config, resume=True))
    for name in "cd":
        assert isinstance(again.searcher.suggest(name), dict)
    assert sorted(one.name for one in again.searcher._trials.values()) == [(0, 0), (0, 2)]
    assert again.searcher.suggest("e") is None
    for name in "cd":
        again.end(name, measured())
    assert again.rows[0]["replicates"] == 3
    assert again.replicates[0, 1] == before[0, 1]


def test_a_configuration_whose_seeds_had_all_ended_is_told_without_running_anything(config: StudyConfig) -> None:
    study = Study(config)
    for name in "abc":
        study.searcher.suggest(name)
        if name != "c":
            study.end(name, measured())

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    study.searcher._records.write = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        study.end("c", measured())
    again = Study(replace(config, resume=True))
    assert again.searcher.suggest("d") == "FINISHED"
    assert again.search.done
    assert again.rows[0]["outcome"] == "ok"
    assert again.search.study.get_trials()[0].state is TrialState.COMPLETE


def test_a_seed_whose_worker_was_lost_too_often_is_run_again_after_an_interrupt(config: StudyConfig) -> None:
    study = Study(config)
    for name in "ab":
        study.searcher.suggest(name)
    study.end("a", lost=True)
    study.searcher.interrupt()
    again = Study(replace(config, resume=True))
    again.searcher.suggest("c")
    assert [one.name for one in again.searcher._trials.values()] == [(0, 0)]


def test_a_seed_that_cannot_be_recorded_stops_the_study(config: StudyConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    study = Study(config)
    study.searcher.suggest("a")
    monkeypatch.setattr("study.replicate_records.write_table", fail)
    study.searcher.on_trial_complete("a", {REPORT: measured()})
    assert isinstance(study.searcher.failure, OSError)
    assert study.searcher.suggest("b") == "FINISHED"
    assert [trial.state for trial in study.search.study.get_trials()] == [TrialState.WAITING]
    study.searcher.interrupt()
    assert study.rows == {}


def test_where_trials_can_be_stopped_the_other_seeds_wait_for_the_first(make_config: MakeConfig) -> None:
    study = Study(make_config("budget.trials=1", "replicates=3", "racing=false", "scheduler=empty"))
    assert study.searcher.suggest("a") is not None
    assert study.searcher.suggest("b") is None
    study.end("a", measured(0.5))
    assert study.searcher.suggest("b") is not None
    assert study.searcher.suggest("c") is not None


def test_a_configuration_of_one_seed_has_one_line(config: StudyConfig) -> None:
    stream = io.StringIO()
    study = Study(config, stream)
    study.searcher.suggest("a")
    study.end("a", fault(Outcome.DIVERGED))
    assert len(stream.getvalue().splitlines()) == 1


def test_the_lines_of_seeds_and_of_their_mean(config: StudyConfig) -> None:
    stream = io.StringIO()
    study = Study(config, stream)
    for name, x in (("a", 0.4), ("b", 0.5), ("c", 0.5)):
        study.searcher.suggest(name)
        study.end(name, measured(x))
    *seeds, whole = stream.getvalue().splitlines()
    assert seeds[0] == "[0/1]   trial 0: ok, quality 0.910 after 1 s"
    assert seeds[1] == "[0/1]   trial 0, replicate 1: ok, quality 0.960 after 1 s"
    assert whole.startswith("[1/1] trial 0: ok, quality 0.943 after 3 s, mean of 3 seeds | feasible 1/1")


@pytest.mark.parametrize("racing", ["true", "false"])
@pytest.mark.parametrize("die_after", [0, 1, 3, 5])
def test_an_interrupted_study_ends_with_its_budget_and_runs_no_seed_twice(
    make_config: MakeConfig, die_after: int, racing: str
) -> None:
    config = make_config("budget.trials=4", "replicates=3", f"racing={racing}", *NOISY)
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(config, die_after=die_after)
    before = read_parts(config.output, parts=REPLICATES)
    assert len(before) >= die_after
    evaluate_all(resumed_config(config.output, []))
    rows, seeds = table(config, "trials"), read_parts(config.output, parts=REPLICATES)
    assert all(row in seeds for row in before)
    assert [trial.state for trial in told(config)] == [TrialState.COMPLETE] * 4
    assert sum(row["replicates"] for row in rows) == len(seeds)
    assert racing == "true" or len(seeds) == 12
    assert not (config.output / "checkpoints").exists()


def test_a_damaged_record_of_a_seed_is_noticed(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=2", "replicates=2", "racing=false", *NOISY)
    evaluate_all(config)
    part = config.output / REPLICATES / "00001.1.parquet"
    part.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"00001\.1\.parquet cannot be read"):
        evaluate_all(resumed_config(config.output, ["budget.trials=3"]))


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_a_number_of_seeds_that_cannot_be_is_refused(make_config: MakeConfig, value: str) -> None:
    with pytest.raises(ConfigError, match=r"replicates=.* must be a whole number >= 1"):
        make_config(f"replicates={value}")


def test_other_seeds_make_another_study(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=1", "replicates=2")
    evaluate_all(config)
    with pytest.raises(ConfigError, match="replicates was 2, is 3"):
        resumed_config(config.output, ["replicates=3"])


def test_a_folder_from_before_there_were_replicates_is_one_of_one_seed(make_config: MakeConfig) -> None:
    def without(values: dict[str, Any]) -> None:
        del values["replicates"], values["racing"]

    config = make_config("budget.trials=1", edit=without)
    assert (config.replicates, config.racing) == (1, True)
    evaluate_all(config)
    assert resumed_config(config.output, []).replicates == 1


def test_the_forecast_counts_every_seed(make_config: MakeConfig) -> None:
    overrides = ("trial.seconds=1", "trial.epochs=2", "budget.trials=5")
    one, three = (forecast(make_config(*overrides, *more), Plan(1.0, 0.0, 1)) for more in ((), ("replicates=3",)))
    assert (one.seconds, three.seconds) == (10.0, 30.0)
    assert "5 trials under up to 3 seeds each" in three.describe()
    assert "seeds" not in one.describe()
