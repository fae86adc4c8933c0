"""Kill a driver at every operation on files that it makes, one after another, resume it, and look at what is left.

Run as a program, because each driver is a fork of this process that dies by ``os._exit`` in the middle of its work: no
``finally``, no ``except`` and no buffer is spared, as with SIGKILL. Ray is replaced by a loop over two trials at a
time; everything else is the real driver. Prints one JSON object: rounds by what was about to happen.

    python -m tests.study.crash_points CONFIG.yaml FOLDER FIRST STRIDE
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from study import driver
from study.config import StudyConfig, read_config
from study.progress import Progress
from study.records import read_parts
from study.replicate_records import REPLICATES
from study.resources import Plan
from study.search import RUN_AGAIN
from study.searcher import StudySearcher
from study.storage import open_storage
from study.trial_run import TrialTask, WorkerReport, checkpoint_name
from tests.study.in_process import tune, without_ray

OPERATIONS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "symlink")
DIED, FAILED = 9, 1


def note_steps(config: StudyConfig, share: Plan, searcher: StudySearcher, *_: Any) -> None:
    """Do what Ray does, and keep what every step reported outside of the study folder."""

    def note(task: TrialTask, report: WorkerReport) -> None:
        with (config.output.parent / "steps.jsonl").open("a") as file:
            epochs = [item.epoch for item in report.history]
            name = checkpoint_name(task.number, task.replicate)
            file.write(json.dumps({"trial": task.number, "name": name, "epochs": epochs}) + "\n")

    tune(searcher, note)


class Death:
    """Ends this process at the n-th operation on the study folder; every third append to the journal tears its line."""

    def __init__(self, folder: Path, at: int, told: Path) -> None:
        self._folder, self._at, self._told, self._count = str(folder), at, told, 0

    def arm(self) -> None:
        for name in OPERATIONS:
            setattr(os, name, self._fatal(name, getattr(os, name)))
        append = JournalFileBackend.append_logs

        def torn(backend: Any, logs: list[dict[str, Any]]) -> None:
            if self._reached("append"):
                os.symlink(backend._file_path, backend._file_path + ".lock")
                with open(backend._file_path, "ab") as file:
                    text = json.dumps(logs[0]).encode()
                    file.write(text[: len(text) * (self._count % 3) // 2])
                os._exit(DIED)
            append(backend, logs)

        JournalFileBackend.append_logs = torn  # type: ignore[method-assign]

    def _fatal(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def dies(path: Any, *others: Any, **named: Any) -> Any:
            where = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.fspath(path)
            inside = any(str(item).startswith(self._folder) for item in (where, *others))
            if inside and self._reached(f"{name} {shape(Path(where), Path(self._folder))}"):
                os._exit(DIED)
            return operation(path, *others, **named)

        return dies

    def _reached(self, name: str) -> bool:
        self._count += 1
        if self._count == self._at:
            self._told.write_text(name)
        return self._count == self._at


def shape(path: Path, folder: Path) -> str:
    """Return a path below the study folder with its numbers taken out."""
    if not path.is_relative_to(folder):
        return "elsewhere"
    name = "/".join(part.split(".")[1] if part.startswith(".") else part for part in path.relative_to(folder).parts)
    name = re.sub(r"\.lock.*", ".lock", name)
    return re.sub(r"\d+", "N", name)


def in_a_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a fork of this process and return its exit code."""
    child = os.fork()
    if child == 0:
        code = FAILED
        try:
            with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
                work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check(config: StudyConfig, before: dict[str, Any], steps_before: int) -> None:
    """Raise unless the study is whole: exact budget, records as told, nothing finished was run again."""
    trials = optuna.load_study(study_name=config.name, storage=open_storage("", config.output)).get_trials()
    assert not [trial for trial in trials if trial.state is TrialState.RUNNING]
    told = {trial.number: trial for trial in trials if RUN_AGAIN in trial.user_attrs}
    assert all(trial.state.is_finished() for trial in told.values())
    assert sum(not trial.user_attrs[RUN_AGAIN] for trial in told.values()) == config.budget.trials
    again = [trial.user_attrs["rerun_of"] for trial in told.values() if "rerun_of" in trial.user_attrs]
    assert sorted(again) == sorted(number for number, trial in told.items() if trial.user_attrs[RUN_AGAIN])
    given = [trial.params["fault"] for trial in told.values() if trial.params.get("x") == 0.5]
    assert given[:4].count("none") == 1
    rows = {row["trial"]: row for row in read_parts(config.output)}
    assert rows.keys() == told.keys()
    for number, trial in told.items():
        assert rows[number]["outcome"] == trial.user_attrs["outcome"]
        if trial.state is TrialState.COMPLETE:
            assert all(rows[number][f"constraint.{name}"] == value for name, value in trial.constraints.items())
            assert sorted(trial.constraints) == ["detectability", "leak"]
    check_replicates(config, rows)
    steps = [json.loads(line) for line in (config.output.parent / "steps.jsonl").read_text().splitlines()]
    later = steps[steps_before:]
    assert not {step["trial"] for step in later} & set(before["finished"]), "a finished trial was run again"
    assert not {step["name"] for step in later} & set(before["replicates"]), "a finished replicate was run again"
    for name, epoch in before["checkpoints"].items():
        first = next((step["epochs"] for step in later if step["name"] == name), None)
        # The first report after a restart tells all epochs; training went on at the one after the checkpoint.
        assert first is None or len(first) <= epoch + 1, f"trial {name} did not continue after epoch {epoch}"
        assert first is None or first[:epoch] == list(range(1, epoch + 1))
    assert not list(config.output.rglob("*.tmp"))
    assert not (config.output / "checkpoints").exists()
    assert (config.output / "trials.parquet").exists()


