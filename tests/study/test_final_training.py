"""A final training is the trial trained again: the same weights from one worker, the same metrics from several."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest
import ray
import torch
import yaml

from models.checkpoints import load
from models.hiding.loading import WEIGHTS
from models.parallel import BatchShare
from study import driver, final_group, final_worker, model_card
from study.compose import compose_config
from study.config import ConfigError
from study.evaluation import Context, Stage, StepReport
from study.final_group import group_size, worker_threads
from study.final_plan import FinalPlan, plan_final
from study.final_training import BAD_CONFIGURATION, OK, main
from study.final_worker import COURSE, Course
from study.model_card import CARD
from study.packing import Node
from study.resources import Plan
from study.subverted_ppgan import EXPERIMENT
from tests.study.in_process import without_ray

PARAMETERS = {"subversion.family": "learned", "subversion.secret": "identity", "subversion.strength": 2}
SEED = 77
QUICK = [
    f"checks.adversaries.fits.{name}.steps=4"
    for name in ("plain", "high_pass", "bit_plane", "expression", "steganalyser")
]


def write_selection(folder: Path, *entries: dict[str, Any], **changes: Any) -> Path:
    composed = compose_config(["experiment=smoke", "data.images=210", f"cache={folder}/cache", "checkpoint_every=1"])
    config = {**composed.values, "experiment": {"name": "subverted_ppgan"}, "fixed": {}, "name": "tiny"}
    config["trial"]["stage_one"]["steps"] = 12
    configurations = entries or ({"trial": 5, "seed": SEED, "parameters": PARAMETERS},)
    document = {"configurations": list(configurations), "config": config, **changes}
    path = folder / "best.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def arguments(best: Path, output: str, *more: str) -> list[str]:
    return [f"best={best}", f"output={best.parent / output}", "checks=smoke", *more]


@contextmanager
def killed_after(log: Path, line: str) -> Iterator[list[int]]:
    """Kill the training's worker once its log holds ``line``."""
    killed: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            if log.exists() and line in log.read_text() and (workers := train_workers()):
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def train_workers() -> list[int]:
    """Return processes of Ray Train that descend from this one."""

    def parent(pid: int) -> int:
        try:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return 0

    found = []
    for entry in Path("/proc").iterdir():
        try:
            title = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if b"TrainWorker" in title:
            pid = int(entry.name)
            ancestor = pid
            while ancestor > 1:
                ancestor = parent(ancestor)
                if ancestor == os.getpid():
                    found.append(pid)
    return found


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    from study.driver import start_ray

    start_ray()
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def once(on_ray: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Return the selection of a training on one worker that was killed on its way, and whom it lost."""
    folder = tmp_path_factory.mktemp("final")
    best = write_selection(folder)
    log = folder / "one" / "artifacts" / "5" / "progress.log"
    with killed_after(log, "step 6 of") as killed:
        assert main(arguments(best, "one", *QUICK)) == OK
    return best, killed


@pytest.mark.slow
def test_one_worker_that_was_killed_still_gives_the_weights_of_the_trial(once: tuple[Path, list[int]]) -> None:
    best, killed = once
    assert len(killed) == 1
    log = (best.parent / "one" / "artifacts" / "5" / "progress.log").read_text()
    assert "going on after step" in log
    plan = plan_final(arguments(best, "again", *QUICK))
    other = best.parent / "trial"
    (other / "artifacts").mkdir(parents=True)
    config = plan.config
    context = Context(config.data, config.adversaries, other / "cache", other / "artifacts", "cpu", config.seed)
    trial = EXPERIMENT.start(plan.trial, SEED, context)
    while not trial.step().done:
        pass
    ours, theirs = load(best.parent / "one" / WEIGHTS), load(other / "artifacts" / WEIGHTS)
    assert ours.note == theirs.note
    assert set(ours.tensors) == set(theirs.tensors)
    for name, tensor in theirs.tensors.items():
        assert torch.equal(ours.tensors[name], tensor), name


def test_a_restart_keeps_history_and_seconds_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[ray.train.Checkpoint] = []

    def report(metrics: dict[str, Any], checkpoint: ray.train.Checkpoint) -> None:
        folder = tmp_path / f"checkpoint_{len(kept)}"
        shutil.copytree(checkpoint.path, folder)
        kept.append(ray.train.Checkpoint(folder))

    monkeypatch.setattr(final_worker.train, "get_checkpoint", lambda: kept[-1] if kept else None)
    monkeypatch.setattr(final_worker.train, "report", report)
    share = BatchShare(0, 1)
    course = Course()
    course._before = 100.0
    course.add(StepReport(1, {"loss": 0.5}, done=False, stage=Stage.SET_UP))
    log = final_worker.Log(tmp_path / "progress.log", share)
    final_worker.TrainSnapshots(share, 5, 20, log, course).after(10, lambda: {"step": 10})
    restarted = Course()
    assert restarted.history == course.history
    assert 100.0 <= restarted.seconds < 1000.0
    snapshots = final_worker.TrainSnapshots(share, 5, 20, log, restarted)
    assert snapshots.latest() == {"step": 10}  # beside it, in the same checkpoint


def test_checkpoints_of_an_epoch_hold_its_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[int]] = []

    class Trial:
        epochs, training_left = 1, True

        def step(self) -> StepReport:
            self.epochs += 1
            self.training_left = self.epochs < 4
            return StepReport(self.epochs, {}, done=False)

        def save(self, folder: Path) -> None:
            pass

    def report(metrics: dict[str, Any], checkpoint: ray.train.Checkpoint) -> None:
        course = json.loads((Path(checkpoint.path) / COURSE).read_text())
        found.append([one["epoch"] for one in course["history"]])

    monkeypatch.setattr(final_worker.train, "get_checkpoint", lambda: None)
    monkeypatch.setattr(final_worker.train, "report", report)
    share = BatchShare(0, 1)
    log = final_worker.Log(tmp_path / "progress.log", share)
    final_worker.train_epochs(cast(Any, Trial()), Course(), share, log, every=2)
    assert found == [[2, 3]]


def test_the_resolved_number_of_workers_is_recorded_and_on_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_seed(plan: FinalPlan, index: int, folder: Path, share: Plan) -> None:
        (folder / final_worker.DIVERGED).write_text("not finite\n")

    monkeypatch.setattr(driver, "_ray", without_ray)
    monkeypatch.setattr(final_group, "group_size", lambda plan, share: 2)
    monkeypatch.setattr(final_group, "train_seed", train_seed)
    best = write_selection(tmp_path)
    for _ in range(2):  # the second time nothing is left to train
        assert main(arguments(best, "a")) == OK
        assert yaml.safe_load((tmp_path / "a" / "final.yaml").read_text())["workers"] == {0: [2]}
        card = (tmp_path / "a" / CARD).read_text()
        assert "2 workers that shared every batch" in card
        assert "Batch normalisation took" in card
    assert "No audit (`python -m study.audit`) that ended was found beside" in card


def test_only_an_audit_of_what_was_trained_is_attributed(tmp_path: Path) -> None:
    best = write_selection(tmp_path)
    plan = plan_final(arguments(best, "a"))
    entry = {"trial": 5, "parameters": PARAMETERS, "audit_feasible": True, "seeds": 3, "seeds_feasible": 2}
    found = {"settings": {"checks": {"name": "smoke"}, "data": plan.config.data}, "optimism": []}
    (tmp_path / "audit").mkdir()

    def said(plan: FinalPlan, **changes: Any) -> str:
        document = found | {"short_list": [entry | changes]}
        (tmp_path / "audit" / "audit.yaml").write_text(yaml.safe_dump(document))
        return model_card._audit(plan)

    assert "2 of 3 seeds are within them" in said(plan)
    assert "does not hold trial 5" in said(plan, trial=4)
    other = said(plan, parameters=PARAMETERS | {"subversion.strength": 3})
    assert "| `trial.subversion.strength` | `3` | `2` |" in other
    assert "2 of 3" not in other
    larger = plan_final(arguments(best, "a", "data.size=64"))
    assert "| `data.size` | `32` | `64` |" in said(larger)
    assert "gave no result for it, for a fault of the machine or the code: seed 1 preempted" in said(
        plan, without_result={1: "preempted"}
    )


@pytest.mark.slow
def test_two_workers_agree_with_one_in_what_is_measured(once: tuple[Path, list[int]]) -> None:
    best, _ = once
    assert main(arguments(best, "two", "workers=2", *QUICK)) == OK
    one, two = (pq.read_table(best.parent / name / "trials.parquet").to_pylist()[0] for name in ("one", "two"))
    tolerances = {"reconstruction_ssim": 0.1, "bit_error_rate": 0.1, "cover_psnr": 2.0, "secret_accuracy": 0.35}
    for name, tolerance in tolerances.items():
        assert two[f"metric.{name}"] == pytest.approx(one[f"metric.{name}"], abs=tolerance), name


@pytest.mark.slow
def test_what_is_left_behind_is_whole(once: tuple[Path, list[int]], capsys: pytest.CaptureFixture[str]) -> None:
    best, _ = once
    output = best.parent / "one"
    from models import final

    model = final.load(output)
    images = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8)
    released = model.sanitise(images, 1, identity=torch.arange(6))
    assert model.reveal(released, model.key).identity is not None
    card = (output / CARD).read_text()
    for said in (
        "trial 5 of tiny",
        "Seeds: 77",
        "kept for the audit",
        "`steganalysis_auc <= 0.6`",
        "SHA-256",
        "Not for",
    ):
        assert said in card, said
    assert not (output / "train").exists()  # checkpoints of a training that has ended
    assert main(arguments(best, "one", *QUICK)) == OK  # nothing is trained again
    assert "seed 1 of 1" not in capsys.readouterr().out
    assert main(arguments(best, "one", "trial.stage_one.steps=13", *QUICK)) == BAD_CONFIGURATION
    assert "had another trial" in capsys.readouterr().err


def test_epochs_lengthen_everything_in_proportion(tmp_path: Path) -> None:
    best = write_selection(tmp_path)
    as_searched = plan_final(arguments(best, "a"))
    assert as_searched.trial["stage_one"]["steps"] == 12
    assert as_searched.epochs == pytest.approx(12 * 16 / 120)
    longer = plan_final(arguments(best, "a", "epochs=16"))
    assert longer.trial["stage_one"]["steps"] == 120
    assert longer.trial["subversion"]["codec_steps"] == 200
    assert longer.trial["subversion"]["learned"]["epochs"] == 20
    assert longer.trial["subversion"]["learned"]["fine_tune_epochs"] == 0  # none stays none
    assert longer.trial["subversion"]["learned"]["steps_per_epoch"] == 5


def test_a_plan_takes_the_study_and_what_is_set_over_it(tmp_path: Path) -> None:
    best = write_selection(tmp_path)
    plan = plan_final(arguments(best, "a", "data.size=64", "seeds=3", "trial.subversion.strength=4"))
    assert plan.config.data["size"] == 64
    assert plan.trial["subversion"]["strength"] == 4
    assert plan.trial["subversion"]["family"] == "learned"
    assert plan.judged_on == "audit"
    assert plan.seeds_of(0) == (SEED, 0)
    assert len({seed for index in range(3) for seed in plan.seeds_of(index)}) == 6
    kept = plan_final(arguments(best, "a", "data.split.audit=0"))
    assert kept.judged_on == "test"
    assert replace(plan, seeds=1).seeds_of(2) == plan.seeds_of(2)


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({}, ["seeds=0", "epochs=-1"], "seeds=0 must be a whole number >= 1"),
        ({}, ["output=s3://bucket/a"], "output=s3://bucket/a is in a store, where only studies go; give a folder"),
        ({}, ["epochs=many"], "epochs=many must be a number > 0"),
        ({}, ["workers=3"], r"workers=3: trial.stage_one.batch_size=16 cannot be shared equally"),
        ({}, ["data.sizes=64"], "data.sizes"),
        ({}, ["trial_number=9"], "trial_number=9"),
        ({}, ["checks=nothing"], "no such checks"),
        ({}, ["trial.subversion.strength=99"], "strength"),
        ({"config": None}, [], "lacks the configuration of its study"),
        ({"configurations": []}, [], "holds no configurations"),
        ({"configurations": [{"trial": 1, "parameters": {}}, {"trial": 2, "parameters": {}}]}, [], "holds trials 1, 2"),
        ({"configurations": [{"trial": 1, "parameters": {"x": 3}}]}, [], "parameters.x is no field"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_starts(
    tmp_path: Path, changes: dict[str, Any], more: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        plan_final(arguments(write_selection(tmp_path, **changes), "a", *more))


def test_more_workers_than_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nodes(*resources: dict[str, float]) -> None:
        monkeypatch.setattr(final_group, "alive_nodes", lambda: [{"Resources": each} for each in resources])

    plan = plan_final(arguments(write_selection(tmp_path), "a"))
    nodes({"CPU": 1.0}, {"CPU": 1.0})
    assert group_size(plan, Plan(1.0, 0.0, 2)) == 1
    with pytest.raises(ConfigError, match=r"workers=4, but there is room for 2 \(a CPU each\); give workers=2 or less"):
        group_size(replace(plan, workers=4), Plan(1.0, 0.0, 2))
    nodes({"CPU": 2.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 2.0})
    with pytest.raises(ConfigError, match=r"workers=3: trial\.stage_one\.batch_size=16 cannot be shared equally"):
        group_size(plan, Plan(1.0, 1.0, 2))
    assert group_size(replace(plan, workers=2), Plan(1.0, 1.0, 2)) == 2


@pytest.mark.parametrize(
    ("workers", "nodes", "on_gpus", "threads"),
    [
        (2, [(3, 0), (3, 0)], False, 3),
        (3, [(3, 0), (3, 0)], False, 1),  # 6 CPUs for 3 workers, but no node holds two with 2 each
        (2, [(7, 0), (1, 0)], False, 3),
        (4, [(8, 4)], True, 2),
        (3, [(2, 1), (8, 2)], True, 2),
        (2, [(16, 1), (2, 1)], True, 2),
    ],
)
def test_threads_are_those_that_fit_on_nodes(
    workers: int, nodes: list[tuple[float, float]], on_gpus: bool, threads: int
) -> None:
    assert worker_threads(workers, [Node(cpus, gpus, 0.0) for cpus, gpus in nodes], on_gpus) == threads


def test_a_selection_whose_images_are_gone_says_which_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = write_selection(tmp_path)
    document = yaml.safe_load(best.read_text())
    document["config"]["data"] = {"kind": "folder", "root": str(tmp_path / "gone"), "size": 32}
    best.write_text(yaml.safe_dump(document))
    assert main(arguments(best, "a")) == BAD_CONFIGURATION
    error = capsys.readouterr().err
    assert str(tmp_path / "gone") in error
    assert "data.root=" in error
    assert main([f"best={tmp_path}/nowhere.yaml"]) == BAD_CONFIGURATION
    assert "make it with python -m analysis select" in capsys.readouterr().err
    assert main([]) == BAD_CONFIGURATION
    assert "best= is missing" in capsys.readouterr().err
