"""TensorBoard gets every number of a study; other trackers are asked for by name and must be installed."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ray import tune
from ray.tune.callback import CallbackList
from tensorboardX.proto.event_pb2 import Event

from models.measurement import Measurement
from study import callbacks
from study.callbacks import TensorBoardCallback, callback_problems, guard, named_callbacks
from study.config import ConfigError
from study.event_files import EventFiles, scalars
from study.records import Epoch
from study.trainable import REPORT, TASK
from study.trial_run import TrialTask, WorkerReport
from tests.study.conftest import MakeConfig


def task(folder: Path, number: int = 3, replicate: int = 0) -> TrialTask:
    trial = {"x": 0.5, "nested": {"y": 1}}
    return TrialTask("empty", number, trial, 1, 0, {}, {}, str(folder), 1, "", "cpu", 1, 0, replicate)


def read_events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return steps and values by tag: records of length, its checksum, an event, its checksum."""
    (path,) = folder.glob("events*")
    content, found, place = path.read_bytes(), {}, 0
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        place += length + 16
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@dataclass
class FakeTrial:
    config: dict[str, Any]


def test_losses_signals_and_metrics_become_event_files(tmp_path: Path) -> None:
    said: list[str] = []
    callback = TensorBoardCallback(EventFiles(tmp_path), said.append)
    trial = FakeTrial({TASK: task(tmp_path, replicate=2).to_dict()})
    first = WorkerReport((Epoch(1, {"a": 0.5}), Epoch(2, {"a": 0.25}, {"s": math.nan, "t": 2.0})), 1.0)
    last = WorkerReport((Epoch(3, {}),), 2.0, done=True, metrics={"m.x": Measurement(0.75, 0.7, 0.8)})
    for report in (first, last):
        callback.on_trial_result(1, [], trial, {REPORT: report})
    events = read_events(tmp_path / "tensorboard" / "3.2")
    assert events["loss/a"] == [(1, 0.5), (2, 0.25)]
    assert events["signal/t"] == [(2, 2.0)]
    assert "signal/s" not in events
    assert events["metric/m.x"] == [(3, 0.75)]
    assert "configuration/text_summary" in events
    assert said == []
    assert scalars(first) == {"loss/a": 0.25, "signal/t": 2.0}


def test_event_files_that_cannot_be_written_are_said_once_and_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file where a folder should be")
    said: list[str] = []
    callback = TensorBoardCallback(EventFiles(tmp_path), said.append)
    for number in (1, 2):
        trial = FakeTrial({TASK: task(tmp_path, number).to_dict()})
        callback.on_trial_result(1, [], trial, {REPORT: WorkerReport((Epoch(1, {"a": 0.5}),), 1.0)})
    assert len(said) == 1
    assert "records are not affected" in said[0]


def test_named_callbacks_must_be_known_and_installed(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        make_config("callbacks=[mlflow,comet,wandb]")
    message = str(caught.value)
    assert "callbacks='comet' is unknown; permitted: mlflow, wandb" in message
    assert "pip install mlflow" in message
    assert "pip install wandb" in message
    assert callback_problems("mlflow") == [
        "callbacks='mlflow' must be a list of mlflow, wandb, as in callbacks=[mlflow]"
    ]
    monkeypatch.setattr(callbacks, "find_spec", lambda name: name)
    assert make_config("callbacks=[mlflow]").resolved["callbacks"] == ["mlflow"]


class Failing(tune.Callback):
    """A tracker that cannot be reached."""

    def __init__(self, broken: str) -> None:
        self.broken, self.called = broken, list[str]()

    def setup(self, *_: Any, **info: Any) -> None:
        self._call("setup")

    def on_trial_result(self, *_: Any, **info: Any) -> None:
        self._call("on_trial_result")

    def on_experiment_end(self, *_: Any, **info: Any) -> None:
        self._call("on_experiment_end")

    def _call(self, hook: str) -> None:
        self.called.append(hook)
        if hook == self.broken:
            raise TypeError("argument\nof the server is away")


@pytest.mark.parametrize("broken", ["setup", "on_trial_result", "on_experiment_end"])
def test_a_tracker_that_fails_is_said_once_and_switched_off(broken: str) -> None:
    said: list[str] = []
    tracker, healthy = Failing(broken), Failing("nothing")
    for one in (tracker, healthy):
        guard(one, "mlflow", said.append)
    every = CallbackList([tracker, healthy])
    hooks = ["setup", "on_trial_result", "on_trial_result", "on_experiment_end"]
    for hook in hooks:
        getattr(every, hook)(trials=[])
    assert said == [
        "warning: callbacks=mlflow is switched off (TypeError: argument of the server is away); "
        "the records are not affected"
    ]
    assert tracker.called == hooks[: hooks.index(broken) + 1]
    assert healthy.called == hooks


def test_trackers_of_a_study_are_guarded(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "find_spec", lambda name: name)
    module = ModuleType("ray.air.integrations.mlflow")
    module.MLflowLoggerCallback = lambda **_: Failing("setup")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    said: list[str] = []
    (made,) = named_callbacks(make_config("callbacks=[mlflow]"), said.append)
    made.setup()
    assert len(said) == 1
