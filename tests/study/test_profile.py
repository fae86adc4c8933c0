"""Profiling a trial: time is booked under the part it went into, operations are counted, and the advice follows."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.ppgan.config import PPGANConfig
from models.ppgan.training import TrainingSet, train_ppgan
from study import profile as profiling
from study import profile_parts, profile_steps
from study.cli import OK, main
from study.evaluation import Stage, StepReport
from study.profile import ADVICE, Row, bound_of, table
from study.profile_parts import PARTS, PartTimes
from study.profile_steps import Steps, StepWatch


def resolve(name: str) -> Any:
    """Return what a dotted name of module and qualified name stands for."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


@pytest.mark.parametrize("name", [*PARTS, profile_parts.STEGANALYSIS, profile_parts.CLASSIFIER])
def test_every_part_is_a_function_that_is_there(name: str) -> None:
    assert callable(resolve(name))


def busy(rounds: int) -> None:
    for _ in range(rounds):
        time.sleep(profile_parts.INTERVAL)


def judge(rounds: int) -> None:
    metric = "strong_identity_accuracy.plain"
    fit(metric, rounds)


def fit(name: str, rounds: int) -> None:
    busy(rounds)


def test_time_is_booked_under_stage_part_and_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_parts, "PARTS", {f"{__name__}.judge": "check"})
    monkeypatch.setattr(profile_parts, "CLASSIFIER", f"{__name__}.fit")
    times = PartTimes()
    with times.watching():
        judge(20)
    times.name("checks")
    with times.watching():
        busy(20)
    times.name("set_up")
    found = {key: spent.wall for key, spent in times.spent.items()}
    checks = {key: wall for key, wall in found.items() if key[0] == "checks"}
    assert max(checks, key=lambda key: checks[key]) == ("checks", "check: strong_identity_accuracy.plain")
    assert [part for stage, part in found if stage == "set_up"] == ["other"]


def test_the_operations_of_a_step_are_counted_both_ways() -> None:
    layer, batch = nn.Linear(64, 32), torch.randn(16, 64)
    optimiser, watch = torch.optim.Adam(layer.parameters()), StepWatch()
    with watch.watching():
        for _ in range(3 * profile_steps.WINDOW + 4):
            optimiser.zero_grad()
            layer(batch).sum().backward()
            optimiser.step()
    (steps,) = watch.found.values()
    assert steps.whole
    assert steps.operations == profile_steps.WINDOW * 2 * (2 * 16 * 64 * 32)  # forward, and the weights' gradient
    assert "aten::addmm" in steps.operators
    assert sum(steps.shares.values()) == pytest.approx(1.0)
    count = len(watch.found)
    optimiser.step()
    assert len(watch.found) == count, "nobody looks any more"


def test_a_part_that_ends_before_its_windows_is_not_looked_into() -> None:
    layer = nn.Linear(4, 4)
    optimiser, watch = torch.optim.SGD(layer.parameters(), 0.1), StepWatch()
    with watch.watching():
        for _ in range(2 * profile_steps.WINDOW):  # ends while operations are being counted
            layer(torch.ones(1, 4)).sum().backward()
            optimiser.step()
    assert not any(steps.whole for steps in watch.found.values())
    torch.ones(2, 2) @ torch.ones(2, 2)  # nothing is left open


@pytest.mark.parametrize(
    ("operators", "recorded", "bound"),
    [
        ({"aten::mkldnn_convolution": 6.0, "aten::mul": 3.0}, 10.0, "products"),
        ({"aten::mm": 2.0, "aten::leaky_relu": 4.0, "aten::copy_": 2.0}, 10.0, "memory"),
        ({"aten::mm": 1.0, "aten::mul": 1.0}, 10.0, "python"),
    ],
)
def test_a_step_is_bound_by_what_most_of_it_goes_into(operators: dict[str, float], recorded: float, bound: str) -> None:
    assert bound_of(Steps(operators=operators, recorded=recorded)) == bound


def test_the_table_ends_with_advice_for_what_was_found() -> None:
    rows = [
        Row("set_up", "PP-GAN", 6.0, 1.9, "products", False, 1e11, 0.5, {}),
        Row("checks", "check: steganalysis", 3.0, 0.5, "memory", True, 1e10, 0.1, {}),
        Row("checks", "other", 1.0, 1.0),
    ]
    text = table(rows)
    assert f" 60% {ADVICE['products']}" in text
    assert f" 30% {ADVICE['memory']}" in text
    assert f" 30% {profiling.WAITING}" in text
    assert ADVICE["python"] not in text
    assert "10.0 s in all, 6.0 s of it in set_up" in text


class Trains:
    """An experiment whose one step trains a tiny PP-GAN."""

    def start(self, trial: Any, seed: int, context: Any) -> Any:
        return self

    def step(self) -> StepReport:
        images = torch.zeros(8, 3, 16, 16, dtype=torch.uint8)
        data = TrainingSet(images, torch.arange(8) % 2, torch.arange(8) % 2, 2, 2)
        train_ppgan(PPGANConfig(width=4, latent=4, batch_size=8, steps=22), data, seed=0)
        return StepReport(1, {}, done=True, stage=Stage.CHECKS)


def test_a_profile_says_where_the_time_goes_and_starts_no_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "load_experiment", lambda name: Trains())
    threads = torch.get_num_threads()
    command = ["experiment=empty", "profile=true", f"output={tmp_path}/study", f"cache={tmp_path}/cache"]
    assert main([*command, "resources.cpus_per_trial=1"]) == OK
    torch.set_num_threads(threads)
    shown = capsys.readouterr().out
    assert "PP-GAN" in shown
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == ["profile.json", "trace.json"]
    assert not (tmp_path / "cache").exists()
    written = json.loads((tmp_path / "study" / "profile.json").read_text())
    (row,) = [row for row in written["rows"] if row["part"] == "PP-GAN"]
    assert row["stage"] == "checks"
    assert row["bound"] in ADVICE
    assert row["operations_per_second"] > 0
    assert written["device"] in ("cpu", "cuda")
    assert "traceEvents" in json.loads((tmp_path / "study" / "trace.json").read_text())
