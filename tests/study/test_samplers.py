"""Every sampler by name: its file, constraints, conditional parameters, repeatability."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from study.compose import SEARCH_SPACES, compose_config
from study.parameter import CATEGORICAL, FLOAT, Parameter
from study.samplers import SAMPLERS, SearcherConfig, build_sampler, read_searcher
from study.space import Space

SPACE = Space(
    parameters=(
        Parameter("family", CATEGORICAL, "scientific", "1", "", values=("keyed", "learned", "sampled")),
        Parameter("strength", CATEGORICAL, "scientific", "1", "", values=(1, 2, 4, 8)),
        Parameter("rate", FLOAT, "scientific", "1", "", low=0.0, high=1.0),
        Parameter("weight", FLOAT, "nuisance", "1", "", low=1e-3, high=1.0, log=True, when={"family": ("learned",)}),
    ),
    starting_points=(),
    strata=(),
)

EACH = [pytest.param(name, marks=pytest.mark.slow if name in ("bayesian", "gp") else ()) for name in SAMPLERS]
"""Those that take more than a second or two apart."""


def search(name: str, seed: int, trials: int = 24) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of a search, four at a time, whose feasible part is one family below a rate."""
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=build_sampler(SearcherConfig(name, startup_trials=8, population_size=8), seed),
    )
    while len(study.trials) < trials:
        asked = [study.ask() for _ in range(4)]
        for trial, values in [(trial, SPACE.suggest(trial, {})) for trial in asked]:
            weight = values.get("weight", 0.5)
            assert isinstance(values["rate"], float)
            assert isinstance(values["strength"], int)
            assert isinstance(weight, float)
            trial.set_constraint("detected", values["rate"] - 0.4)
            trial.set_constraint("family", -1.0 if values["family"] == "learned" else 1.0)
            study.tell(trial, [values["rate"] + 0.1 * weight, values["strength"] + weight])
    return study.trials


def feasible(trials: list[optuna.trial.FrozenTrial]) -> int:
    return sum(all(value <= 0 for value in trial.constraints.values()) for trial in trials)


@pytest.mark.parametrize("name", EACH)
def test_conditional_parameters_are_there_exactly_when_they_are_active(name: str) -> None:
    trials = search(name, seed=0)
    assert len({trial.params["family"] for trial in trials}) == 3
    assert all(("weight" in trial.params) == (trial.params["family"] == "learned") for trial in trials)


@pytest.mark.parametrize("name", EACH)
def test_a_seed_repeats_a_search_and_another_changes_it(name: str) -> None:
    runs: list[list[dict[str, Any]]] = [[trial.params for trial in search(name, seed, 16)] for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize(
    "name", ["tpe", "nsgaii", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bayesian", "gp"))]
)
def test_samplers_that_know_constraints_find_more_that_is_feasible_than_random_ones(name: str) -> None:
    trials, random = search(name, 1, 40)[16:], search("random", 1, 200)
    assert feasible(trials) / len(trials) > 1.5 * feasible(random) / len(random)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_a_file_that_is_read_without_problems(name: str) -> None:
    problems: list[str] = []
    config = read_searcher(compose_config([f"searcher={name}", "experiment=empty"]).values["searcher"], problems)
    assert not problems
    assert config.name == name


def test_every_file_names_a_sampler() -> None:
    assert {path.stem for path in (SEARCH_SPACES / "searcher").glob("*.yaml")} == set(SAMPLERS)


def test_problems_name_the_field_and_what_is_permitted() -> None:
    problems: list[str] = []
    read_searcher({"name": "bayes"}, problems)
    read_searcher({"name": "bayesian", "startup_trials": 0, "candidates": 3}, problems)
    text = "\n".join(problems)
    assert "searcher.name='bayes'" in text
    assert "bayesian" in text
    assert "searcher.startup_trials" in text
    assert "candidates" in text
