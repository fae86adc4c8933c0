"""What a study will cost, before it starts: sampled configurations, and what the experiment expects of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import optuna

from study.config import StudyConfig
from study.experiments import load_experiment
from study.nested import with_values
from study.progress import duration
from study.resources import Plan
from study.scheduler_config import NONE

SAMPLES = 512
"""Configurations drawn at most; larger budgets are extrapolated from these."""


@dataclass(frozen=True)
class Forecast:
    """Expected cost of a study."""

    trials: int
    seconds: float
    """Sum over trials, on one CPU thread or one GPU each, shared stages once."""
    plan: Plan
    replicates: int = 1
    """Seeds of each trial that are counted; with racing, fewer may be run."""
    at_most: bool = False
    """Whether racing or early stopping may save a part of it."""

    @property
    def wall_seconds(self) -> float:
        """Expected duration with trials side by side."""
        return self.seconds / self.plan.concurrent

    def describe(self) -> str:
        """Return the forecast for people."""
        side = "one at a time" if self.plan.concurrent == 1 else f"{self.plan.concurrent} at a time"
        share = f"{self.plan.cpus:g} CPU" + (f" and {self.plan.gpus:g} GPU" if self.plan.gpus else "")
        unit = "GPU" if self.plan.gpus else "CPU"
        seeds = f" under up to {self.replicates} seeds each" if self.replicates > 1 else ""
        about = "at most " if self.at_most else "about "
        return (
            f"forecast: {self.trials} trials{seeds}, {side}, {share} each; {about}{duration(self.wall_seconds)} in all "
            f"({self.seconds / 3600:.2f} {unit}-hours; from reference timings, not measured on this machine)"
        )


def forecast(config: StudyConfig, plan: Plan) -> Forecast:
    """Draw configurations as the study would at random, starting points first, and add up what they cost."""
    drawn = min(config.budget.trials, SAMPLES)
    trials = sample_trials(config, drawn)
    runs = [trial for trial in trials for _ in range(config.replicates)]
    seconds = load_experiment(config.experiment).forecast_seconds(runs, config.data, config.adversaries, plan.device)
    saves = (config.racing and config.replicates > 1) or config.scheduler.name != NONE
    seconds *= config.budget.trials / max(len(trials), 1)
    return Forecast(config.budget.trials, seconds, plan, config.replicates, saves)


def sample_trials(config: StudyConfig, count: int) -> list[dict[str, Any]]:
    """Return ``count`` nested trial configurations: the starting points, then random ones; deterministic.

    What the experiment refuses is left out, as the search does; there are fewer only where it refuses nearly all.
    """
    experiment = load_experiment(config.experiment)
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=config.seed))
        for point in [*config.starting_points, *config.space.starting_points]:
            study.enqueue_trial(dict(point), skip_if_exists=True)
        drawn = (config.space.suggest(study.ask(), config.trial) for _ in range(100 * count))
        trials = (with_values(config.trial, parameters) for parameters in drawn)
        possible = (trial for trial in trials if not experiment.problems(trial, config.data))
        return list(islice(possible, count))
    finally:
        optuna.logging.set_verbosity(level)
