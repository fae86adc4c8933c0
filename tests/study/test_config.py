"""Configuration: every problem before anything starts, several at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.compose import SEARCH_SPACES, compose_config, groups
from study.config import ConfigError, StudyConfig, read_config

MakeConfig = Callable[..., StudyConfig]


def problems_of(make_config: MakeConfig, *overrides: str, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        make_config(*overrides, **options)
    return caught.value.problems


def test_the_resolved_configuration_resolves_to_itself(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config("trial.shape=square", "checks.bounds.leak.bound=leak <= baseline + 0.1")
    text = yaml.safe_dump(config.resolved, sort_keys=False)
    assert read_config(yaml.safe_load(text)) == config


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("budget.trials=0", "budget.trials=0 must be a whole number >= 1"),
        ("budget.trials=many", "budget.trials='many' must be a whole number"),
        ("seed=-1", "seed=-1 must be a whole number in [0, 2.14748e+09]"),
        ("dry_run=maybe", "dry_run='maybe' must be true or false"),
        ("checkpoint_every=1.5", "checkpoint_every=1.5 must be a whole number >= 0"),
        ("searcher.name=tpee", "searcher.name='tpee' is unknown; permitted: "),
        ("resources.gpus_per_trial=64", "resources.gpus_per_trial=64, but"),
        ("resources.gpus_per_trial=1.5", "must be a share <= 1 or a whole number"),
        ("resources.cpus_per_trial=100000", "resources.cpus_per_trial=100000, but there are"),
        ("resources.max_concurrent=0", "resources.max_concurrent=0 must be a whole number >= 1"),
        ("checks.bounds.leak.bound=leek <= 0.3", "unknown metric 'leek'; did you mean 'leak'?"),
        ("checks.bounds.leak.bound=leak.plan <= 0.3", "unknown metric 'leak.plan'; did you mean 'leak.plain'"),
        ("checks.bounds.leak.bound=leak <= basline", "permitted: baseline, chance, majority"),
        ("checks.bounds.leak.scale=0", "checks.bounds.leak.scale=0.0 must be a number > 0"),
        ("objective.objectives.quality.metric=qality", "unknown metric 'qality'; did you mean 'quality'?"),
        ("objective.objectives.quality.searched=false", "at least one objective with searched: true"),
        ("objective.objectives.quality.direction=up", "permitted: maximise, minimise"),
        ("trial.fault=explode", "trial.fault='explode' is unknown; permitted: none"),
        ("+trial.z=3", "trial.z is no field of empty"),
        ("budget.hours=-1", "budget.hours=-1 must be a number >= 0"),
        (
            "+budget.days=3",
            "budget.days is no option (permitted: description, device_hours, grace_minutes, hours, trials)",
        ),
        ("+colour=red", "colour is no option"),
        ("starting_points=nowhere.yaml", "starting_points=nowhere.yaml cannot be read"),
        ("cluster.address='ray://10.0.0.1:10001'", "Ray Client"),
        ("cluster.address='10.0.0.1:6379'", "beyond this machine, without token authentication"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_permitted(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, override: str, words: str
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    problems = problems_of(make_config, override)
    assert any(words in problem for problem in problems), problems


def test_a_folder_that_holds_a_study_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    make_config()  # an empty folder is fine
    (tmp_path / "study" / "journal.log").touch()
    assert any("holds a study already; continue it with resume=" in problem for problem in problems_of(make_config))


def test_an_empty_data_folder_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    problems = problems_of(make_config, "data=folder", f"data.root={tmp_path}/images")
    assert any("images" in problem and "labels.csv" in problem for problem in problems), problems


def test_a_value_that_only_the_user_can_give_is_asked_for(make_config: MakeConfig) -> None:
    assert problems_of(make_config, "data=folder") == ["data.root has no value; give data.root=..."]


def test_mistakes_of_every_kind_are_reported_together(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    problems = "\n".join(
        problems_of(
            make_config,
            "space=emty",
            "budget.trial=3",
            "foo",
            "checks.bounds.leak.bound=leek <= 0.3",
            "data=folder",
            f"data.root={tmp_path}/images",
            "space.parameters.1.low=2",
            "resources.gpus_per_trial=64",
        )
    )
    for words in (
        "space=emty: no such space; did you mean 'empty'?",
        "budget.trial is no option; did you mean 'budget.trials'",
        "foo: write key=value",
        "unknown metric 'leek'",
        "labels.csv",
        "low=2 is above high=1",
        "resources.gpus_per_trial=64",
    ):
        assert words in problems, problems


def test_an_unquoted_bound_is_understood_and_one_can_be_left_out(make_config: MakeConfig) -> None:
    config = make_config("checks.bounds.leak.bound=leak <= baseline + 0.2", "~checks.bounds.detectability")
    assert [bound.text for bound in config.objective.bounds] == ["leak <= baseline + 0.2"]


def test_a_bound_on_what_is_switched_off_is_refused_instead_of_failing_every_trial(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError) as refused:
        make_config("experiment=subverted_ppgan", "checks=thorough", "~checks.adversaries.inversion")
    (problem,) = refused.value.problems
    assert problem.startswith("checks.bounds.inversion.bound names inversion_ssim, which these settings switch off")
    config = make_config(
        "experiment=subverted_ppgan", "checks=thorough", "~checks.adversaries.inversion", "~checks.bounds.inversion"
    )
    assert "inversion" not in [bound.check for bound in config.objective.bounds]


def test_a_selection_of_an_earlier_study_is_tried_first(make_config: MakeConfig, tmp_path: Path) -> None:
    best = tmp_path / "best.yaml"
    chosen = {"trial": 12, "parameters": {"shape": "round", "x": 0.25, "y": None}, "objectives": {"quality": 0.8}}
    best.write_text(yaml.safe_dump({"configurations": [chosen]}))
    config = make_config(f"starting_points={best}")
    assert config.starting_points == ({"shape": "round", "x": 0.25},)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("configurations: [{parameters: {x: 7.0}}]", "configuration 1: x=7.0 is outside"),
        ("configurations: [{parameters: {x: 0.5}}, {parameters: {z: 1}}]", "configuration 2: z=1 is no parameter"),
        ("configurations: []", "holds no list 'configurations'"),
        ("configurations: [{trial: 3}]", "configuration 1 holds no mapping 'parameters'"),
        ("[1", "is not YAML"),
    ],
)
def test_a_selection_that_does_not_fit_the_space_is_refused(
    make_config: MakeConfig, tmp_path: Path, content: str, words: str
) -> None:
    best = tmp_path / "best.yaml"
    best.write_text(content)
    problems = problems_of(make_config, f"starting_points={best}")
    assert any(words in problem for problem in problems), problems


@pytest.mark.parametrize("group", sorted(groups()))
def test_every_option_of_every_group_composes_and_begins_with_its_command(group: str) -> None:
    for option in groups()[group]:
        composed = compose_config([f"{group}={option}"])
        assert [problem for problem in composed.problems if "has no value" not in problem] == []
        head = (SEARCH_SPACES / group / f"{option}.yaml").read_text().splitlines()[:2]
        assert any(line.startswith("# python -m study") and f"{group}={option}" in line for line in head)
