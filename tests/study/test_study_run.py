"""Whole studies through Ray: outcomes, records, storage, lost workers and interrupts, as they really happen."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
import yaml
from optuna.trial import TrialState

from study.config import StudyConfig
from study.driver import run_study, start_ray
from study.progress import Progress
from study.records import FinishedTrial, Records, read_parts
from study.resume import resumed_config
from study.storage import open_storage

pytestmark = pytest.mark.slow
MakeConfig = Callable[..., StudyConfig]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    import ray

    start_ray()
    yield
    ray.shutdown()


def rows(folder: Path) -> dict[int, dict[str, Any]]:
    return {row["trial"]: row for row in pq.read_table(folder / "trials.parquet").to_pylist()}


def optuna_trials(config: StudyConfig) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=config.name, storage=open_storage("", config.output)).get_trials()


def watch(folder: Path, stop: threading.Event, seen: list[int]) -> None:
    """Read the parts over and over, as somebody looking at a running study would."""
    while not stop.is_set():
        seen.append(len(read_parts(folder)))
        time.sleep(0.02)


def test_every_fault_ends_as_its_outcome_and_nothing_is_left_running(
    ray_here: None, make_config: MakeConfig, fault_space: dict[str, Any]
) -> None:
    config = make_config("budget.trials=10", "checkpoint_every=1", edit=lambda values: values.update(space=fault_space))
    stream, seen, stop = io.StringIO(), list[int](), threading.Event()
    watcher = threading.Thread(target=watch, args=(config.output, stop, seen))
    watcher.start()
    try:
        assert run_study(config, progress=Progress(config.objective, 10, stream=stream))
    finally:
        stop.set()
        watcher.join()

    records, trials = rows(config.output), optuna_trials(config)
    wanted = {
        "none": "ok",
        "diverge": "diverged",
        "out_of_memory": "out_of_memory",
        "crash": "crashed",
        "worker_killed": "ok",  # a new worker continued it
        "nan_metric": "check_missing",
        "absent_metric": "check_missing",
        "nan_objective": "objective_missing",
    }
    first = {row["param.fault"]: row for number, row in sorted(records.items(), reverse=True) if number < len(wanted)}
    assert {fault: row["outcome"] for fault, row in first.items()} == wanted
    assert [row["feasible"] for row in records.values()] == [row["outcome"] == "ok" for row in records.values()]
    reruns = [trial for trial in trials if "rerun_of" in trial.user_attrs and trial.state.is_finished()]
    assert {trial.params["fault"] for trial in reruns} >= {"out_of_memory", "crash"}

    assert all(trial.state not in (TrialState.RUNNING, TrialState.WAITING) for trial in trials)
    assert sum(not trial.user_attrs["run_again"] for trial in trials) == 10
    assert {trial.number for trial in trials} == set(records)
    for trial in trials:
        assert trial.user_attrs["outcome"] == records[trial.number]["outcome"]
        if trial.state is TrialState.COMPLETE:
            assert list(trial.constraints) == ["detectability", "leak"]
            for check, margin in trial.constraints.items():
                assert margin == records[trial.number][f"constraint.{check}"]

    history = pq.read_table(config.output / "history.parquet").to_pylist()
    killed = first["worker_killed"]["trial"]
    assert [row["epoch"] for row in history if row["trial"] == killed] == [1, 2]
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 3, "the parts were not readable while the study ran"
    assert "[10/10]" in stream.getvalue()
    assert "will be run again" in stream.getvalue()


def test_a_study_leaves_a_whole_folder_without_pickles(ray_here: None, make_config: MakeConfig) -> None:
    config = make_config("budget.trials=4", "searcher=nsgaii", "searcher.population_size=2")
    assert run_study(config, progress=Progress(config.objective, 4, stream=io.StringIO()))
    assert {path.name for path in config.output.iterdir()} == {
        ".lock",
        "artifacts",
        "config.yaml",
        "controls.parquet",
        "environment.json",
        "history.parquet",
        "journal.log",
        "parts",
        "tensorboard",
        "trials.parquet",
    }
    assert not [path for path in config.output.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".tmp")]
    assert yaml.safe_load((config.output / "config.yaml").read_text()) == config.resolved
    described = json.loads((config.output / "environment.json").read_text())
    assert described["packages"]["ray"]
    assert described["trials"]["device"] == "cpu" or described["gpu"]
    assert [row["trial"] for row in read_parts(config.output)] == sorted(rows(config.output)) == [0, 1, 2, 3]
    for number in range(4):
        assert (config.output / "artifacts" / str(number) / "config.yaml").exists()


def test_an_sql_storage_serves_as_well_and_the_same_study_twice_is_refused(
    ray_here: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    from study.config import ConfigError

    url = f"sqlite:///{tmp_path}/storage.db"
    config = make_config("name=twice", "budget.trials=3", f"storage={url}")
    assert run_study(config, progress=Progress(config.objective, 3, stream=io.StringIO()))
    assert not (config.output / "journal.log").exists()
    assert len(optuna.load_study(study_name="twice", storage=url).get_trials()) == 3
    again = make_config("name=twice", "budget.trials=3", f"storage={url}", f"output={tmp_path}/other")
    with pytest.raises(ConfigError, match="holds a study named 'twice' already"):
        run_study(again, progress=Progress(again.objective, 3, stream=io.StringIO()))


def test_a_study_whose_records_cannot_be_written_stops_and_says_so(
    ray_here: None, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Records.write

    def fail_on_third(self: Records, trial: FinishedTrial) -> Path:
        if trial.number == 2:
            raise OSError("No space left on device")
        return write(self, trial)

    monkeypatch.setattr(Records, "write", fail_on_third)
    config = make_config("budget.trials=30")
    with pytest.raises(OSError, match="No space left"):
        run_study(config, progress=Progress(config.objective, 30, stream=io.StringIO()))
    assert 2 <= len(rows(config.output)) < 10


def test_a_study_out_of_hours_lets_running_trials_wait_after_the_grace(ray_here: None, make_config: MakeConfig) -> None:
    hours = ("budget.hours=0.0001", "budget.grace_minutes=0.01")  # 0.36 s and 0.6 s
    config = make_config("budget.trials=50", "trial.seconds=1.5", "trial.epochs=4", "checkpoint_every=1", *hours)
    stream = io.StringIO()
    assert run_study(config, progress=Progress(config.objective, 50, stream=stream))
    assert "the budget in hours is used up" in stream.getvalue()
    assert TrialState.RUNNING not in [trial.state for trial in optuna_trials(config)]
    assert "preempted" in [row["outcome"] for row in rows(config.output).values()]
    longer = resumed_config(config.output, ["budget.hours=1", "budget.trials=2"])
    assert run_study(longer, progress=Progress(config.objective, 2, stream=stream))
    assert [row["outcome"] in ("ok", "infeasible") for row in rows(config.output).values()] == [True, True]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished_and_the_study_is_resumed(make_config: MakeConfig, how: int) -> None:
    config = make_config("name=stopped", "budget.trials=100", "trial.seconds=0.4")
    overrides = ["experiment=empty", "name=stopped", "budget.trials=100", "trial.seconds=0.4"]
    command = [sys.executable, "-m", "study", *overrides, f"output={config.output}", f"cache={config.cache}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 90
        while len(list((config.output / "parts").glob("*.parquet"))) < 2:
            assert time.monotonic() < deadline, "no trial finished in 90 s"
            assert process.poll() is None, process.stdout and process.stdout.read()
            time.sleep(0.1)
        process.send_signal(how)
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    assert f"interrupted; what was finished is recorded; to continue: python -m study resume={config.output}" in printed
    assert f"python -m analysis report {config.output}" in printed
    records, trials = rows(config.output), optuna_trials(config)
    outcomes = [row["outcome"] for row in records.values()]
    assert sum(outcome in ("ok", "infeasible") for outcome in outcomes) >= 2
    assert "preempted" in outcomes
    assert all(trial.state is not TrialState.RUNNING for trial in trials)
    assert all((trial.state is TrialState.WAITING) or trial.number in records for trial in trials)

    finished = {number: row for number, row in records.items() if row["outcome"] != "preempted"}
    count = len(finished) + 3
    command = [sys.executable, "-m", "study", f"resume={config.output}", f"budget.trials={count}", "dry_run=false"]
    resumed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert f"resumed with {len(finished)} of {count} trials finished; to be continued: trials" in resumed.stdout
    after = rows(config.output)
    assert "preempted" not in [row["outcome"] for row in after.values()]
    assert {number: after[number] for number in finished} == finished
    assert sum(trial.user_attrs.get("run_again") is False for trial in optuna_trials(config)) == count
