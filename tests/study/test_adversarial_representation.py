"""The experiment of the representation: what it permits and measures, its files, and how judges that fail count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.measurement import Measurement
from models.representation.judging_config import JUDGES, JudgeConfig
from study.adversarial_representation import EXPERIMENT
from study.cli import resolve
from study.config import ConfigError, StudyConfig
from study.evaluation import metrics_of
from study.forecast import sample_trials
from study.nested import with_values
from study.objective import score
from study.outcomes import Outcome

FILES = ("adversarial_representation", "representation_smoke")
ABLATIONS = {
    "representation_layers": ("perceptual.layers", "perceptual_weight"),
    "representation_tasks": ("tasks", "adversary"),
    "representation_public": ("public_share", "adversary"),
    "representation_isolation": ("adversary", "noise", "cut"),
}
PEOPLE = {"kind": "procedural", "size": 32, "identities": 120}


def resolved(tmp_path: Path, *overrides: str) -> StudyConfig:
    return resolve([f"output={tmp_path}/study", f"cache={tmp_path}/cache", *overrides])


@pytest.mark.parametrize("name", [*FILES, *ABLATIONS])
def test_every_experiment_file_resolves(tmp_path: Path, name: str) -> None:
    config = resolved(tmp_path, f"experiment={name}")
    assert config.experiment == "adversarial_representation"
    assert config.data["identities"] >= 64
    assert {bound.metric for bound in config.objective.bounds} <= {"inversion_ssim", "identity_similarity"}


@pytest.mark.parametrize(("name", "parameters"), ABLATIONS.items())
def test_the_starting_points_of_an_ablation_are_its_whole_design(
    tmp_path: Path, name: str, parameters: tuple[str, ...]
) -> None:
    config = resolved(tmp_path, f"experiment={name}")
    assert config.budget.trials == len(config.space.starting_points)
    assert {parameter.name for parameter in config.space.parameters} == set(parameters)
    for trial, point in zip(sample_trials(config, config.budget.trials), config.space.starting_points, strict=True):
        assert trial == with_values(config.trial, point)


def test_the_defaults_are_those_of_the_configuration_file(tmp_path: Path) -> None:
    config = resolved(tmp_path, "experiment=adversarial_representation")
    assert config.trial == EXPERIMENT.defaults()
    assert JudgeConfig.from_mapping(config.adversaries) == JudgeConfig()
    assert [objective.name for objective in config.objective.searched] == ["task_accuracy", "inversion_ssim"]
    assert config.space.starting_points[0]["adversary"] == "none"  # what there is to protect comes first


def test_the_constrained_objective_bounds_inversion_and_identity(tmp_path: Path) -> None:
    config = resolved(tmp_path, "experiment=adversarial_representation", "objective=representation_constrained")
    assert [objective.name for objective in config.objective.searched] == ["task_accuracy"]
    assert [bound.check for bound in config.objective.bounds] == ["identity", "inversion"]


def measurements(**values: float) -> dict[str, Measurement]:
    found = {f"inversion_ssim.{judge}": 0.3 for judge in JUDGES}
    found |= {f"identity_similarity.{judge}": 0.2 for judge in JUDGES} | {"task_accuracy": 0.9}
    found |= {name.replace("_ssim_", "_ssim."): value for name, value in values.items()}
    return {name: Measurement(value, value - 0.01, value + 0.01) for name, value in found.items()}


def test_the_strongest_judge_counts_and_one_without_a_result_is_a_violation(tmp_path: Path) -> None:
    config = resolved(tmp_path, "experiment=adversarial_representation", "objective=representation_constrained")
    objective, infos = config.objective, metrics_of(EXPERIMENT, config.data)
    assert score(objective, infos, measurements()).outcome is Outcome.OK
    strong = score(objective, infos, measurements(inversion_ssim_white_box=0.7))
    assert (strong.outcome, strong.objectives["inversion_ssim"]) == (Outcome.INFEASIBLE, 0.7)
    failed = measurements() | {"inversion_ssim.perceptual": Measurement.not_measured()}
    assert score(objective, infos, failed).outcome is Outcome.CHECK_MISSING
    unasked = measurements() | {"inversion_ssim.perceptual": replace(Measurement.not_measured(), votes=False)}
    assert score(objective, infos, unasked).outcome is Outcome.OK
    distrusted = {name: replace(item, votes=not name.startswith("identity")) for name, item in measurements().items()}
    assert score(objective, infos, distrusted).outcome is Outcome.CHECK_MISSING


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cut": 4}, "trial.cut=4; images of 32 pixels can be halved 3 times"),
        (
            {"tasks": "glasses+beard"},
            "trial.tasks='glasses+beard': the data have no column beard; permitted: mouth_open",
        ),
        ({"nois": 0.1}, "trial.nois: unknown; did you mean 'noise'?"),
        ({"perceptual.layer": "1"}, "trial.perceptual.layer: unknown; did you mean 'layers'"),
        ({"adversary": "strong"}, "permitted: none, plain, closed_form, both"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(values: dict[str, Any], words: str) -> None:
    problems = EXPERIMENT.problems(with_values(EXPERIMENT.defaults(), values), PEOPLE)
    assert any(words in problem for problem in problems), problems


def test_wrong_judges_and_too_few_people_are_reported_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(tmp_path, "experiment=adversarial_representation", "checks.adversaries.judges=[loud]", "trial.cut=7")
    assert any("checks.adversaries.judges=['loud']" in problem for problem in caught.value.problems)
    with pytest.raises(ConfigError) as caught:
        resolved(tmp_path, "experiment=adversarial_representation", "data.identities=6")
    assert any(
        "6 identities, 2 of them kept for the audit, leave private 2, public 0" in problem
        for problem in caught.value.problems
    )


def test_the_label_columns_of_a_folder_are_its_tasks_and_metrics(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,identity,expression,hat\na.png,ann,joy,yes\n")
    data = {"kind": "folder", "root": str(tmp_path), "size": 32}
    infos = metrics_of(EXPERIMENT, data)
    assert infos["attribute_mcc"].members == ("hat", "expression")
    assert EXPERIMENT.problems(with_values(EXPERIMENT.defaults(), {"tasks": "hat+expression"}), data) == []
    assert set(metrics_of(EXPERIMENT, PEOPLE)) == set(infos)


def test_a_forecast_grows_with_the_work_and_counts_instruments_once() -> None:
    trial = EXPERIMENT.defaults()
    alone = with_values(trial, {"adversary": "none"})
    seconds = [EXPERIMENT.forecast_seconds(trials, PEOPLE, {}, "cpu") for trials in ([alone], [trial], [trial] * 2)]
    assert seconds[0] < seconds[1] < seconds[2] < 2 * seconds[1]
    fewer = EXPERIMENT.forecast_seconds([trial], PEOPLE, {"judges": ["small"]}, "cpu")
    assert fewer < seconds[1]
    assert EXPERIMENT.forecast_seconds([trial], PEOPLE | {"size": 64}, {}, "cpu") == pytest.approx(4 * seconds[1])
