"""Weights as a study goes: what is removed, what stays, what a killed driver leaves, and what people are told."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main as analyse
from analysis.weights import weights_removed
from study.compose import compose_config
from study.config import StudyConfig
from study.empty import EmptyEvaluation
from study.evaluation import StepReport
from study.keeping import GIGABYTE
from study.progress import Progress
from study.quota import REMOVED, Quota
from study.records import read_parts
from study.resume import resumed_config
from tests.study.in_process import evaluate_all

MakeConfig = Callable[..., StudyConfig]
SIZE = 1000
"""Bytes of the weights of a trial, in two files."""


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every empty trial that is measured leave weights, some in a folder of its own, and a gallery."""
    step = EmptyEvaluation.step

    def writes(self: EmptyEvaluation) -> StepReport:
        report = step(self)
        if report.done:
            folder = self._context.artifacts
            (folder / "part").mkdir()
            (folder / "weights.safetensors").write_bytes(bytes(SIZE // 2))
            (folder / "part" / "weights.safetensors").write_bytes(bytes(SIZE // 2))
            (folder / "gallery.png").write_bytes(bytes(10 * SIZE))
        return report

    monkeypatch.setattr(EmptyEvaluation, "step", writes)


def with_weights(config: StudyConfig) -> set[int]:
    """Return the trials that have all of their weights; there is none with a part of them."""
    found: dict[int, int] = {}
    for path in (config.output / "artifacts").rglob("*.safetensors"):
        number = int(path.relative_to(config.output / "artifacts").parts[0])
        found[number] = found.get(number, 0) + path.stat().st_size
    assert set(found.values()) <= {SIZE}
    return set(found)


def best_of(config: StudyConfig, count: int) -> set[int]:
    """Return the best feasible trials of each shape, of which there are enough; quality is all that differs."""
    chosen: set[int] = set()
    for shape in ("round", "square"):
        rows = [row for row in read_parts(config.output) if row["feasible"] and row["param.shape"] == shape]
        assert len(rows) >= count
        chosen |= {row["trial"] for row in sorted(rows, key=lambda row: -row["objective.quality"])[:count]}
    return chosen


def quality_only(values: dict[str, Any]) -> None:
    del values["objective"]["objectives"]["leak"]


@pytest.fixture
def make(make_config: MakeConfig) -> MakeConfig:
    def made(*overrides: str) -> StudyConfig:
        return make_config("budget.trials=16", "searcher=random", "seed=2", *overrides, edit=quality_only)

    return made


def run(config: StudyConfig) -> str:
    stream = io.StringIO()
    assert evaluate_all(config, Progress(config.objective, config.budget.trials, stream=stream))
    return stream.getvalue()


def test_only_the_front_and_the_best_of_each_stratum_keep_their_weights(make: MakeConfig) -> None:
    config = make("keep.best=2")
    printed = run(config)
    assert with_weights(config) == best_of(config, 2)
    for number in range(16):
        folder = config.output / "artifacts" / str(number)
        assert (folder / "gallery.png").exists()
        assert (folder / "config.yaml").exists()
        assert (
            (folder / REMOVED).exists() == weights_removed(config.output, number) == (number not in best_of(config, 2))
        )
    assert "weights kept: 4 trials (2 on a front), 0.00 GB; removed: 12 trials" in printed
    assert "is full" not in printed


def test_a_folder_is_never_much_fuller_than_what_is_kept(make: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config, most = make("keep.best=1"), list[int]()
    told = Quota.told

    def counts(self: Quota, number: int) -> None:
        told(self, number)
        most.append(len(with_weights(config)))

    monkeypatch.setattr(Quota, "told", counts)
    run(config)
    assert len(most) == 16
    assert max(most) <= 2 + 1  # one of each shape, and one that is finished but not told yet


def test_null_keeps_all(make: MakeConfig) -> None:
    config = make("keep=null")
    assert "weights" not in run(config)
    assert with_weights(config) == set(range(16))


def test_a_full_quota_gives_up_the_last_of_the_best_and_says_so(make: MakeConfig) -> None:
    config = make("keep.best=3", f"keep.gigabytes={4.5 * SIZE / GIGABYTE:.9f}")
    printed = run(config)
    assert with_weights(config) == best_of(config, 2)
    assert f"is full: removed the weights of trials {next(iter(given_up(printed)))}" in printed
    assert "though among the best 3" in printed
    assert "warning" not in printed


def given_up(printed: str) -> Iterator[str]:
    for line in printed.splitlines():
        if "is full" in line:
            yield line.partition("weights of trials ")[2].partition(",")[0]


def test_a_front_beyond_the_quota_is_kept_and_said_once(make: MakeConfig) -> None:
    config = make("keep.best=3", f"keep.gigabytes={0.5 * SIZE / GIGABYTE:.10f}")
    printed = run(config)
    assert with_weights(config) == best_of(config, 1)
    assert printed.count("warning: weights of the front and checkpoints of running trials alone exceed") == 1


def test_checkpoints_of_running_trials_fill_the_quota(make: MakeConfig) -> None:
    config = make("keep.best=3", "keep.gigabytes=1")
    run(config)
    before = with_weights(config)
    assert len(before) == 6
    said: list[str] = []
    checkpoint = config.output / "checkpoints" / "1" / "17" / "5"
    checkpoint.mkdir(parents=True)
    with (checkpoint / "learned.pt").open("wb") as file:
        os.truncate(file.fileno(), GIGABYTE)
    Quota(config, said.append).catch_up([])
    assert with_weights(config) == best_of(config, 1)
    assert any("alone exceed" in line for line in said)


def test_weights_of_trials_that_are_not_finished_are_left_alone(make: MakeConfig) -> None:
    config = make("keep.best=0")
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(config, die_after=3)
    [*_, waiting] = sorted(int(path.name) for path in (config.output / "artifacts").iterdir())
    outcomes = {row["trial"]: row["outcome"] for row in read_parts(config.output)}
    assert outcomes[waiting] == "preempted"
    path = config.output / "artifacts" / str(waiting) / "weights.safetensors"
    path.write_bytes(b"half")
    Quota(config, print).catch_up([])
    assert path.exists()
    path.unlink()


def test_what_a_killed_driver_should_have_removed_is_removed_on_resuming(
    make: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make("keep.best=1")
    with monkeypatch.context() as patched:
        patched.setattr(Quota, "told", lambda self, number: None)
        patched.setattr(Quota, "finish", lambda self, told: None)
        run(config)
    assert with_weights(config) == set(range(16))
    resumed = resumed_config(config.output, [])  # all trials are done
    run(resumed)
    assert with_weights(config) == best_of(config, 1)
    kept = {path: path.stat().st_mtime_ns for path in config.output.rglob(REMOVED)}
    run(resumed)
    assert {path: path.stat().st_mtime_ns for path in config.output.rglob(REMOVED)} == kept


def test_a_kill_between_two_files_of_a_trial_is_made_good(make: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make("keep.best=1")
    unlink, calls = Path.unlink, list[Path]()

    def dies(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".safetensors":
            calls.append(path)
            if len(calls) == 2:
                raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", dies)
        with pytest.raises(KeyboardInterrupt):
            evaluate_all(config)
    run(resumed_config(config.output, []))
    assert with_weights(config) == best_of(config, 1)


def test_weights_that_cannot_be_removed_stop_nothing(make: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config, unlink = make("keep.best=1"), Path.unlink

    def refuses(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuses)
    assert run(config).count("warning: weights cannot be removed ([Errno 13] Permission denied)") == 1


def test_what_is_kept_may_change_on_resuming_and_a_study_without_the_field_keeps_all(make: MakeConfig) -> None:
    config = make("keep.best=3")
    run(config)
    run(resumed_config(config.output, ["keep.best=1"]))
    assert with_weights(config) == best_of(config, 1)
    text = (config.output / "config.yaml").read_text()
    (config.output / "config.yaml").write_text(text.replace("keep:\n  best: 3\n  gigabytes: 20\n", ""))
    assert resumed_config(config.output, []).keep is None


def test_selecting_a_trial_without_weights_says_so(make: MakeConfig, capsys: pytest.CaptureFixture[str]) -> None:
    config = make("keep.best=1")
    run(config)
    assert analyse(["select", str(config.output), "--top", "16"]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "has no weights any more" in line]
    feasible = {row["trial"] for row in read_parts(config.output) if row["feasible"]}
    assert len(warned) == len(feasible - best_of(config, 1)) > 0
    assert "config.yaml has its configuration and its seed" in warned[0]


def test_a_study_as_shipped_keeps_ten_of_each_stratum_and_twenty_gigabytes() -> None:
    assert compose_config([]).values["keep"] == {"best": 10, "gigabytes": 20}
