"""What trials ask for once others were measured, the measurement itself, and the second try with a device alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.tune.search import Searcher

from study import config as config_module
from study.config import ConfigError, StudyConfig
from study.empty import EXPERIMENT
from study.memory import MemoryUse, begin, gpu_memory, share_problem, torch_share, used
from study.outcomes import Outcome
from study.packing import Node, Packing, Request
from study.records import read_parts
from study.resources import ResourceConfig, plan_nodes
from study.resume import resumed_config
from study.search import Search
from study.storage import open_storage
from study.trainable import TASK, StudyTrainable
from tests.study.in_process import evaluate_all
from tests.study.test_searcher_contract import fault, new_study

MakeConfig = Callable[..., StudyConfig]
GIGABYTE = 2**30
AUTO = ResourceConfig(None, None, None)
GPU_NODE = Node(16, 1, 100 * GIGABYTE)
ROUND, SQUARE = {"shape": "round"}, {"shape": "square"}


def packing(config: ResourceConfig, *nodes: Node) -> Packing:
    share = plan_nodes(config, [(node.cpus, node.gpus) for node in nodes])
    return Packing(config, share, nodes, ["shape"])


def gigabytes(peak: float, capacity: float = 80) -> MemoryUse:
    return MemoryUse(int(peak * GIGABYTE), int(capacity * GIGABYTE))


def test_a_trial_like_none_before_takes_the_default_share() -> None:
    assert packing(AUTO, GPU_NODE).request(ROUND) == Request(4.0, 0.25, 0)


@pytest.mark.parametrize(
    ("peak", "gpus", "cpus"),
    [
        (0.5, 1 / 32, 1.0),  # with the context a fiftieth; no smaller share than this
        (3.0, 1 / 16, 1.0),  # 4.75 of 80
        (3.5, 1 / 8, 2.0),  # 5.4 of 80, more than a sixteenth
        (14.0, 1 / 4, 4.0),
        (30.0, 1 / 2, 8.0),
        (60.0, 1.0, 16.0),
        (79.0, 1.0, 16.0),
    ],
)
def test_a_measured_trial_takes_the_power_of_two_of_a_gpu_that_holds_it(peak: float, gpus: float, cpus: float) -> None:
    packed = packing(AUTO, GPU_NODE)
    packed.note(ROUND, gigabytes(peak))
    assert packed.request(ROUND) == Request(cpus, gpus, 0)
    assert packed.request(SQUARE) == Request(4.0, 0.25, 0)  # another stratum was not measured


def test_small_trials_let_more_run_side_by_side_and_large_ones_fewer() -> None:
    packed = packing(AUTO, GPU_NODE, GPU_NODE)
    assert packed.concurrent == 8
    packed.note(SQUARE, gigabytes(60))
    assert packed.concurrent == 2
    packed.note(ROUND, gigabytes(1))
    assert packed.concurrent == 32  # as many as there are CPUs for
    packed.nodes = [GPU_NODE]
    assert packed.concurrent == 16


def test_the_largest_of_a_stratum_counts_whatever_came_last() -> None:
    packed = packing(AUTO, GPU_NODE)
    for peak in (3.0, 30.0, 1.0):
        packed.note(ROUND, gigabytes(peak))
    assert packed.request(ROUND).gpus == 0.5


def test_what_the_user_says_of_gpus_and_cpus_stands() -> None:
    packed = packing(ResourceConfig(None, 0.5, None), GPU_NODE)
    packed.note(ROUND, gigabytes(1))
    assert packed.request(ROUND) == Request(8.0, 0.5, 0)
    assert packed.concurrent == 2
    packed = packing(ResourceConfig(3, None, None), GPU_NODE)
    packed.note(ROUND, gigabytes(1))
    assert packed.request(ROUND).cpus == 3
    assert packing(ResourceConfig(None, None, 2), GPU_NODE).concurrent == 2


def test_memory_is_asked_for_on_cpus_only_where_it_could_become_short() -> None:
    packed = packing(AUTO, Node(4, 0, 16 * GIGABYTE))
    packed.note(ROUND, gigabytes(3, 16))  # rounded up to four, of which four fit
    assert packed.request(ROUND) == Request(1.0, 0.0, 0)
    packed.note(ROUND, gigabytes(5, 16))
    assert packed.request(ROUND) == Request(1.0, 0.0, 8 * GIGABYTE)
    packed.note(ROUND, gigabytes(15, 16))
    assert packed.request(ROUND).memory == 16 * GIGABYTE  # never more than a node has


def test_memory_is_asked_for_if_one_node_of_several_is_short_of_it() -> None:
    packed = packing(AUTO, Node(4, 0, 64 * GIGABYTE), Node(4, 0, 8 * GIGABYTE))
    packed.note(ROUND, gigabytes(3))
    assert packed.request(ROUND).memory == 4 * GIGABYTE


def test_alone_means_a_gpu_or_a_node_to_itself() -> None:
    assert packing(AUTO, GPU_NODE).request(ROUND, alone=True) == Request(4.0, 1.0, 0)
    assert packing(AUTO, Node(2, 0, 1), Node(6, 0, 1)).request(ROUND, alone=True) == Request(6, 0.0, 0)
    assert packing(ResourceConfig(None, 2, None), Node(8, 4, 1)).request(ROUND, alone=True).gpus == 2


def test_a_request_names_only_what_it_asks_for() -> None:
    assert Request(1.0, 0.0, 0).bundle() == {"CPU": 1.0}
    assert Request(2.0, 0.25, 8).bundle() == {"CPU": 2.0, "GPU": 0.25, "memory": 8.0}


def test_records_teach_what_trials_take_except_those_that_ran_out() -> None:
    row = {
        "param.shape": "round",
        "memory_bytes": 3 * GIGABYTE,
        "memory_capacity_bytes": 80 * GIGABYTE,
        "outcome": "ok",
    }
    unknown = {**row, "memory_bytes": None}
    packed = packing(AUTO, GPU_NODE)
    for one in ({**row, "outcome": "out_of_memory"}, unknown, {"param.shape": "round", "outcome": "ok"}):
        packed.restore(one, EXPERIMENT.defaults())
    assert packed.request(ROUND).gpus == 0.25
    packed.restore(row, EXPERIMENT.defaults())
    assert packed.request({**EXPERIMENT.defaults(), **ROUND}).gpus == 1 / 16


def test_the_measurement_is_of_the_trial_and_not_of_what_the_process_held_before() -> None:
    block = np.ones(40 * 2**20, dtype=np.uint8)
    before = used("cpu")
    assert before is not None
    del block
    begin("cpu", 1.0)
    base = used("cpu")
    assert base is not None
    assert base.peak < before.peak - 30 * 2**20
    block = np.ones(20 * 2**20, dtype=np.uint8)
    more = used("cpu")
    assert more is not None
    assert 15 * 2**20 < more.peak - base.peak < 30 * 2**20
    assert more.peak < more.capacity
    assert block[0] == 1


@pytest.mark.parametrize(
    ("share", "gigabytes_of_gpu", "given", "expected"),
    [
        (0.25, 80, True, 0.25),
        (0.03, 24, True, 0.03),  # 0.72 GiB would be nothing with 1 GiB off
        (0.25, 80, False, 0.25 - 1 / 80),
        (1 / 32, 24, False, 1 / 64),
        (1.0, 80, True, 1.0),
        (2.0, 80, False, 1.0),
    ],
)
def test_torch_is_held_to_the_share(share: float, gigabytes_of_gpu: int, given: bool, expected: float) -> None:
    assert torch_share(share, gigabytes_of_gpu * GIGABYTE, given=given) == pytest.approx(expected)


def test_a_share_that_a_process_alone_fills_is_refused_with_the_least_one() -> None:
    problem = share_problem(0.04, 24 * GIGABYTE)
    assert problem is not None
    assert "resources.gpus_per_trial=0.04 of a GPU of 24.0 GiB" in problem
    assert "give 0.042 or more" in problem
    assert share_problem(0.042, 24 * GIGABYTE) is None
    assert "give 0.063 or more" in str(share_problem(1 / 16, 16 * GIGABYTE))  # just as much is not more
    for share, capacity in ((None, GIGABYTE), (0.0, GIGABYTE), (0.01, 0), (2.0, 16 * GIGABYTE)):
        assert share_problem(share, capacity) is None


def test_the_largest_gpu_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for told, expected in (("2048\n16384", 16384 * 2**20), ("[N/A]", 0), ("", 0)):
        tool.write_text(f"#!/bin/sh\nprintf '{told}'\n")
        tool.chmod(0o755)
        assert gpu_memory() == expected


def test_a_study_with_too_small_a_share_does_not_start(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_module, "detect_gpus", lambda: 1)
    monkeypatch.setattr(config_module, "gpu_memory", lambda: 8 * GIGABYTE)
    with pytest.raises(ConfigError, match=r"give 0\.126 or more"):
        make_config("resources.gpus_per_trial=0.1")
    assert make_config("resources.gpus_per_trial=0.126").resources.gpus_per_trial == 0.126


def test_every_finished_trial_has_its_memory_in_the_records(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=3")
    assert evaluate_all(config)
    assert all(1e6 < row["memory_bytes"] < row["memory_capacity_bytes"] for row in read_parts(config.output))


def test_a_resumed_study_knows_what_was_measured(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config("budget.trials=3")
    evaluate_all(config)
    restored: list[Any] = []
    monkeypatch.setattr(Packing, "restore", lambda self, row, defaults: restored.append(row["memory_bytes"]))
    evaluate_all(resumed_config(config.output, ["budget.trials=4"]))
    assert len(restored) == 3


def test_what_ran_out_of_memory_is_tried_alone_and_once(make_config: MakeConfig) -> None:
    study = new_study(make_config)
    study.searcher.suggest("a")
    assert not study.trials[0].user_attrs.get("alone")
    study.searcher.on_trial_complete("a", {"report": fault(Outcome.OUT_OF_MEMORY)})
    study.searcher.suggest("b")
    assert study.trials[1].user_attrs["alone"]
    study.searcher.on_trial_complete("b", {"report": fault(Outcome.OUT_OF_MEMORY)})
    assert study.searcher.suggest("c") == Searcher.FINISHED
    assert [study.rows[number]["outcome"] for number in (0, 1)] == ["out_of_memory", "out_of_memory"]
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]


def test_what_crashed_is_not_tried_alone(make_config: MakeConfig) -> None:
    study = new_study(make_config)
    study.searcher.suggest("a")
    study.searcher.on_trial_complete("a", {"report": fault(Outcome.CRASHED)})
    study.searcher.suggest("b")
    assert not study.trials[1].user_attrs.get("alone")


def test_a_driver_lost_before_the_rerun_is_due_still_tries_it_alone(make_config: MakeConfig) -> None:
    study = new_study(make_config)
    study.searcher.suggest("a")
    study.search._enqueue_rerun = lambda trial: None  # type: ignore[method-assign]
    study.searcher.on_trial_complete("a", {"report": fault(Outcome.OUT_OF_MEMORY)})
    resumed = Search(replace(study.config, resume=True), open_storage("", study.config.output))
    resumed.recover(study.records.scores())
    proposal = resumed.ask()
    assert proposal is not None
    assert proposal.alone


def test_nothing_else_is_begun_while_a_trial_waits_for_a_device_of_its_own(make_config: MakeConfig) -> None:
    study = new_study(make_config, "budget.trials=3")
    study.searcher.suggest("a")
    study.searcher.on_trial_complete("a", {"report": fault(Outcome.OUT_OF_MEMORY)})
    study.searcher.suggest("alone")
    assert study.searcher.suggest("next") is None
    study.searcher.on_trial_start("another")
    assert study.searcher.suggest("next") is None
    study.searcher.on_trial_start("alone")
    assert isinstance(study.searcher.suggest("next"), dict)


def test_a_trial_that_ran_out_teaches_nothing_and_others_do(make_config: MakeConfig) -> None:
    study = new_study(make_config, "budget.trials=2")
    seen: list[int] = []
    study.searcher._measured = lambda proposal, use: seen.append(use.peak)
    for name, outcome, peak in (("a", Outcome.OUT_OF_MEMORY, 7), ("b", Outcome.DIVERGED, 5)):
        study.searcher.suggest(name)
        study.searcher.on_trial_complete(name, {"report": replace(fault(outcome), memory=MemoryUse(peak, 9))})
    assert seen == [5]


def test_ray_is_asked_for_what_the_task_says() -> None:
    request = StudyTrainable.default_resource_request({TASK: {"resources": {"CPU": 2.0, "GPU": 0.125}}})
    assert request.bundles == [{"CPU": 2.0, "GPU": 0.125}]
