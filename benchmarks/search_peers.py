"""Searchers behind one interface for ``benchmarks/search.py``: this project's, and its peers as users get them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import optuna

from models.measurement import Measurement
from study.bounds import parse_bound
from study.compose import compose_config
from study.earlier import WarmStart
from study.evaluation import MetricInfo
from study.objective import MINIMISE, Objective, ObjectiveConfig, score
from study.parameter import FLOAT, Parameter
from study.samplers import read_searcher
from study.search import Search
from study.space import Space

if TYPE_CHECKING:
    from benchmarks.search_problems import Problem


class Searcher(Protocol):
    """Asked for points, told their values."""

    def ask(self, count: int) -> Sequence[tuple[Any, list[float]]]:
        """Return up to ``count`` points to evaluate at once, each with a token by which it is told."""

    def tell(self, token: Any, objectives: np.ndarray, constraints: np.ndarray) -> None:
        """Take the values of one point."""


class OptunaSearcher:
    """One of Optuna's samplers with its own defaults; constraints in their own units."""

    def __init__(self, problem: Problem, sampler: optuna.samplers.BaseSampler) -> None:
        """Create the study in memory."""
        self._problem = problem
        self._study = optuna.create_study(directions=["minimize"] * problem.objectives, sampler=sampler)

    def ask(self, count: int) -> Sequence[tuple[Any, list[float]]]:
        """See :class:`Searcher`."""
        problem, asked = self._problem, []
        for _ in range(count):
            trial = self._study.ask()
            ends = zip(problem.names, problem.low, problem.high, strict=True)
            asked.append((trial, [trial.suggest_float(name, low, high) for name, low, high in ends]))
        return asked

    def tell(self, token: Any, objectives: np.ndarray, constraints: np.ndarray) -> None:
        """See :class:`Searcher`."""
        for index, value in enumerate(constraints):
            token.set_constraint(f"g{index}", float(value))
        self._study.tell(token, [float(value) for value in objectives])


class StudySearcher:
    """What ``python -m study searcher=...`` does: ``study.search`` with margins of bounds, normalised and clipped."""

    def __init__(self, problem: Problem, searcher: str, seed: int) -> None:
        """Create the search in memory with the settings of ``search_spaces/searcher/``."""
        composed = compose_config([f"searcher={searcher}", "experiment=empty"])
        problems: list[str] = []
        self._infos = {f"g{index}": MetricInfo("1", "constraint") for index in range(problem.constraints)}
        self._infos |= {f"f{index}": MetricInfo("1", "objective") for index in range(problem.objectives)}
        objectives = tuple(
            Objective(f"f{index}", f"f{index}", MINIMISE, "1", "", searched=True, worst=1e9)
            for index in range(problem.objectives)
        )
        bounds = [parse_bound(f"g{index}", f"g{index} <= 0", scale) for index, scale in enumerate(problem.scales)]
        self._objective = ObjectiveConfig(objectives, tuple(bounds))
        ends = zip(problem.names, problem.low, problem.high, strict=True)
        parameters = [Parameter(name, FLOAT, "scientific", "1", "", low=low, high=high) for name, low, high in ends]
        config = SimpleNamespace(  # the part of a StudyConfig that the search reads
            experiment="empty",
            name=f"{problem.name}-{searcher}",
            data={},
            trial=composed.values["trial"] | {"fault": "none", "x": 0.0} | dict.fromkeys(problem.names, 0.0),
            space=Space(tuple(parameters), (), ()),
            objective=self._objective,
            searcher=read_searcher(composed.values["searcher"], problems),
            budget=SimpleNamespace(trials=10**6),
            starting_points=(),
            warm_start=WarmStart(),
            resume=False,
            seed=seed,
        )
        assert not problems, problems
        self._names = problem.names
        self._search = Search(config, optuna.storages.InMemoryStorage())  # type: ignore[arg-type]

    def ask(self, count: int) -> Sequence[tuple[Any, list[float]]]:
        """See :class:`Searcher`."""
        proposals = [self._search.ask() for _ in range(count)]
        return [(one.number, [float(one.parameters[name]) for name in self._names]) for one in proposals if one]

    def tell(self, token: Any, objectives: np.ndarray, constraints: np.ndarray) -> None:
        """See :class:`Searcher`."""
        values = {f"f{index}": float(value) for index, value in enumerate(objectives)}
        values |= {f"g{index}": float(value) for index, value in enumerate(constraints)}
        metrics = {name: Measurement(value, value, value) for name, value in values.items()}
        self._search.tell(token, score(self._objective, self._infos, metrics))


