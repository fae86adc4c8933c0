"""Drivers killed with SIGKILL, again and again, lose nothing: real ones under Ray, and one at every file operation."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from study.config import StudyConfig
from study.records import read_parts
from study.search import RUN_AGAIN
from study.storage import open_storage, repair_journal

MakeConfig = Callable[..., StudyConfig]
ROOT = Path(__file__).resolve().parents[2]

STUDIES, KILLS, TRIALS, EPOCHS, SECONDS = 2, 10, 40, 4, 0.15
"""Studies, kills of each, trials of each, and epochs and seconds an epoch of a trial."""


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    """Start a driver at the head of its own process group."""
    command = [sys.executable, "-m", "study", *overrides]
    with (folder.parent / "printed.txt").open("a") as printed:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )


def told_trials(folder: Path, name: str) -> dict[int, optuna.trial.FrozenTrial]:
    """Return what a copy of the journal, repaired, holds of trials that ended."""
    copy = folder.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    if (folder / "journal.log").exists():
        shutil.copy(folder / "journal.log", copy / "journal.log")
    repair_journal(copy)
    try:
        trials = optuna.load_study(study_name=name, storage=open_storage("", copy)).get_trials()
    except KeyError:
        return {}
    return {trial.number: trial for trial in trials if RUN_AGAIN in trial.user_attrs and trial.state.is_finished()}


def wait_for_a_moment(folder: Path, process: subprocess.Popen[str], randomness: random.Random) -> None:
    """Wait until some random time after the start, or after a random number of new checkpoints."""
    if randomness.random() < 0.2:  # while Python, Ray or the storage are being opened
        time.sleep(randomness.uniform(0.5, 6.0))
        return
    steps = randomness.randrange(1, 6 * EPOCHS)
    seen: set[Path] = set(folder.glob("checkpoints/*/*/*"))
    new: set[tuple[str, ...]] = set()
    deadline = time.monotonic() + 120
    while len(new) < steps and process.poll() is None:
        assert time.monotonic() < deadline, "the driver does nothing"
        new |= {path.parts[-2:] for path in set(folder.glob("checkpoints/*/*/*")) - seen}
        time.sleep(0.01)
    time.sleep(randomness.uniform(0.0, SECONDS))


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_no_trial_and_run_none_again(tmp_path: Path) -> None:
    randomness, kills = random.Random(7), {"group": 0, "driver": 0}
    for index in range(STUDIES):
        folder, name = tmp_path / str(index) / "study", f"killed-{index}"
        folder.parent.mkdir()
        first = [
            *("experiment=empty", f"name={name}", f"budget.trials={TRIALS}", f"seed={index}", "checkpoint_every=1"),
            *(f"trial.epochs={EPOCHS}", f"trial.seconds={SECONDS}", f"output={folder}", f"cache={tmp_path}/cache"),
        ]
        done: dict[int, dict[str, Any]] = {}
        for kill in range(KILLS):
            process = start(folder, *([f"resume={folder}"] if (folder / "config.yaml").exists() else first))
            wait_for_a_moment(folder, process, randomness)
            assert process.poll() is None, (folder.parent / "printed.txt").read_text()
            if kill % 2:
                process.kill()
                kills["driver"] += 1
            else:
                os.killpg(process.pid, signal.SIGKILL)
                kills["group"] += 1
            process.wait()
            rows = {row["trial"]: row for row in read_parts(folder)}
            told = told_trials(folder, name)
            assert told.keys() <= rows.keys(), "a finished trial has no record"
            assert all(rows[number] == row for number, row in done.items()), "a finished trial was lost or run again"
            done |= {number: rows[number] for number in told}
        last = start(folder, f"resume={folder}")
        assert last.wait(timeout=240) == 0, (folder.parent / "printed.txt").read_text()

        trials = optuna.load_study(study_name=name, storage=open_storage("", folder)).get_trials()
        rows = {row["trial"]: row for row in read_parts(folder)}
        assert not [trial for trial in trials if trial.state is TrialState.RUNNING]
        told = told_trials(folder, name)
        assert sum(not trial.user_attrs[RUN_AGAIN] for trial in told.values()) == TRIALS
        assert rows.keys() == told.keys()
        assert all(rows[number] == row for number, row in done.items())
        assert all(row["outcome"] in ("ok", "infeasible") for row in rows.values())
        assert not list(folder.rglob("*.tmp"))
    assert sum(kills.values()) == 20
    print(f"killed {kills['group']} process groups and {kills['driver']} drivers alone; nothing was lost")


def crash_config(make_config: MakeConfig, fault_space: dict[str, Any], *more: str) -> StudyConfig:
    faults = ("none", "crash", "out_of_memory", "nan_objective", "nan_metric")
    points = [{"x": 0.5, "fault": fault} for fault in faults]
    space = {**fault_space, "starting_points": points}
    overrides = ("budget.trials=5", "checkpoint_every=1", "trial.epochs=3", "name=crash", *more)
    return make_config(*overrides, edit=lambda values: values.update(space=space))


def kill_at_file_operations(config: StudyConfig, folder: Path, first: int, stride: int) -> dict[str, Any]:
    """Kill a driver at every ``stride``-th operation, resume and check; return what was seen."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config.resolved))
    command = [
        sys.executable,
        "-m",
        "tests.study.crash_points",
        folder / "config.yaml",
        folder,
        str(first),
        str(stride),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert result.returncode == 0, result.stderr[-3000:]
    summary: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    print(f"killed at {summary['rounds']} of about {summary['operations']} operations: {summary['seen']}")
    return summary


@pytest.mark.slow
def test_a_driver_killed_before_any_file_operation_is_resumed_without_loss(
    make_config: MakeConfig, fault_space: dict[str, Any], tmp_path: Path
) -> None:
    """Every thirteenth operation of a study whose trials crash, run out of memory, and cannot be measured."""
    assert kill_at_file_operations(crash_config(make_config, fault_space), tmp_path, 3, 13)["rounds"] >= 30


@pytest.mark.slow
@pytest.mark.parametrize(("racing", "first"), [("true", 11), ("false", 29)])
def test_a_driver_of_several_seeds_killed_before_any_file_operation_is_resumed_without_loss(
    make_config: MakeConfig, fault_space: dict[str, Any], tmp_path: Path, racing: str, first: int
) -> None:
    """The same of configurations under three seeds each, which differ a little."""
    config = crash_config(make_config, fault_space, "replicates=3", f"racing={racing}", "trial.noise=0.001")
    assert kill_at_file_operations(config, tmp_path, first, 37)["rounds"] >= 10
