"""``python -m study profile=true``: where a trial's time goes and what bounds it.

One trial, the first that the study would try, is run in this process from an empty cache, so that what trials share is
seen as well. Prints a table with plain advice, and writes ``profile.json`` and, of the part that took longest, a trace
for chrome://tracing or Perfetto into the study folder, which holds no study by that.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # before torch: its profiler would announce every start and stop

import torch

from study.config import StudyConfig
from study.evaluation import Context
from study.experiments import load_experiment
from study.forecast import sample_trials
from study.profile_parts import OTHER, PartTimes, Spent
from study.profile_steps import Steps, StepWatch
from study.resources import detect_cpus, detect_gpus, plan
from study.trial_run import limit_threads

PROFILE, TRACE = "profile.json", "trace.json"
"""Files in the study folder."""

ADVICE = {
    "products": "is bound by arithmetic: fewer steps, a smaller width, or a device that multiplies faster",
    "memory": "is bound by memory, in the operators around the products: a smaller image or width; threads add little",
    "python": "is bound by the host, its steps being too small for the device: larger batch_size, more trials at once",
}
"""What bounds a training, and what that suggests."""

WAITING = (
    "waits for processors that others use, or threads wait for each other: fewer trials side by side, or "
    "resources.cpus_per_trial=1; what bounds it is told as if it did not"
)


@dataclass(frozen=True)
class Row:
    """One part of a trial in one stage."""

    stage: str
    part: str
    seconds: float
    processors: float
    """Processors in use on average."""
    bound: str | None = None
    """A key of ``ADVICE``; None where no training was long enough to be looked into."""
    waits: bool = False
    """Whether the processor's threads were idle for more than 40 % of a training step."""
    operations_per_second: float | None = None
    """Floating-point operations of convolutions and products a second, in training steps."""
    share_of_limit: float | None = None
    """Of what a product of matrices reaches on this device in float32, or in bfloat16 where more was reached."""
    operators: dict[str, float] | None = None
    """The five operators that take longest: share of a training step."""


def profile_trial(config: StudyConfig) -> int:
    """Profile one trial, print what was found, and return 0.

    Args:
        config: The study; nothing of it is started.

    Raises:
        FloatingPointError: If the trial's training diverges; what was not measured then is not told.
    """
    share = plan(config.resources, detect_cpus(), detect_gpus())
    threads = max(1, int(share.cpus))
    limit_threads(threads)
    config.output.mkdir(parents=True, exist_ok=True)
    limits = limits_of(share.device)
    times, steps = PartTimes(), StepWatch()
    trial = sample_trials(config, 1)[0]
    print(f"profiling one trial on {share.device} with {threads} threads; nothing is taken from the cache", flush=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        context = Context(config.data, config.adversaries, folder / "cache", folder, share.device, config.seed)
        evaluation = load_experiment(config.experiment).start(trial, config.seed, context)
        done = False
        while not done:
            with times.watching(), steps.watching():
                report = evaluation.step()
            times.name(str(report.stage))
            done = report.done
            print(f"  {report.stage}: {time.perf_counter() - started:.0f} s so far", flush=True)
    rows = [
        row_of(stage, part, spent, steps.found.get(part), share.device, threads, limits)
        for (stage, part), spent in order(times)
    ]
    print(table(rows))
    machine = {"device": share.device, "threads": threads, "limits": limits}
    write(config.output, rows, {"trial": trial, **machine})
    longest = max(rows, key=lambda row: row.seconds if row.bound else 0.0, default=None)
    if longest is not None and longest.bound and (trace := steps.found[longest.part].trace) is not None:
        trace.export_chrome_trace(str(config.output / TRACE))
        print(f"trace of {longest.part}: {config.output / TRACE}, for chrome://tracing or ui.perfetto.dev")
    print(f"all figures: {config.output / PROFILE}")
    return 0


def order(times: PartTimes) -> list[tuple[tuple[str, str], Spent]]:
    """Return stages in their order, the longest part of each first; what is too short to matter is left out."""
    stages = list(dict.fromkeys(stage for stage, _ in times.spent))
    found = [item for item in times.spent.items() if item[1].wall >= 0.05 or item[0][1] != OTHER]
    return sorted(found, key=lambda item: (stages.index(item[0][0]), -item[1].wall))


def row_of(
    stage: str, part: str, spent: Spent, steps: Steps | None, device: str, threads: int, limits: dict[str, float]
) -> Row:
    """Put together what was found of one part."""
    processors = spent.processor / max(spent.wall, 1e-9)
    if steps is None or not steps.whole:
        return Row(stage, part, spent.wall, processors)
    reached = steps.operations / steps.seconds
    precision = "bfloat16" if reached > limits["float32"] else "float32"
    top = sorted(steps.operators.items(), key=lambda item: -item[1])[:5]
    total = max(steps.recorded, sum(steps.operators.values()))
    return Row(
        stage,
        part,
        spent.wall,
        processors,
        bound_of(steps),
        waits=device == "cpu" and steps.processor < 0.6 * threads * steps.seconds,
        operations_per_second=reached,
        share_of_limit=reached / limits[precision],
        operators={name: seconds / total for name, seconds in top},
    )


def bound_of(steps: Steps) -> str:
    """Return what most of a training step goes into, a key of ``ADVICE``."""
    shares = steps.shares
    return max(shares, key=lambda name: shares[name])


def limits_of(device: str) -> dict[str, float]:
    """Return the operations a second that a product of matrices reaches here, by precision; the best of three."""
    side, found = (8192 if device == "cuda" else 1024), {}
    for name, precision in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        matrix = torch.randn(side, side, device=device).to(precision)
        fastest = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            float((matrix @ matrix)[0, 0])  # waits for the device
            fastest = min(fastest, time.perf_counter() - started)
        found[name] = 2 * side**3 / fastest
    return found


def table(rows: list[Row]) -> str:
    """Return the rows for people, and below them what bounds the trainings and what that suggests."""
    total, width = sum(row.seconds for row in rows), max(len(row.part) for row in rows)
    figures = f"{'seconds':>8} {'share':>6} {'cores':>6} {'GFLOP/s':>8} {'of limit':>8}"
    lines = ["", f"{'stage':<9} {'part':<{width}} {figures}  bound by"]
    for row in rows:
        speed = "" if row.operations_per_second is None else f"{row.operations_per_second / 1e9:.0f}"
        limit = "" if row.share_of_limit is None else f"{row.share_of_limit:.0%}"
        bound = f"{row.bound or ''}{', waits' if row.waits else ''}"
        lines.append(
            f"{row.stage:<9} {row.part:<{width}} {row.seconds:8.1f} {row.seconds / total:6.0%} {row.processors:6.2f} "
            f"{speed:>8} {limit:>8}  {bound}".rstrip()
        )
    shared = sum(row.seconds for row in rows if row.stage == "set_up")
    lines += [
        "",
        f"{total:.1f} s in all, {shared:.1f} s of it in set_up, most of which trials share",
    ]
    told = {bound: sum(row.seconds for row in rows if row.bound == bound) for bound in ADVICE}
    for bound, seconds in sorted(told.items(), key=lambda item: -item[1]):
        lines += [f"{seconds / total:4.0%} {ADVICE[bound]}"] if seconds else []
    waiting = sum(row.seconds for row in rows if row.waits)
    return "\n".join(lines + ([f"{waiting / total:4.0%} {WAITING}"] if waiting else []))


def write(folder: Path, rows: list[Row], about: dict[str, Any]) -> None:
    """Write ``profile.json``: what was profiled, where, and a row a part."""
    text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1)
    (folder / PROFILE).write_text(text)
