"""One trial in a worker: faults become reports, checkpoints continue a trial, nothing is left behind."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.empty import EXPERIMENT
from study.evaluation import Context, Stage, StepReport
from study.outcomes import Outcome
from study.trial_run import SupersededError, TrialRun, TrialTask, WorkerReport, checkpoint_folder, classify


def new_task(tmp_path: Path, **trial: Any) -> TrialTask:
    """Return a task of the driver's first run, whose checkpoint folder exists."""
    checkpoint_folder(tmp_path, 1).mkdir(parents=True, exist_ok=True)
    return TrialTask(
        experiment="empty",
        number=3,
        trial={**EXPERIMENT.defaults(), **trial},
        seed=1,
        shared_seed=0,
        data={},
        checks={},
        folder=str(tmp_path),
        run=1,
        cache=str(tmp_path / "cache"),
        device="cpu",
        threads=1,
        checkpoint_every=2,
    )


def run_to_end(run: TrialRun) -> list[WorkerReport]:
    reports = [run.step()]
    while not reports[-1].done:
        reports.append(run.step())
    return reports


def test_a_trial_reports_every_epoch_once_and_its_metrics_at_the_end(tmp_path: Path) -> None:
    reports = run_to_end(TrialRun(new_task(tmp_path, epochs=3)))
    assert [[item.epoch for item in report.history] for report in reports] == [[1], [2], [3]]
    assert [bool(report.metrics) for report in reports] == [False, False, True]
    assert reports[-1].fault is None
    assert reports[-1].controls


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        ("diverge", Outcome.DIVERGED, "FloatingPointError: loss is nan"),
        ("out_of_memory", Outcome.OUT_OF_MEMORY, "MemoryError"),
        ("crash", Outcome.CRASHED, "RuntimeError: asked to crash"),
    ],
)
def test_a_fault_is_reported_as_an_outcome_with_its_history(
    tmp_path: Path, fault: str, outcome: Outcome, words: str
) -> None:
    last = run_to_end(TrialRun(new_task(tmp_path, fault=fault, epochs=3)))[-1]
    assert (last.done, last.fault, last.metrics) == (True, outcome, {})
    assert last.error is not None
    assert last.error.startswith(words)
    assert "Traceback" in (tmp_path / "artifacts" / "3" / "error.txt").read_text()


def test_an_experiment_that_cannot_even_start_is_a_crash(tmp_path: Path) -> None:
    last = TrialRun(replace(new_task(tmp_path), trial={})).step()
    assert (last.done, last.fault) == (True, Outcome.CRASHED)


class LosesNumbers:
    """An evaluation that reports a loss that is not finite instead of raising."""

    def step(self) -> StepReport:
        return StepReport(1, {"loss": float("nan")}, done=False)

    def save(self, directory: Path) -> None: ...

    def load(self, directory: Path) -> None: ...


def test_a_loss_that_is_nan_counts_as_diverged_even_if_the_experiment_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(EXPERIMENT), "start", lambda *_: LosesNumbers())
    last = TrialRun(new_task(tmp_path)).step()
    assert (last.done, last.fault) == (True, Outcome.DIVERGED)


class Signals:
    """An evaluation that reports signals, one of which cannot be measured."""

    epochs = 0

    def step(self) -> StepReport:
        self.epochs += 1
        signals = {"ssim": self.epochs / 10, "errors": float("nan")}
        return StepReport(self.epochs, {}, done=self.epochs == 4, signals=signals, stage=Stage.RELEASE)

    def save(self, directory: Path) -> None:
        (directory / "epochs").write_text(str(self.epochs))

    def load(self, directory: Path) -> None:
        self.epochs = int((directory / "epochs").read_text())


def test_signals_are_kept_through_a_checkpoint_and_may_be_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(EXPERIMENT), "start", lambda *_: Signals())
    lost = TrialRun(new_task(tmp_path))
    before = [lost.step().history[0] for _ in range(2)]
    reports = run_to_end(TrialRun(new_task(tmp_path)))
    history = [item for report in reports for item in report.history]
    assert [item.signals["ssim"] for item in history] == [0.1, 0.2, 0.3, 0.4]
    assert all(math.isnan(item.signals["errors"]) for item in history)
    assert {item.stage for item in history} == {"release"}
    assert [item.seconds for item in history[:2]] == [item.seconds for item in before]
    assert all(item.seconds > 0 for item in history)


