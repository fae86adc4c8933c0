"""Optuna's samplers by name, with the settings that this project chose for them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import optuna

from study.sections import Section

SAMPLERS = ("tpe", "random", "nsgaii")


@dataclass(frozen=True)
class SearcherConfig:
    """The ``searcher`` group, resolved. Fields that a sampler does not have keep their defaults."""

    name: str
    startup_trials: int = 10
    """tpe: finished trials, starting points included, before the model is asked."""
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
    if name == "tpe":
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
    if config.name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if config.name == "nsgaii":
        return optuna.samplers.NSGAIISampler(population_size=config.population_size, seed=seed)
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
