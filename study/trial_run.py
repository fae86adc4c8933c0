"""Run one trial in a worker: drive its evaluation step by step, keep checkpoints, turn faults into reports.

Whatever happens here ends in a :class:`WorkerReport`, never in a dead worker: a trial that diverged is a result. Knows
nothing of Ray; ``study.trainable`` is the thin layer that does.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from models.measurement import Control, Measurement
from study.durable import sync, sync_tree
from study.evaluation import Context, Evaluation, StepReport
from study.experiments import load_experiment
from study.memory import MemoryUse, begin, used
from study.outcomes import Outcome
from study.records import Epoch
from study.remote import RemoteFolder, RemoteTrial

ERROR_LENGTH = 300
"""Characters of an error kept in the records; the whole traceback is in the trial's artifacts."""


@dataclass(frozen=True)
class TrialTask:
    """Everything a worker needs to run one trial; plain values, so that it can be sent anywhere."""

    experiment: str
    number: int
    trial: dict[str, Any]
    """Complete nested trial configuration."""
    seed: int
    shared_seed: int
    data: dict[str, Any]
    checks: dict[str, Any]
    folder: str
    """The study folder, absolute."""
    run: int
    """Number of the run of the driver that this trial belongs to; its checkpoint folder exists."""
    cache: str
    device: str
    threads: int
    """CPU threads of this trial, >= 1."""
    checkpoint_every: int
    """Epochs between checkpoints; 0 for none."""
    replicate: int = 0
    """Which of the configuration's seeds it is; each has folders of its own."""
    remote: str = ""
    """The study folder in a store, where checkpoints and artifacts go too; empty where all nodes share ``folder``."""
    resources: dict[str, float] = field(default_factory=dict)
    """What it was given of a node, under Ray's names: ``study.packing.Request.bundle``."""
    given_share: bool = False
    """Whether a person chose its share of a GPU."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain mapping."""
        return asdict(self)


@dataclass(frozen=True)
class WorkerReport:
    """What a worker reports after each step."""

    history: tuple[Epoch, ...]
    """Epochs since the last report; after a restart, all of them."""
    seconds: float
    """Time spent on the trial so far."""
    done: bool = False
    fault: Outcome | None = None
    """How the trial failed; None if it did not."""
    error: str | None = None
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    controls: tuple[Control, ...] = ()
    memory: MemoryUse | None = None
    """Memory that the trial took in this process; None before its end, or where the system does not tell."""
    note: str | None = None
    """What a person is to know of a trial that goes on or ended all the same."""


class SupersededError(RuntimeError):
    """The driver of this worker is gone, and another one has taken over the study."""


