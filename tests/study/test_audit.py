"""An audit runs what is missing, records it, states the search's optimism, and refuses what it cannot compare."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from models.measurement import Measurement
from study import audit, driver, task_pool
from study.audit import BAD_CONFIGURATION, OK, UNFINISHED, main
from study.audit_plan import plan_audit
from study.config import ConfigError
from study.evaluation import metrics_of
from study.experiments import load_experiment
from study.objective import score
from study.optimism import Comparison, Estimate, compare, difference, mean_losses
from study.outcomes import Outcome
from study.records import FinishedTrial
from study.resources import Plan
from study.trial_run import TrialTask, WorkerReport
from tests.study.conftest import MakeConfig
from tests.study.in_process import evaluate_all, without_ray


class Workers:
    """Stand in for Ray's workers: run tasks here, one after the other."""

    def __init__(self) -> None:
        self.ran: list[tuple[int, int]] = []
        self.seeds: list[tuple[int, int]] = []
        self.stop_after: int | None = None
        self.lost: set[tuple[int, int]] = set()

    def run(self, tasks: Sequence[TrialTask], share: Plan) -> Iterator[tuple[TrialTask, WorkerReport]]:
        for task in tasks:
            if self.stop_after is not None and len(self.ran) >= self.stop_after:
                raise KeyboardInterrupt
            self.ran.append((task.number, task.replicate))
            self.seeds.append((task.seed, task.shared_seed))
            if (task.number, task.replicate) in self.lost:
                yield task, WorkerReport((), 0.0, done=True, fault=Outcome.PREEMPTED, error="lost")
            else:
                yield task, task_pool.run_to_end(task.to_dict())


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    made = Workers()
    monkeypatch.setattr(task_pool, "run_tasks", made.run)
    monkeypatch.setattr(driver, "_ray", without_ray)
    return made


