"""Running the design of ``benchmarks.space``: one process a configuration, without Ray and without Optuna.

The evaluation is the experiment's own, step by step, as a study's workers drive it; what trials share (sanitiser,
honest baselines, compressor) comes from the same cache, under whose locks it is computed once.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.space_design import Run
from benchmarks.space_records import REFUSED, Record, RecordFile, record_key
from benchmarks.space_setting import Setting
from models.measurement import Control, Measurement
from models.randomness import derive_seed
from study.evaluation import Context, Experiment
from study.experiments import load_experiment
from study.nested import with_values
from study.objective import score, unmeasured
from study.outcomes import Outcome
from study.trial_run import classify, limit_threads

WEIGHTS = "*.safetensors"
"""What a trial keeps of its networks; a benchmark keeps figures and pictures only."""


@dataclass(frozen=True)
class Task:
    """What one process is asked for; plain values."""

    experiment: str
    trial: Mapping[str, Any]
    seed: int
    data: Mapping[str, Any]
    checks: Mapping[str, Any]
    cache: str
    artifacts: str


@dataclass(frozen=True)
class Answer:
    """What came of a task."""

    seconds: float
    metrics: Mapping[str, Measurement]
    controls: tuple[Control, ...] = ()
    fault: Outcome | None = None
    reason: str | None = None


def evaluate(task: Task) -> Answer:
    """Evaluate one configuration from its first step to its last; faults of it become part of the answer."""
    start = time.monotonic()
    artifacts = Path(task.artifacts)
    artifacts.mkdir(parents=True, exist_ok=True)
    try:
        experiment = load_experiment(task.experiment)
        limit_threads(1)  # the experiment has imported torch by now
        # The seed stands for a whole replication: another sanitiser and other baselines as well.
        context = Context(task.data, task.checks, Path(task.cache), artifacts, "cpu", shared_seed=task.seed)
        evaluation = experiment.start(task.trial, derive_seed(task.seed, "space"), context)
        report = evaluation.step()
        while not report.done:
            report = evaluation.step()
    except Exception as error:  # whatever it is, the next configuration must not suffer
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Answer(time.monotonic() - start, {}, fault=classify(error), reason=reason)
    for path in artifacts.glob(WEIGHTS):
        path.unlink()
    return Answer(time.monotonic() - start, dict(report.metrics), tuple(report.controls))


class Bench:
    """The setting that every configuration is measured in, and the folder of what was found."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        """Measure in ``setting``, keep records and pictures in ``folder``, which is made when needed."""
        self.setting, self.folder = setting, folder
        self.experiment: Experiment = load_experiment(setting.experiment)
        self.file = RecordFile(folder / "records.jsonl")

    def key(self, run: Run) -> str:
        """Return the key of a run's record."""
        bounds = [(bound.check, bound.text, bound.scale) for bound in self.setting.objective.bounds]
        checks = {"adversaries": self.setting.adversaries, "bounds": bounds}
        return record_key(self._trial(run), run.seed, self.setting.data, checks)

    def refusal(self, run: Run) -> str | None:
        """Return why a configuration cannot be run, or None; nothing is started to find out."""
        problems = self.experiment.problems(self._trial(run), self.setting.data)
        return "; ".join(problems) or None

    def _trial(self, run: Run) -> dict[str, Any]:
        return with_values(self.setting.trial, run.values)

    def pending(self, runs: Sequence[Run]) -> list[Run]:
        """Return the runs without a result, in order; those whose code crashed come again, after all others.

        A configuration that is refused gets its record here.
        """
        known = self.file.read()
        fresh: list[Run] = []
        again: list[Run] = []
        for key, run in self._distinct(runs).items():
            record, reason = known.get(key), self.refusal(run)
            if reason is not None:
                if record is None or record.reason != reason:
                    self.file.append(self._record(run, REFUSED, reason))
            elif record is None or record.outcome == REFUSED:
                fresh.append(run)
            elif record.outcome == Outcome.CRASHED:
                again.append(run)
        return fresh + again

    def _distinct(self, runs: Sequence[Run]) -> dict[str, Run]:
        """Return the runs by key; two are one where what they set is what the defaults are anyway."""
        distinct: dict[str, Run] = {}
        for run in runs:
            distinct.setdefault(self.key(run), run)
        return distinct

    def run(self, runs: Sequence[Run], *, workers: int, until: float, report: Callable[[Run, Record], None]) -> None:
        """Run what is pending and append a record for each.

        Args:
            runs: What :meth:`pending` returned.
            workers: Processes, one thread each.
            until: Time by ``time.monotonic`` after which nothing more is started; what runs then is finished.
            report: Called after each.

        Raises:
            BrokenProcessPool: If a process was killed; what was finished is recorded.
        """
        waiting: Iterator[Run] = iter(runs)
        running: dict[Future[Answer], Run] = {}
        with ProcessPoolExecutor(workers, get_context("spawn"), limit_threads, (1,)) as pool:
            while True:
                while len(running) < workers and time.monotonic() < until and (run := next(waiting, None)):
                    running[pool.submit(evaluate, self._task(run))] = run
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    run = running.pop(future)
                    record = self._judged(run, future.result())
                    self.file.append(record)
                    report(run, record)

    def _task(self, run: Run) -> Task:
        artifacts = self.folder / "artifacts" / self.key(run)
        shutil.rmtree(artifacts, ignore_errors=True)
        setting = self.setting
        return Task(
            setting.experiment,
            self._trial(run),
            run.seed,
            setting.data,
            setting.adversaries,
            str(setting.cache),
            str(artifacts),
        )

    def _judged(self, run: Run, answer: Answer) -> Record:
        objective = self.setting.objective
        if answer.fault is not None:
            found = unmeasured(objective, answer.fault)
        else:
            found = score(objective, self.experiment.metrics, answer.metrics)
        return self._record(
            run,
            str(found.outcome),
            answer.reason,
            metrics=answer.metrics,
            margins=found.margins,
            verdicts=found.verdicts,
            failed_controls=tuple(f"{c.check}.{c.adversary}.{c.control}" for c in answer.controls if not c.passed),
            seconds=answer.seconds,
        )

    def _record(self, run: Run, outcome: str, reason: str | None, **measured: Any) -> Record:
        from models.checkpoints import CODE_VERSION

        finished, code = time.time(), CODE_VERSION[:12]
        return Record(
            self.key(run), dict(run.values), run.seed, outcome, reason, finished=finished, code=code, **measured
        )
