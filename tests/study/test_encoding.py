"""Configurations as arrays and back, and their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from study.encoding import make_column, make_encoding

SPACE: dict[str, BaseDistribution] = {
    "family": CategoricalDistribution(("keyed", "learned")),
    "strength": CategoricalDistribution((8, 1, 4, 2)),
    "flag": CategoricalDistribution((True, False)),
    "epochs": IntDistribution(3, 11, step=2),
    "bits": IntDistribution(16, 2560, log=True),
    "rate": FloatDistribution(0.1, 0.7),
    "coarse": FloatDistribution(0.0, 1.0, step=0.25),
    "weight": FloatDistribution(1e-4, 1e-1, log=True),
}


def draw(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return random configurations; ``weight`` is there only for ``learned``."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    found = [dict(study.ask(SPACE).params) for _ in range(count)]
    return [
        {name: value for name, value in one.items() if name != "weight" or one["family"] == "learned"} for one in found
    ]


@pytest.mark.parametrize("name", SPACE)
def test_every_value_comes_back_from_its_place(name: str) -> None:
    column = make_column(name, SPACE[name])
    for configuration in draw(50):
        if name in configuration:
            place = column.encode(configuration[name])
            assert 0.0 <= place <= 1.0
            assert column.decode(place) == pytest.approx(configuration[name])
            assert SPACE[name].to_external_repr(SPACE[name].to_internal_repr(column.decode(place))) is not None


def test_categories_that_are_numbers_have_an_order_and_others_none() -> None:
    strength = make_column("strength", SPACE["strength"])
    assert [strength.encode(value) for value in (1, 2, 4, 8)] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert not strength.nominal
    assert make_column("family", SPACE["family"]).nominal
    assert make_column("flag", SPACE["flag"]).nominal


def test_only_parameters_on_which_others_depend_are_structural() -> None:
    encoding = make_encoding(SPACE, draw(60))
    assert [
        column.name for column, structural in zip(encoding.columns, encoding.structural, strict=True) if structural
    ] == ["family"]


def test_a_configuration_comes_back_without_its_inactive_parameters() -> None:
    configurations = draw(40)
    encoding = make_encoding(SPACE, configurations)
    for configuration, row in zip(configurations, encoding.encode(configurations), strict=True):
        assert encoding.decode(row) == pytest.approx(configuration)


@pytest.mark.parametrize("kind", ["random", "neighbours"])
def test_varied_configurations_are_possible_ones_of_the_same_structure(kind: str) -> None:
    encoding = make_encoding(SPACE, configurations := draw(60))
    rows, rng = encoding.encode(configurations), np.random.default_rng(0)
    varied = encoding.random(rows, rng) if kind == "random" else encoding.neighbours(rows, np.full(60, 0.1), rng)
    assert (np.isnan(varied) == np.isnan(rows)).all()
    family = [column.name for column in encoding.columns].index("family")
    assert (varied[:, family] == rows[:, family]).all()
    for row in varied:
        configuration = encoding.decode(row)
        assert all(SPACE[name]._contains(SPACE[name].to_internal_repr(value)) for name, value in configuration.items())
        np.testing.assert_allclose(
            encoding.encode([configuration])[0], row, atol=7e-3
        )  # an integer's neighbours are so far apart


def test_a_neighbour_differs_but_not_in_everything() -> None:
    encoding = make_encoding(SPACE, configurations := draw(200))
    rows = encoding.encode(configurations)
    changed = (encoding.neighbours(rows, np.full(200, 0.05), np.random.default_rng(0)) != rows) & ~np.isnan(rows)
    counts = changed.sum(axis=1)
    assert np.median(counts) in (1, 2)
    assert np.mean(counts >= 1) > 0.8  # a category may be drawn again