class RayOptunaSearcher:
    """Ray's own ``OptunaSearch`` as it is: it has no constraints."""

    def __init__(self, problem: Problem, seed: int) -> None:
        """Create the search."""
        from ray.tune.search.optuna import OptunaSearch

        self._names = problem.names
        ends = zip(problem.names, problem.low, problem.high, strict=True)
        space = {name: optuna.distributions.FloatDistribution(low, high) for name, low, high in ends}
        metrics = [f"f{index}" for index in range(problem.objectives)]
        self._search = OptunaSearch(space=space, metric=metrics, mode=["min"] * problem.objectives, seed=seed)
        self._asked = 0

    def ask(self, count: int) -> Sequence[tuple[Any, list[float]]]:
        """See :class:`Searcher`."""
        asked = []
        for _ in range(count):
            self._asked += 1
            suggested = self._search.suggest(str(self._asked))
            assert suggested is not None
            asked.append((str(self._asked), [suggested[name] for name in self._names]))
        return asked

    def tell(self, token: Any, objectives: np.ndarray, constraints: np.ndarray) -> None:
        """See :class:`Searcher`."""
        result = {f"f{index}": float(value) for index, value in enumerate(objectives)}
        self._search.on_trial_complete(token, result=result)


class AxSearcher:
    """Ax's client with the method it chooses by itself for several objectives and outcome constraints.

    It is given the benchmark's reference point as thresholds of the objectives, which nobody else is: without them it
    stops with an error as long as no point is feasible.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        """Create the experiment."""
        from ax.api.client import Client
        from ax.api.configs import RangeParameterConfig

        logging.disable(logging.WARNING)
        self._names = problem.names
        self._client = Client(random_seed=seed)
        ends = zip(problem.names, problem.low, problem.high, strict=True)
        self._client.configure_experiment(
            [RangeParameterConfig(name, (float(low), float(high)), "float") for name, low, high in ends]
        )
        self._client.configure_optimization(
            objective=", ".join(f"-f{index}" for index in range(problem.objectives)),
            outcome_constraints=[
                *(f"g{index} <= 0" for index in range(problem.constraints)),
                *(f"f{index} <= {value}" for index, value in enumerate(problem.reference)),
            ],
        )

    def ask(self, count: int) -> Sequence[tuple[Any, list[float]]]:
        """See :class:`Searcher`; Ax may return fewer points, as it does in its start."""
        trials = self._client.get_next_trials(max_trials=count)
        return [(index, [float(point[name]) for name in self._names]) for index, point in trials.items()]

    def tell(self, token: Any, objectives: np.ndarray, constraints: np.ndarray) -> None:
        """See :class:`Searcher`."""
        values = {f"f{index}": float(value) for index, value in enumerate(objectives)}
        values |= {f"g{index}": float(value) for index, value in enumerate(constraints)}
        self._client.complete_trial(trial_index=token, raw_data=values)


def _optuna(name: str, **settings: Any) -> Callable[[Problem, int], Searcher]:
    def make(problem: Problem, seed: int) -> Searcher:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return OptunaSearcher(problem, getattr(optuna.samplers, name)(seed=seed, **settings))

    return make


def _study(searcher: str) -> Callable[[Problem, int], Searcher]:
    return lambda problem, seed: StudySearcher(problem, searcher, seed)


PEERS: dict[str, Callable[[Problem, int], Searcher]] = {
    "random": _optuna("RandomSampler"),
    "optuna_tpe": _optuna("TPESampler"),
    "optuna_nsgaii": _optuna("NSGAIISampler"),
    "optuna_gp": _optuna("GPSampler"),
    "ray_optunasearch": RayOptunaSearcher,
    "ax": AxSearcher,
}
OURS: dict[str, Callable[[Problem, int], Searcher]] = {
    f"study_{name}": _study(name) for name in ("bayesian", "tpe", "gp", "nsgaii", "qmc", "random")
}


def make_searcher(method: str, problem: Problem, seed: int) -> Searcher:
    """Return the searcher called ``method``, a name of ``PEERS`` or ``OURS``."""
    warnings.simplefilter("ignore")
    return (PEERS | OURS)[method](problem, seed)
