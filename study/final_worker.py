"""One worker of a final training, in Ray Train: the training of a trial, with every batch shared between workers.

First all workers train the sanitiser together. Then, in the learned family, embedder and extractor; otherwise nothing
is left to share. The first worker keeps checkpoints, hides the secrets and runs the checks at the end. Everything a
restarted group needs is in the last checkpoint, in the cache, or follows from the seeds.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import train

from models.data import load_splits
from models.parallel import BatchShare
from models.ppgan.release import train_together
from study.durable import write_text_durably
from study.evaluation import Context, Stage, StepReport
from study.subversion_trial import STATE, SubversionTrial
from study.subverted_ppgan import read_trial
from study.trial_run import limit_threads

STAGE_ONE = "stage_one.pt"
"""File of a checkpoint that holds the sanitiser's training."""
COURSE = "course.json"
"""File of a checkpoint that holds the course of the training until then."""
RESULT, PROGRESS, DIVERGED = "result.json", "progress.log", "diverged.txt"
"""Files that the first worker leaves in the folder of its seed."""


@dataclass(frozen=True)
class FinalTask:
    """Everything a worker needs; plain values."""

    trial: dict[str, Any]
    seed: int
    shared_seed: int
    data: dict[str, Any]
    checks: dict[str, Any]
    cache: str
    """Folder of what the workers share; all of them see it."""
    artifacts: str
    """Folder of this seed."""
    device: str
    threads: int
    checkpoint_every: int
    """Sanitiser's steps / 100, or epochs of the learned family, between checkpoints."""


class Log:
    """Lines of the first worker for people, which the driver prints."""

    def __init__(self, path: Path, share: BatchShare) -> None:
        self._path, self._on = path, share.rank == 0

    def say(self, text: str) -> None:
        """Add a line."""
        if self._on:
            with self._path.open("a") as file:
                file.write(text + "\n")


class Course:
    """What a worker's training has reported and how long it took, that of before a restart included."""

    def __init__(self) -> None:
        """Begin to count, or go on from the newest checkpoint."""
        earlier = _from_checkpoint(_read_course) or {"history": [], "seconds": 0.0}
        self.history: list[dict[str, Any]] = earlier["history"]
        self._before, self._start = float(earlier["seconds"]), time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training; what was done after a checkpoint and lost with its worker is not in it."""
        return self._before + time.monotonic() - self._start

    def add(self, report: StepReport) -> StepReport:
        """Keep what a step reported."""
        losses, signals = dict(report.losses), dict(report.signals)
        self.history.append({"epoch": report.epoch, "losses": losses, "signals": signals, "stage": str(report.stage)})
        return report

    def save(self, folder: Path) -> None:
        """Write it into a checkpoint."""
        (folder / COURSE).write_text(json.dumps({"history": self.history, "seconds": self.seconds}))


class TrainSnapshots:
    """The sanitiser's training in Ray Train's checkpoints, every so many steps."""

    def __init__(self, share: BatchShare, every: int, steps: int, log: Log, course: Course) -> None:
        self._share, self._every, self._steps, self._log, self._course = share, every, steps, log, course

    def latest(self) -> Mapping[str, Any] | None:
        """Return the state of the newest checkpoint, None if there is none of this stage."""
        state = _from_checkpoint(lambda folder: _load(folder / STAGE_ONE))
        if state is not None:
            self._log.say(f"sanitiser: going on after step {state['step']} of {self._steps}")
        return state

    def after(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        """Keep the state after every so many steps."""
        if step % self._every and step != self._steps:
            return
        self._log.say(f"sanitiser: step {step} of {self._steps}")

        def write(folder: Path) -> None:
            torch.save(state(), folder / STAGE_ONE)
            self._course.save(folder)

        _report({"step": step}, self._share, write)


def work(config: dict[str, Any]) -> None:
    """Do a worker's part; Ray Train calls it in each of them, again after a failure."""
    task, context = FinalTask(**config), train.get_context()
    share = BatchShare(context.get_world_rank(), context.get_world_size())
    limit_threads(task.threads)
    folder = Path(task.artifacts)
    if (folder / DIVERGED).exists() or (folder / RESULT).exists():
        return
    log = Log(folder / PROGRESS, share)
    try:
        _train(task, share, folder, log)
    except FloatingPointError as error:
        write_text_durably(folder / DIVERGED, f"{error}\n")  # trained again, it would diverge again
        raise


