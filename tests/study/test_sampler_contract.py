"""Optuna's own suite of what it requires of a sampler, over this project's one and over Optuna's as configured here.

Its cases have one or two objectives and no constraints, which this project's own tests are about. Models are asked
from the first finished trial on where that is cheap, since the suite's studies are short.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase

from study import bayesian
from study.samplers import SAMPLERS, SearcherConfig, build_sampler

MakeSampler = Callable[[], BaseSampler]


def made(name: str, **settings: Any) -> MakeSampler:
    return lambda: build_sampler(SearcherConfig(name, **settings), seed=0)


class TestBayesian(BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self, monkeypatch: pytest.MonkeyPatch) -> MakeSampler:
        """Return the maker of a sampler that looks at fewer candidates: what it finds is not the matter here."""
        for name, value in (("SCALARISATIONS", 4), ("DRAWS", 4), ("CANDIDATES", 40), ("ROUNDS", 1)):
            monkeypatch.setattr(bayesian, name, value)
        return made("bayesian", startup_trials=1)


class TestTPE(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Without the relative cases: a sampler by groups ignores the search space that these give it, and takes the groups
    of parameters that finished trials had together."""

    @pytest.fixture
    def sampler(self) -> MakeSampler:
        return made("tpe", startup_trials=1)


@pytest.mark.slow
class TestGaussianProcess(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Without the relative cases, several hundred fits of Optuna's own code: with them the suite takes more than a
    minute of CPU time. Its model is asked from the tenth trial on for the same reason."""

    @pytest.fixture
    def sampler(self) -> MakeSampler:
        return made("gp", startup_trials=9)


class TestNSGAII(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Without the relative cases: the first generation has no parents to be proposed from."""

    @pytest.fixture
    def sampler(self) -> MakeSampler:
        return made("nsgaii", population_size=2)


class TestQuasiRandom(BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> MakeSampler:
        return made("qmc")


class TestRandom(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Without the relative cases: it proposes no parameters together."""

    @pytest.fixture
    def sampler(self) -> MakeSampler:
        return made("random")


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_every_sampler_is_held_to_the_contract() -> None:
    held = {"bayesian": TestBayesian, "tpe": TestTPE, "gp": TestGaussianProcess, "nsgaii": TestNSGAII}
    held |= {"qmc": TestQuasiRandom, "random": TestRandom}
    assert held.keys() == set(SAMPLERS)
