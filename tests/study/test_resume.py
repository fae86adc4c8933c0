"""What may change when a study is resumed, and what would make another study of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.cli import BAD_CONFIGURATION, OK, main, resolve
from study.config import ConfigError, StudyConfig
from study.folder import data_digest, locked
from study.progress import Progress
from study.records import Records
from study.recovery import start_search
from study.resources import Plan
from study.resume import differences, resumed_config
from tests.study.in_process import evaluate_all

MakeConfig = Callable[..., StudyConfig]


@pytest.fixture
def started(make_config: MakeConfig) -> StudyConfig:
    """Return the configuration of a study whose folder says what it is, and in which nothing ran."""
    config = make_config("budget.trials=3", "name=mine", "seed=5", "trial.shape=square", "searcher=tpe")
    with locked(config.output) as folder:
        start_search(config, Plan(1.0, 0.0, 1), folder)
    return config


def problems_of(folder: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resumed_config(folder, overrides)
    return caught.value.problems


def test_without_overrides_it_is_the_study_that_was_started(started: StudyConfig) -> None:
    resumed = resumed_config(started.output, [])
    assert resumed.resume
    assert resumed.resolved == started.resolved
    assert resumed.space == started.space


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("seed=6", "seed was 5, is 6"),
        ("name=other", "name was mine, is other"),
        ("searcher=random", "searcher.name was tpe, is random"),
        ("trial.epochs=9", "trial.epochs was 2, is 9"),
        ("trial.shape=round", "trial.shape was square, is round"),
        (
            "checks.bounds.leak.bound=leak <= 0.9",
            "checks.bounds.leak.bound was leak <= baseline + 0.05, is leak <= 0.9",
        ),
        ("~checks.bounds.leak", "checks.bounds.leak.bound was leak <= baseline + 0.05, is absent"),
        ("objective.objectives.quality.worst=-1", "objective.objectives.quality.worst was 0.0, is -1"),
        ("storage=sqlite:///x.db", "storage was None, is sqlite:///x.db"),
        ("data=procedural", "data.size was absent, is"),
    ],
)
def test_what_would_be_another_study_is_refused_with_field_was_and_is(
    started: StudyConfig, override: str, difference: str
) -> None:
    problems = problems_of(started.output, override)
    assert any(problem.startswith(difference) for problem in problems), problems
    assert all("another study: start it with output=OTHER" in problem for problem in problems)


def test_all_differences_are_named_at_once(started: StudyConfig) -> None:
    assert len(problems_of(started.output, "seed=6", "trial.epochs=9", "searcher=random")) >= 3


def test_a_changed_space_is_shown_by_parameter() -> None:
    def space(high: float, *more: str) -> dict[str, Any]:
        return {"space": {"parameters": [{"name": name, "high": high} for name in ("x", *more)]}}

    assert list(differences(space(1.0), space(2.0, "y"))) == [
        "space.parameters.x.high was 1.0, is 2.0",
        "space.parameters.y.high was absent, is 2.0",
    ]


@pytest.mark.parametrize(
    "override",
    [
        "budget.trials=40",
        "budget.hours=2",
        "budget=smoke",
        "resources=one_at_a_time",
        "resources.max_concurrent=1",
        "checkpoint_every=2",
        "cache=elsewhere",
        "dry_run=true",
        "seed=5",
        "trial.shape=square",
    ],
)
def test_what_leaves_the_study_the_same_is_accepted(started: StudyConfig, override: str) -> None:
    assert resumed_config(started.output, [override]).name == "mine"


def test_wrong_overrides_are_explained_as_for_a_new_study(started: StudyConfig) -> None:
    assert "did you mean 'budget.trials'" in problems_of(started.output, "budget.trial=4")[0]
    assert "did you mean 'one_at_a_time'" in problems_of(started.output, "resources=one_at_time")[0]
    assert "leave it out" in problems_of(started.output, "experiment=empty")[0]


def test_a_folder_may_be_moved(started: StudyConfig, tmp_path: Path) -> None:
    shutil.move(started.output, tmp_path / "moved")
    assert resumed_config(tmp_path / "moved", []).output == tmp_path / "moved"


def test_a_folder_without_a_study_is_named(tmp_path: Path) -> None:
    assert "no study was started there" in problems_of(tmp_path)[0]
    (tmp_path / "config.yaml").write_text("a: [")
    assert "cannot be read" in problems_of(tmp_path)[0]
    (tmp_path / "config.yaml").write_text("text")
    assert "holds no configuration" in problems_of(tmp_path)[0]


def test_a_password_is_neither_kept_nor_shown_and_asked_for_again(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://me:secret@localhost:1/studies"
    config = make_config(f"storage={url}")
    assert config.storage == url
    assert "secret" not in yaml.safe_dump(config.resolved)
    config.output.mkdir()
    (config.output / "config.yaml").write_text(yaml.safe_dump(config.resolved))
    assert "the password is not kept" in problems_of(config.output)[0]
    assert resumed_config(config.output, [f"storage={url}"]).storage == url
    (config.output / "environment.json").write_text(json.dumps({"id": "x", "data": None}))
    assert main([f"resume={config.output}", f"storage={url}"]) == BAD_CONFIGURATION  # nobody listens there
    captured = capsys.readouterr()
    assert "cannot be opened" in captured.err
    assert "secret" not in captured.err + captured.out


def test_starting_points_are_kept_with_the_study(make_config: MakeConfig, tmp_path: Path) -> None:
    points = tmp_path / "best.yaml"
    points.write_text(yaml.safe_dump({"configurations": [{"parameters": {"x": 0.25, "shape": "round"}}]}))
    config = make_config(f"starting_points={points}")
    with locked(config.output) as folder:
        start_search(config, Plan(1.0, 0.0, 1), folder)
    points.unlink()
    assert resumed_config(config.output, []).starting_points == config.starting_points != ()


def test_other_images_under_the_same_name_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,identity,expression\na.png,ann,joy\n")
    (tmp_path / "a.png").write_bytes(b"1234")
    data = {"root": str(tmp_path)}
    before = data_digest(data)
    assert data_digest(data) == before
    (tmp_path / "labels.csv").write_text("file,identity,expression\na.png,bob,joy\n")  # of the same size
    relabelled = data_digest(data)
    (tmp_path / "a.png").write_bytes(b"12345")
    assert len({before, relabelled, data_digest(data)}) == 3


def test_a_finished_study_says_so_without_starting_ray(
    started: StudyConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_all(resumed_config(started.output, []))

    def fail(*_: Any) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("study.driver.start_ray", fail)
    assert main([f"resume={started.output}"]) == OK
    printed = capsys.readouterr().out
    assert "resumed with 3 of 3 trials finished" in printed
    assert "study mine is finished: its 3 trials are done" in printed
    assert (started.output / "trials.parquet").exists()


def test_a_budget_below_what_is_finished_is_refused(started: StudyConfig, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_all(resumed_config(started.output, []))
    assert main([f"resume={started.output}", "budget.trials=2"]) == BAD_CONFIGURATION
    assert "budget.trials=2, but 3 trials are finished; give that many or more" in capsys.readouterr().err


def test_a_larger_budget_goes_on_with_what_was_not_tried_and_is_kept(started: StudyConfig) -> None:
    evaluate_all(resumed_config(started.output, []))
    longer = resumed_config(started.output, ["budget.trials=8"])
    evaluate_all(longer)
    rows = Records(longer, {}).scores()
    assert sorted(rows) == list(range(8)), "no draw of the first run was repeated, and no number is missing"
    assert resumed_config(started.output, []).budget.trials == 8


def test_a_second_driver_is_refused(started: StudyConfig, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(started.output):
        assert main([f"resume={started.output}"]) == BAD_CONFIGURATION
    assert "is in use: another driver runs this study" in capsys.readouterr().err
    with locked(started.output):
        pass  # free again


def test_a_resumed_study_counts_on(started: StudyConfig, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_all(resumed_config(started.output, []))
    longer = resumed_config(started.output, ["budget.trials=4"])
    evaluate_all(longer, Progress(longer.objective, 4))
    printed = capsys.readouterr().out
    assert "resumed with 3 of 4 trials finished" in printed
    assert "[4/4]" in printed
    assert "[1/4]" not in printed


def test_resume_null_is_a_new_study() -> None:
    assert not resolve(["experiment=empty", "resume=null"]).resume