@pytest.fixture
def study(make_config: MakeConfig) -> Path:
    config = make_config("budget.trials=12", "trial.noise=0.05", "checkpoint_every=0")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluate_all(config)
    return config.output


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def test_the_short_list_is_trained_under_fresh_seeds_and_its_loss_stated(
    study: Path, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    searched = {row["trial"]: row for row in rows(study / "trials.parquet")}
    best = sorted((row for row in searched.values() if row["feasible"]), key=lambda row: -row["objective.quality"])[:3]
    assert main([str(study), "--top", "3", "--seeds", "2"]) == OK
    assert sorted(workers.ran) == sorted((row["trial"], seed) for row in best for seed in (0, 1))
    assert not {seed for seed, _ in workers.seeds} & {row["seed"] for row in searched.values()}
    assert len({shared for _, shared in workers.seeds}) == 2  # one a seed: what configurations share is made anew too
    seeds = rows(study / "audit" / "replicates.parquet")
    found = yaml.safe_load((study / "audit" / "audit.yaml").read_text())
    assert [one["trial"] for one in found["short_list"]] == [row["trial"] for row in best]
    losses = []
    for row in best:
        own = [seed["objective.quality"] for seed in seeds if seed["trial"] == row["trial"]]
        losses.append(row["objective.quality"] - float(np.mean(own)))
    (quality,) = (item for item in found["optimism"] if item["name"] == "quality")
    assert quality["value"] == pytest.approx(np.mean(losses))
    assert quality["low"] < quality["value"] < quality["high"]
    compared = {(row["trial"], row["kind"], row["name"]): row for row in rows(study / "audit" / "optimism.parquet")}
    one = compared[best[0]["trial"], "objective", "quality"]
    assert (one["search"], one["loss"]) == pytest.approx((best[0]["objective.quality"], losses[0]))
    said = capsys.readouterr().out
    assert "[6/6]" in said
    assert "no adversary was held out" in said


def test_a_configuration_that_only_seemed_feasible_is_counted(study: Path, workers: Workers) -> None:
    main([str(study), "--top", "12", "--seeds", "3"])
    found = yaml.safe_load((study / "audit" / "audit.yaml").read_text())
    seeds = rows(study / "audit" / "replicates.parquet")
    for one in found["short_list"]:
        own = [row for row in seeds if row["trial"] == one["trial"]]
        leaks = [row["constraint.leak"] for row in own]
        assert one["seeds_feasible"] == sum(leak <= 0 for leak in leaks)
        assert one["audit_feasible"] == (float(np.mean([row["metric.leak.high_pass"] for row in own])) <= 0.25)
    seemed = [one for one in found["short_list"] if not one["audit_feasible"]]
    assert seemed  # the noise of one seed is as large as the tolerance
    assert found["of_them_not_in_audit"] == len(seemed)
    assert found["feasible_in_search"] == len(found["short_list"])


def test_a_killed_audit_goes_on_where_it_was(study: Path, workers: Workers) -> None:
    workers.stop_after = 3
    assert main([str(study), "--top", "3", "--seeds", "2"]) == audit.INTERRUPTED
    workers.stop_after = None
    assert main([str(study), "--top", "3", "--seeds", "2"]) == OK
    assert len(workers.ran) == len(set(workers.ran)) == 6
    assert main([str(study), "--top", "3", "--seeds", "3"]) == OK  # more seeds add to those recorded
    assert len(workers.ran) == 9


def test_a_lost_worker_is_no_result_and_is_run_again(
    study: Path, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    best = [row for row in rows(study / "trials.parquet") if row["feasible"]]
    number = max(best, key=lambda row: row["objective.quality"])["trial"]
    workers.lost = {(number, 1)}
    assert main([str(study), "--top", "1", "--seeds", "2"]) == UNFINISHED
    found = yaml.safe_load((study / "audit" / "audit.yaml").read_text())
    assert found["short_list"][0]["audit_feasible"] is False  # what is not measured is not private
    said = capsys.readouterr()
    assert "1 seeds gave no result" in said.err
    assert f"trial {number} is left out of all that follows, which is no finding on it: seed 1 preempted" in said.out
    workers.lost = set()
    assert main([str(study), "--top", "1", "--seeds", "2"]) == OK
    assert workers.ran == [(number, 0), (number, 1), (number, 1)]


def test_faults_of_the_machine_are_no_losses(study: Path, workers: Workers) -> None:
    feasible = [row for row in rows(study / "trials.parquet") if row["feasible"]]
    best = sorted(feasible, key=lambda row: -row["objective.quality"])
    workers.lost = {(best[0]["trial"], 1)}
    assert main([str(study), "--top", "2", "--seeds", "2"]) == UNFINISHED
    found = yaml.safe_load((study / "audit" / "audit.yaml").read_text())
    assert found["left_out"] == [best[0]["trial"]]
    assert found["short_list"][0]["without_result"] == {1: "preempted"}
    assert found["feasible_in_search"] == 1
    assert found["of_them_not_in_audit"] == (not found["short_list"][1]["audit_feasible"])
    assert {item["configurations"] for item in found["optimism"]} == {1}
    assert {row["trial"] for row in rows(study / "audit" / "optimism.parquet")} == {best[1]["trial"]}


def test_a_selection_is_audited_by_number_and_must_be_of_this_study(study: Path, workers: Workers) -> None:
    row = next(row for row in rows(study / "trials.parquet") if not row["feasible"])
    parameters = {name[6:]: value for name, value in row.items() if name.startswith("param.") and value is not None}
    chosen = study / "best.yaml"
    chosen.write_text(yaml.safe_dump({"configurations": [{"trial": row["trial"], "parameters": parameters}]}))
    assert main([str(study), "--selected", str(chosen), "--seeds", "1"]) == OK
    assert workers.ran == [(row["trial"], 0)]
    other = {"configurations": [{"trial": row["trial"], "parameters": {"x": 0.123}}, {"trial": 99, "parameters": {}}]}
    chosen.write_text(yaml.safe_dump(other))
    with pytest.raises(ConfigError) as caught:
        plan_audit(study, top=1, selected=chosen, seeds=1, output=None)
    assert len(caught.value.problems) == 2


def test_audits_are_not_mixed(study: Path, workers: Workers, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(study), "--top", "1", "--seeds", "1"]) == OK
    assert main([str(study), "--top", "1", "--seeds", "1", "checks=empty", "checks.bounds.leak.scale=0.2"]) == (
        BAD_CONFIGURATION
    )
    assert "had another checks" in capsys.readouterr().err
    assert main([str(study), "--top", "1", "--seeds", "1", "checks=empty", "--output", str(study / "other")]) == OK
    assert len(workers.ran) == 2


def test_wrong_requests_are_refused_before_anything_runs(
    study: Path, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (["--seeds", "0"], "--seeds 0"),
        (["--output", "s3://bucket/audit"], "--output s3://bucket/audit is in a store"),
        (["--top", "0"], "--top 0"),
        (["--selected", "nowhere.yaml"], "cannot be read"),
        (["checks=nothing"], "no such checks"),
        (["budget.nothing=3"], "budget.nothing"),
        (["trial.noise=1"], "another study"),
    ):
        assert main([str(study), *arguments]) == BAD_CONFIGURATION, arguments
        assert message in capsys.readouterr().err
    assert main([str(study / "nowhere")]) == BAD_CONFIGURATION
    assert workers.ran == []


def test_without_kept_images_there_is_no_audit(study: Path, workers: Workers) -> None:
    path = study / "config.yaml"
    saved = yaml.safe_load(path.read_text())
    saved["data"] = {"kind": "procedural", "images": 84, "split": {"seed": 0}}
    path.write_text(yaml.safe_dump(saved))
    with pytest.raises(ConfigError, match=r"data\.split\.audit: this study kept no images"):
        plan_audit(study, top=1, selected=None, seeds=1, output=None)
    saved["data"]["split"] = {"audit": 0.2}
    path.write_text(yaml.safe_dump(saved))
    plan = plan_audit(study, top=1, selected=None, seeds=1, output=None)
    assert plan.config.data["split"] == {"audit": 0.2, "judged": "audit"}


def test_a_study_cannot_ask_for_the_images_of_the_audit(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match=r"data\.split\.judged is no option of a study"):
        make_config("data=procedural", "+data.split.judged=audit")


def test_checks_that_only_the_audit_has_are_named_and_bound(study: Path, workers: Workers) -> None:
    plan = plan_audit(study, top=1, selected=None, seeds=1, output=None)
    fewer = replace(plan, measured=plan.measured - {"detectability"})
    with contextlib.redirect_stdout(io.StringIO()):
        audit.run_audit(fewer)
    assert yaml.safe_load((study / "audit" / "audit.yaml").read_text())["held_out"] == ["detectability"]


def measured(value: float, half: float = 0.02) -> Measurement:
    return Measurement(value, value - half, value + half, 0.2, 0.18, 0.22)


def test_losses_are_signed_so_that_positive_means_lost(make_config: MakeConfig) -> None:
    config = make_config()
    infos = metrics_of(load_experiment("empty"), {})
    search = {"quality": measured(0.9), "leak.plain": measured(0.2), "leak.high_pass": measured(0.22)}
    search["detectability"] = measured(0.5)
    after = {**search, "quality": measured(0.8), "leak.plain": measured(0.3)}
    objective = config.objective
    before = score(objective, infos, search)
    audited = FinishedTrial(3, {}, 0, score(objective, infos, after), after, (), (), 0.0, 0.0)
    found = {(item.kind, item.name): item for item in compare(objective, infos, 3, search, before.margins, audited)}
    assert found["objective", "quality"].loss.value == pytest.approx(0.1)
    assert found["objective", "leak"].loss.value == pytest.approx(0.08)  # the worst member, another one than before
    scale = next(bound.scale for bound in objective.bounds if bound.check == "leak")
    margin = found["margin", "leak"]
    assert margin.loss.value == pytest.approx(0.08 / scale)
    assert margin.audit.low < margin.audit.value < margin.audit.high


def test_the_limits_of_a_difference_and_of_a_mean_loss() -> None:
    loss = difference(Estimate(0.9, 0.87, 0.92), Estimate(0.8, 0.76, 0.83))
    assert (loss.value, loss.low, loss.high) == pytest.approx(
        (0.1, 0.1 - math.hypot(0.03, 0.03), 0.1 + math.hypot(0.02, 0.04))
    )


def test_the_mean_loss_has_students_interval_over_configurations() -> None:
    nothing = Estimate(0.0, 0.0, 0.0)
    losses = [0.1, 0.2, 0.4]
    many = [Comparison(i, "objective", "q", nothing, nothing, Estimate(loss, 0, 1)) for i, loss in enumerate(losses)]
    lost = Comparison(3, "objective", "q", nothing, nothing, Estimate(math.nan, math.nan, math.nan))
    (found,) = mean_losses([*many, lost])
    half = 4.302653 * np.std(losses, ddof=1) / math.sqrt(3)
    assert found.configurations == 3
    assert (found.loss.value, found.loss.low) == pytest.approx((np.mean(losses), np.mean(losses) - half))
    assert mean_losses(many[:1])[0].loss == many[0].loss
    assert math.isnan(mean_losses([lost])[0].loss.value)