class TrialRun:
    """One trial in progress. Nothing is started before the first step, so that a fault in starting is reported too."""

    def __init__(self, task: TrialTask) -> None:
        """Prepare the trial's folders and limit the threads of this process."""
        self._task = task
        self._artifacts = artifact_folder(Path(task.folder), task.number, task.replicate)
        self._of_this_run = checkpoint_folder(Path(task.folder), task.run)
        self._checkpoints = self._of_this_run / checkpoint_name(task.number, task.replicate)
        self._remote: RemoteTrial | None = None
        if task.remote:
            self._of_this_run.mkdir(parents=True, exist_ok=True)  # this node has its own
            artifacts = self._artifacts.relative_to(task.folder).as_posix()
            self._remote = RemoteTrial(RemoteFolder.at(task.remote), self._checkpoints.name, artifacts)
        self._evaluation: Evaluation | None = None
        self._history: list[Epoch] = []
        self._unreported = 0
        self._seconds = 0.0
        self._restore_from: Path | None = None
        self._note: str | None = None
        self._warned = False
        limit_threads(task.threads)

    def step(self) -> WorkerReport:
        """Work for one epoch and report; catches whatever the evaluation raises.

        Raises:
            SupersededError: If another driver has taken over the study; this worker must write nothing more.
        """
        start = time.monotonic()
        try:
            report = self._step(start)
        except Exception as error:
            if not self._of_this_run.is_dir():
                raise SupersededError(f"trial {self._task.number} is no longer this worker's") from error
            if is_device_fault(error):
                raise  # ends this worker: no later trial could use the device from here; Ray starts another
            return self._ended(start, fault=classify(error), error=error)
        if report.done:
            return self._ended(start, report=report)
        self._seconds += time.monotonic() - start
        return WorkerReport(self._new_epochs(), self._seconds, note=self._new_note())

    def _step(self, start: float) -> StepReport:
        if not self._of_this_run.is_dir():
            raise FileNotFoundError(self._of_this_run)
        if self._evaluation is None:
            self._evaluation = self._start()
        report = self._evaluation.step()
        self._history = [item for item in self._history if item.epoch < report.epoch]
        self._history.append(_epoch(report, time.monotonic() - start))
        if not all(math.isfinite(loss) for loss in report.losses.values()):
            raise FloatingPointError(f"epoch {report.epoch}: losses are not finite: {dict(report.losses)}")
        every = self._task.checkpoint_every
        if every and not report.done and report.epoch % every == 0:
            self._write_checkpoint(report.epoch)
        return report

    def _start(self) -> Evaluation:
        task = self._task
        self._artifacts.mkdir(parents=True, exist_ok=True)
        configuration = {"experiment": task.experiment, "seed": task.seed, "trial": task.trial}
        (self._artifacts / "config.yaml").write_text(yaml.safe_dump(configuration, sort_keys=False))
        context = Context(task.data, task.checks, Path(task.cache), self._artifacts, task.device, task.shared_seed)
        experiment = load_experiment(task.experiment)
        limit_threads(task.threads)  # again: the experiment has imported torch by now
        begin(task.device, task.resources.get("GPU", 1.0), given=task.given_share)
        evaluation = experiment.start(task.trial, task.seed, context)
        checkpoint = self._restore_from or self._latest_checkpoint()
        if checkpoint is not None:
            evaluation.load(checkpoint)
            self._load_progress(checkpoint)
        return evaluation

    def save(self, directory: Path) -> None:
        """Write the evaluation's state and the history so far into ``directory``."""
        if self._evaluation is None:
            self._evaluation = self._start()
        self._evaluation.save(directory)
        progress = {"seconds": self._seconds, "history": [item.to_dict() for item in self._history]}
        (directory / "progress.json").write_text(json.dumps(progress))

    def load(self, directory: Path) -> None:
        """Continue from ``directory`` at the next step."""
        self._evaluation, self._restore_from = None, directory

    def _load_progress(self, directory: Path) -> None:
        progress = json.loads((directory / "progress.json").read_text())
        self._history = [Epoch(**item) for item in progress["history"]]
        self._unreported, self._seconds = 0, progress["seconds"]

    def _write_checkpoint(self, epoch: int) -> None:
        """Write a checkpoint that appears whole and durable under its epoch's number, then remove older ones."""
        self._checkpoints.mkdir(exist_ok=True)  # not its parents: without them another driver has taken over
        temporary = self._checkpoints / f"writing-{epoch}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        self.save(temporary)
        sync_tree(temporary)
        final = self._checkpoints / str(epoch)
        self._remove(final)
        temporary.rename(final)
        sync(self._checkpoints)
        if self._remote is not None:
            try:
                self._remote.send_checkpoint(final)
            except OSError as error:  # the one before it, and this node's own, are there to go on from
                self._warn(f"a checkpoint is not in the store ({_one_line(error)})")
        for other in self._checkpoints.iterdir():
            if other != final:
                self._remove(other)

    def _remove(self, checkpoint: Path) -> None:
        """Remove a checkpoint by a name first that is none: half of one must never be loaded."""
        removed = self._checkpoints / f"removing-{checkpoint.name}"
        with contextlib.suppress(FileNotFoundError):
            checkpoint.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)

    def _latest_checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint of this trial, left by a worker or a driver that was lost."""
        epochs = [int(path.name) for path in self._checkpoints.glob("*") if path.name.isdigit()]
        if self._remote is not None:  # another node may have come further
            try:
                epochs.append(self._remote.fetch_checkpoint(self._checkpoints, max(epochs, default=0)))
            except OSError as error:
                self._warn(f"its checkpoints in the store cannot be read ({_one_line(error)})")
        newest = max(epochs, default=0)
        return self._checkpoints / str(newest) if newest else None

    def _ended(
        self,
        start: float,
        *,
        report: StepReport | None = None,
        fault: Outcome | None = None,
        error: Exception | None = None,
    ) -> WorkerReport:
        """Free what the trial held and return its last report.

        Its checkpoints stay until the driver has recorded the report; if that is lost, the trial goes on from them.
        """
        self._seconds += time.monotonic() - start
        if error is not None:
            self._artifacts.mkdir(parents=True, exist_ok=True)
            (self._artifacts / "error.txt").write_text("".join(traceback.format_exception(error)))
            traceback.clear_frames(error.__traceback__)  # they hold the tensors that are to be freed
        memory = used(self._task.device) if self._evaluation is not None else None
        self._evaluation = None
        if self._remote is not None:
            try:
                self._remote.send_artifacts(self._artifacts)
            except OSError as away:
                where = f"{self._artifacts} of {socket.gethostname()}"
                self._note = f"its artifacts are not all in the store, but in {where} ({_one_line(away)})"
        _free_memory(self._task.device)
        return WorkerReport(
            self._new_epochs(),
            self._seconds,
            done=True,
            fault=fault,
            error=None if error is None else _one_line(error),
            metrics={} if report is None else dict(report.metrics),
            controls=() if report is None else tuple(report.controls),
            memory=memory,
            note=self._new_note(),
        )

    def _warn(self, text: str) -> None:
        """Note that the store failed, once a trial: it may be away for long."""
        if not self._warned:
            self._note, self._warned = text, True

    def _new_note(self) -> str | None:
        note, self._note = self._note, None
        return note

    def _new_epochs(self) -> tuple[Epoch, ...]:
        new = tuple(self._history[self._unreported :])
        self._unreported = len(self._history)
        return new


def _epoch(report: StepReport, seconds: float) -> Epoch:
    losses, signals = (
        {name: float(value) for name, value in numbers.items()} for numbers in (report.losses, report.signals)
    )
    return Epoch(report.epoch, losses, signals, str(report.stage), seconds)


def checkpoint_folder(folder: Path, run: int) -> Path:
    """Return the folder of all checkpoints of one run of a driver, in the study folder."""
    return folder / "checkpoints" / str(run)


def checkpoint_name(number: int, replicate: int = 0) -> str:
    """Return the name of the folder of one trial's checkpoints, "12", or of a further replicate's, "12.1"."""
    return f"{number}.{replicate}" if replicate else str(number)


def artifact_folder(folder: Path, number: int, replicate: int = 0) -> Path:
    """Return the folder of a trial's artifacts in the study folder; further replicates have theirs inside it."""
    own = folder / "artifacts" / str(number)
    return own / f"replicate_{replicate}" if replicate else own


def classify(error: BaseException) -> Outcome:
    """Return the outcome that an exception of an evaluation means."""
    if isinstance(error, FloatingPointError):
        return Outcome.DIVERGED
    if isinstance(error, MemoryError) or _torch_says("is_out_of_memory", error):
        return Outcome.OUT_OF_MEMORY
    return Outcome.CRASHED


def is_device_fault(error: BaseException) -> bool:
    """Say whether an error left the device unusable for this process."""
    return _torch_says("is_device_fault", error)


def _torch_says(question: str, error: BaseException) -> bool:
    """Ask ``models.runtime``; a worker whose trials need no torch does not import it for this."""
    if "torch" not in sys.modules:
        return False
    from models import runtime

    return bool(getattr(runtime, question)(error))


def limit_threads(threads: int) -> None:
    """Keep this process to ``threads`` CPU threads: several trials share the machine."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _free_memory(device: str) -> None:
    """Give a GPU's memory back to its other trials. On a CPU a collection would cost more than an empty trial."""
    torch = sys.modules.get("torch")
    if torch is not None and device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def _one_line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= ERROR_LENGTH else text[: ERROR_LENGTH - 3] + "..."