def check_replicates(config: StudyConfig, rows: dict[int, dict[str, Any]]) -> None:
    """Raise unless every configuration of a study of several seeds has as many records of them as it says."""
    recorded = Counter(row["trial"] for row in read_parts(config.output, parts=REPLICATES))
    if config.replicates == 1:
        assert not recorded
        return
    assert recorded == {number: row["replicates"] for number, row in rows.items()}
    good = [row["replicates"] for row in rows.values() if row["outcome"] in ("ok", "infeasible")]
    assert config.racing or set(good) <= {config.replicates}


def state(config: StudyConfig) -> dict[str, Any]:
    """Return which trials are finished in the journal, torn line left out, and the last checkpoint of the others."""
    journal, copy = config.output / "journal.log", config.output.parent / "copy" / "journal.log"
    copy.parent.mkdir(exist_ok=True)
    content = journal.read_bytes() if journal.exists() else b""
    copy.write_bytes(content[: content.rfind(b"\n") + 1])
    try:
        trials = optuna.load_study(study_name=config.name, storage=open_storage("", copy.parent)).get_trials()
    except KeyError:
        trials = []
    recorded = [row["trial"] for row in read_parts(config.output) if row["outcome"] != "preempted"]
    finished = [*recorded, *(trial.number for trial in trials if trial.state.is_finished())]
    seeds = read_parts(config.output, parts=REPLICATES)
    replicates = [checkpoint_name(row["trial"], row["replicate"]) for row in seeds if row["outcome"] != "preempted"]
    checkpoints: dict[str, int] = {}
    for path in (config.output / "checkpoints").glob("*/*/*"):
        name = path.parent.name
        if path.name.isdigit() and int(name.partition(".")[0]) not in finished and name not in replicates:
            checkpoints[name] = max(int(path.name), checkpoints.get(name, 0))
    return {"finished": finished, "replicates": replicates, "checkpoints": checkpoints}


def one_round(config: StudyConfig, at: int) -> tuple[str, bool]:
    """Kill at operation ``at``, resume, check; return what was about to happen and whether the study still ran."""
    base = config.output.parent
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    told = base / "killed_at"

    def run(death: Death | None, resumed: bool) -> None:
        if death is not None:
            death.arm()
        driver.run_study(replace(config, resume=resumed), progress=Progress(config.objective, config.budget.trials))

    code = in_a_child(lambda: run(Death(config.output, at, told), resumed=False))
    if code == 0:
        return "", False
    assert code == DIED, f"operation {at}: the driver failed before it was killed"
    before = state(config)
    steps = base / "steps.jsonl"
    steps_before = len(steps.read_text().splitlines()) if steps.exists() else 0
    started = (config.output / "config.yaml").exists()
    # Every second time the driver that resumes is killed as well, somewhere in its first operations.
    if started and at % 2:
        in_a_child(lambda: run(Death(config.output, 1 + at // 2 % 40, base / "killed_again_at"), resumed=True))
        before["checkpoints"] = {}
    code = in_a_child(lambda: run(None, resumed=started))
    assert code == 0, f"operation {at} ({told.read_text()}): resuming failed"
    try:
        check(config, before, steps_before)
    except AssertionError as error:
        raise AssertionError(f"operation {at} ({told.read_text()}): {error}") from error
    return told.read_text(), True


def main() -> None:
    values = yaml.safe_load(Path(sys.argv[1]).read_text())
    base = Path(sys.argv[2]) / "round"
    shutil.rmtree(base, ignore_errors=True)
    config = read_config({**values, "output": str(base / "study")})
    driver._tune, driver._ray = note_steps, without_ray
    seen: Counter[str] = Counter()
    for at in count(int(sys.argv[3]), int(sys.argv[4])):
        name, alive = one_round(config, at)
        if not alive:
            break
        seen[name] += 1
    print(json.dumps({"rounds": sum(seen.values()), "operations": at, "seen": seen}))


if __name__ == "__main__":
    main()