def _train(task: FinalTask, share: BatchShare, folder: Path, log: Log) -> None:
    course = Course()
    settings = read_trial(task.trial)
    faces, splits = load_splits(task.data, Path(task.cache))
    steps = settings.ppgan.steps
    train_together(
        settings.ppgan,
        faces,
        splits,
        fingerprint={"data": faces.fingerprint, "split": dict(task.data.get("split", {}))},
        seed=task.shared_seed,
        device=task.device,
        cache=Path(task.cache),
        share=share,
        snapshots=TrainSnapshots(share, _every(task, steps), steps, log, course) if task.checkpoint_every else None,
    )
    own = Context(task.data, task.checks, Path(task.cache), folder, task.device, task.shared_seed)
    trial = SubversionTrial(settings.ppgan, settings.subversion, settings.channel, task.seed, own, share)
    if share.rank == 0:
        log.say("honest baseline and compressor")
        _prepare(trial, course)
    share.wait()
    if share.rank and settings.subversion.family == "learned":
        _prepare(trial, course)
    train_epochs(trial, course, share, log, every=task.checkpoint_every)
    share.wait()
    if share.rank == 0:
        _judge(trial, course, folder, log)


def train_epochs(trial: SubversionTrial, course: Course, share: BatchShare, log: Log, *, every: int) -> None:
    """Train the learned networks to the end; keep a checkpoint after ``every`` epochs, none with 0."""

    def keep(folder: Path) -> None:
        trial.save(folder)
        course.save(folder)

    while trial.training_left:
        report = course.add(trial.step())
        log.say(f"epoch {report.epoch - 1}: " + ", ".join(f"{name} {loss:.3f}" for name, loss in report.losses.items()))
        if every and not (report.epoch - 1) % every:
            _report({"epoch": report.epoch}, share, keep)


def _every(task: FinalTask, steps: int) -> int:
    """Return the sanitiser's steps between checkpoints: for the study's epochs, hundredths of its training."""
    return max(1, task.checkpoint_every * steps // 100)


def _prepare(trial: SubversionTrial, course: Course) -> None:
    """Prepare a trial, or continue it from the newest checkpoint."""

    def load(folder: Path) -> bool:
        if (folder / STATE).exists():
            trial.load(folder)
        return (folder / STATE).exists()

    if not _from_checkpoint(load):
        course.add(trial.step())


def _judge(trial: SubversionTrial, course: Course, folder: Path, log: Log) -> None:
    log.say("hiding the secrets")
    course.add(trial.step())
    log.say("running the checks")
    last = course.add(trial.step())
    result = {
        "metrics": {name: item.to_dict() for name, item in last.metrics.items()},
        "controls": [control.to_dict() for control in last.controls],
        "history": course.history,
        "seconds": course.seconds,
    }
    assert last.stage is Stage.CHECKS
    write_text_durably(folder / RESULT, json.dumps(result))


def _report(metrics: dict[str, Any], share: BatchShare, write: Callable[[Path], Any]) -> None:
    """Report from all workers at once; the first one's checkpoint is kept."""
    if share.rank:
        train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        train.report(metrics, checkpoint=train.Checkpoint.from_directory(folder))


def _from_checkpoint(read: Callable[[Path], Any]) -> Any:
    checkpoint = train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return read(Path(folder)) or None


def _read_course(folder: Path) -> Any:
    return json.loads((folder / COURSE).read_text()) if (folder / COURSE).exists() else None


def _load(path: Path) -> Any:
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None