def test_exceptions_are_told_apart() -> None:
    import torch

    assert classify(torch.OutOfMemoryError("CUDA out of memory")) is Outcome.OUT_OF_MEMORY
    assert classify(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")) is Outcome.OUT_OF_MEMORY
    assert classify(RuntimeError("size mismatch")) is Outcome.CRASHED
    assert classify(ZeroDivisionError("division by zero")) is Outcome.CRASHED


def test_a_new_worker_continues_from_the_last_checkpoint_and_tells_all_epochs(tmp_path: Path) -> None:
    lost = TrialRun(new_task(tmp_path, epochs=5))
    for _ in range(3):
        lost.step()  # a checkpoint after epoch 2; epoch 3 is lost with the worker
    assert [path.name for path in (checkpoint_folder(tmp_path, 1) / "3").iterdir()] == ["2"]
    reports = run_to_end(TrialRun(new_task(tmp_path, epochs=5)))
    assert [[item.epoch for item in report.history] for report in reports] == [[1, 2, 3], [4], [5]]
    assert reports[-1].seconds >= 0


def test_a_checkpoint_that_was_never_finished_is_not_used(tmp_path: Path) -> None:
    (checkpoint_folder(tmp_path, 1) / "3" / "writing-4").mkdir(parents=True)
    reports = run_to_end(TrialRun(new_task(tmp_path, epochs=2)))
    assert len(reports) == 2


def test_a_paused_trial_continues_where_it_was_saved(tmp_path: Path) -> None:
    run = TrialRun(new_task(tmp_path, epochs=3))
    run.step()
    (tmp_path / "saved").mkdir()
    run.save(tmp_path / "saved")
    other = TrialRun(replace(new_task(tmp_path / "elsewhere", epochs=3), checkpoint_every=0))
    other.load(tmp_path / "saved")
    assert [item.epoch for item in other.step().history] == [1, 2]


def test_checkpoints_stay_until_the_driver_has_recorded_the_trial(tmp_path: Path) -> None:
    run_to_end(TrialRun(new_task(tmp_path, epochs=5)))
    assert [path.name for path in (checkpoint_folder(tmp_path, 1) / "3").iterdir()] == ["4"]
    again = run_to_end(TrialRun(new_task(tmp_path, epochs=5)))  # the driver was lost before it recorded anything
    assert [[item.epoch for item in report.history] for report in again] == [[1, 2, 3, 4, 5]]
    assert again[0].metrics


def test_the_configuration_of_a_trial_is_kept(tmp_path: Path) -> None:
    run_to_end(TrialRun(new_task(tmp_path, epochs=4)))
    kept = yaml.safe_load((tmp_path / "artifacts" / "3" / "config.yaml").read_text())
    assert kept == {"experiment": "empty", "seed": 1, "trial": {**EXPERIMENT.defaults(), "epochs": 4}}


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_worker_whose_driver_was_superseded_stops_and_writes_nothing(tmp_path: Path, steps: int) -> None:
    run = TrialRun(new_task(tmp_path, epochs=9))
    for _ in range(steps):
        run.step()
    checkpoint_folder(tmp_path, 1).rename(checkpoint_folder(tmp_path, 2))  # as another driver does
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SupersededError):
        run.step()
    assert sorted(tmp_path.rglob("*")) == before


def test_half_a_removed_checkpoint_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is killed in the middle of removing what it no longer needs."""

    class Killed(BaseException):
        pass

    def die(path: Path, **_: Any) -> None:
        if path.exists():
            (path / "state.json").unlink()
            raise Killed

    run = TrialRun(new_task(tmp_path, epochs=9))
    for _ in range(3):
        run.step()
    monkeypatch.setattr("study.trial_run.shutil.rmtree", die)
    with pytest.raises(Killed):
        run.step()  # writes checkpoint 4, begins to remove checkpoint 2
    monkeypatch.undo()
    report = TrialRun(new_task(tmp_path, epochs=9)).step()
    assert [item.epoch for item in report.history] == [1, 2, 3, 4, 5]


def test_the_context_tells_the_trials_own_folder_and_the_shared_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Context] = []
    start = type(EXPERIMENT).start

    def note(self: Any, trial: Any, seed: int, context: Context) -> Any:
        seen.append(context)
        return start(self, trial, seed, context)

    monkeypatch.setattr(type(EXPERIMENT), "start", note)
    run_to_end(TrialRun(new_task(tmp_path)))
    assert seen[0].artifacts == tmp_path / "artifacts" / "3"
    assert (seen[0].shared_seed, seen[0].device) == (0, "cpu")


def test_every_seed_of_a_configuration_has_folders_of_its_own(tmp_path: Path) -> None:
    tasks = [replace(new_task(tmp_path, epochs=3), replicate=replicate, seed=replicate) for replicate in (0, 1)]
    for task in tasks:
        run = TrialRun(task)
        run.step()
        run.step()
    assert {path.name for path in checkpoint_folder(tmp_path, 1).iterdir()} == {"3", "3.1"}
    for task, folder in zip(tasks, ("3", "3/replicate_1"), strict=True):
        kept = yaml.safe_load((tmp_path / "artifacts" / folder / "config.yaml").read_text())
        assert kept["seed"] == task.seed
