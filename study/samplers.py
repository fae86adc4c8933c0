"""The samplers by name: this project's own Bayesian one, and Optuna's with the settings that were chosen for them.

What they do about constraints and conditional parameters (those that only some configurations have):

============ ===================================== =====================================================
name         constraints                           conditional parameters
============ ===================================== =====================================================
bayesian     a process each, probability           part of the model, inactive at a fixed place
tpe          infeasible trials last, by violation  by groups that are active together
gp           a process each, probability           outside the model; each by itself, by TPE
nsgaii       infeasible trials last, by violation  crossover where both parents have them, else random
qmc, random  none                                  those of the first trial quasi-random; else random
============ ===================================== =====================================================
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import optuna

from study.bayesian import BayesianSampler
from study.sections import Section

SAMPLERS = ("bayesian", "tpe", "gp", "nsgaii", "qmc", "random")


@dataclass(frozen=True)
class SearcherConfig:
    """The ``searcher`` group, resolved. Fields that a sampler does not have keep their defaults."""

    name: str
    startup_trials: int = 10
    """bayesian, tpe, gp: finished trials, starting points included, before the model is asked."""
    candidates: int = 24
    """tpe: draws among which the model picks, >= 1."""
    multivariate: bool = True
    """tpe: model parameters jointly rather than one by one."""
    population_size: int = 16
    """nsgaii: trials of one generation, >= 2."""


def read_searcher(group: Any, problems: list[str]) -> SearcherConfig:
    """Read the ``searcher`` group; what is wrong with it is added to ``problems``."""
    section = Section("searcher", group, problems)
    section.text("description", optional=True)
    name = section.text("name", SAMPLERS)
    config = SearcherConfig(name)
    if name in ("bayesian", "gp"):
        config = SearcherConfig(name, startup_trials=section.integer("startup_trials", 1))
    elif name == "tpe":
        config = SearcherConfig(
            name,
            startup_trials=section.integer("startup_trials", 1),
            candidates=section.integer("candidates", 1),
            multivariate=section.boolean("multivariate"),
        )
    elif name == "nsgaii":
        config = SearcherConfig(name, population_size=section.integer("population_size", 2))
    section.close()
    return config


def build_sampler(config: SearcherConfig, seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler, seeded. Constraints reach it through ``Trial.set_constraint`` on finished trials."""
    if config.name == "bayesian":
        return BayesianSampler(config.startup_trials, seed)
    if config.name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if config.name == "qmc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
    if config.name == "nsgaii":
        return optuna.samplers.NSGAIISampler(population_size=config.population_size, seed=seed)
    if config.name == "gp":
        return optuna.samplers.GPSampler(
            n_startup_trials=config.startup_trials,
            # Conditional parameters would be drawn at random by default.
            independent_sampler=_tpe(SearcherConfig("tpe", startup_trials=config.startup_trials), seed),
            warn_independent_sampling=False,
            seed=seed,
        )
    return _tpe(config, seed)


def attributes_of_known(config: SearcherConfig) -> dict[str, int]:
    """Return the system attributes without which a sampler ignores trials that it did not propose.

    NSGA-II takes parents from generations only; trials of earlier studies are its first.
    """
    return {optuna.samplers.NSGAIISampler._get_generation_key(): 0} if config.name == "nsgaii" else {}


def _tpe(config: SearcherConfig, seed: int) -> optuna.samplers.TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=config.startup_trials,
            n_ei_candidates=config.candidates,
            multivariate=config.multivariate,
            # Without groups, parameters that belong to one family only would be drawn independently of all others.
            group=config.multivariate,
            # Trials run in parallel; without it, the same promising point would be asked several times at once.
            constant_liar=True,
            seed=seed,
        )
