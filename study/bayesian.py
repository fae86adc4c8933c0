"""A Bayesian sampler for several objectives, constraints and conditional parameters.

One Gaussian process for each objective and each constraint that was ever violated. The next configuration maximises
the expected gain of hypervolume times the probability of being feasible (Gardner et al. 2014, "Bayesian optimization
with inequality constraints"), over random configurations and ever closer neighbours of the best ones
(``study.encoding``). Nothing feasible yet: the probability alone. The gain is estimated by random scalarisations whose
mean is the hypervolume (Zhang and Golovin 2020, "Random hypervolume scalarizations for provable multi-objective black
box optimization", lemma 5). Margins are flattened by the bilog of Eriksson and Poloczek 2021 ("Scalable constrained
Bayesian optimization"), which keeps the boundary sharp. Configurations that are being evaluated count with the values
that are expected of them. Trials that a scheduler stopped count as bad in every objective as the worst measured one,
and say nothing of the constraints: without that, the objectives' processes would promise the same place again.

What it proposes is a function of its seed, the trial's number and the study's trials alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import log_ndtr

from study.bounds import CLIP
from study.encoding import Encoding, make_encoding, seen
from study.gaussian_process import Array, GaussianProcess, fit

SCALARISATIONS, DRAWS = 64, 32
"""Random directions of the hypervolume, and draws from the objectives' processes; a suggestion costs their product."""
CANDIDATES, ROUNDS, KEPT, OFFSPRING = 1200, 4, 10, 30
"""Configurations of the first round; then rounds in which each of the best KEPT has OFFSPRING neighbours."""
MOST_TRIALS = 200
"""Trials that the processes are conditioned on: the best half, and the latest."""
FEASIBILITY_WEIGHTS = (1.0, 0.25)
"""Powers of the probability of being feasible, of which each suggestion takes one at random. The smaller one looks
beyond the feasible region that is known: there may be others, and a model of a constraint is sure too soon."""


class BayesianSampler(optuna.samplers.BaseSampler):
    """See the module's docstring."""

    def __init__(self, startup_trials: int, seed: int) -> None:
        """Keep the settings.

        Args:
            startup_trials: Finished trials before the model is asked, >= 1; random until then.
            seed: Seed of all randomness.
        """
        self._startup_trials, self._seed = startup_trials, seed
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._fitted: tuple[Any, _Model | None] = (None, None)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return every parameter that a trial of the study has had and that can vary."""
        found: dict[str, BaseDistribution] = {}
        for one in study.get_trials(deepcopy=False):
            found |= one.distributions
        return {name: found[name] for name in sorted(found) if not found[name].single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the most promising configuration; nothing, so that it is drawn at random, before there is a model."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(finished) < self._startup_trials or not search_space:
            return {}
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number and one.params]
        running = [one.params for one in others if one.state is TrialState.RUNNING]
        rng = np.random.default_rng((self._seed, trial.number))
        results = Results.of(study, finished)
        encoding = make_encoding(search_space, [one.params for one in finished])
        points, pending = encoding.encode([one.params for one in finished]), encoding.encode(running)
        stopped = [one for one in others if one.state is TrialState.PRUNED][-MOST_TRIALS:]
        acquisition = Acquisition(self._model(encoding, points, results, finished, stopped), pending, rng)
        structures = np.concatenate([points, pending])
        known = encoding.encode([one.params for one in others])  # those that failed as well, or that nobody could run
        return encoding.decode(maximise(acquisition, encoding, points[results.order], structures, known, rng))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value: there is no model yet, or no finished trial has had this parameter."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _model(
        self,
        encoding: Encoding,
        points: Array,
        results: Results,
        finished: Sequence[FrozenTrial],
        stopped: Sequence[FrozenTrial],
    ) -> _Model:
        """Return the model of finished and stopped trials, fitted only if there are others than when last asked."""
        chosen = results.chosen(MOST_TRIALS)
        numbers = [finished[index].number for index in chosen], [one.number for one in stopped]
        key = [column.name for column in encoding.columns], numbers
        fitted, model = self._fitted
        if model is None or fitted != key:
            beaten = encoding.encode([one.params for one in stopped])
            margins = results.margins[chosen]
            model = _fit_model(points[chosen], results.losses[chosen], margins, encoding.nominal, beaten)
            self._fitted = key, model  # at once: threads of one study share the sampler
        return model


@dataclass(frozen=True)
class Results:
    """Values of finished trials."""

    losses: Array
    """Objectives, all to be minimised, (trials, objectives); NaN where every margin is at the clip, which stands for a
    trial without measurements."""
    margins: Array
    """(trials, constraints); feasible where <= 0."""

    @classmethod
    def of(cls, study: Study, finished: Sequence[FrozenTrial]) -> Results:
        """Read the values of trials with state COMPLETE. A constraint that one of them lacks is violated."""
        signs = np.array([1.0 if one is StudyDirection.MINIMIZE else -1.0 for one in study.directions])
        names = sorted({name for one in finished for name in one.constraints})
        losses = np.array([one.values for one in finished]) * signs
        rows = [[one.constraints.get(name, CLIP) for name in names] for one in finished]
        margins = np.array(rows, dtype=float).reshape(len(finished), len(names))
        if names:
            losses[(margins >= CLIP).all(axis=1)] = np.nan
        return cls(losses, margins)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Trials from the best to the worst: least violation, then dominated by the fewest others."""
        violation = np.maximum(self.margins, 0.0).sum(axis=1)
        return np.lexsort((dominated_by(self.losses), violation))

    def chosen(self, most: int) -> NDArray[np.int64]:
        """Return the trials to learn from, at most ``most``: the best half and the latest."""
        order = self.order
        if len(order) <= most:
            return np.arange(len(order))
        best = order[: most // 2]
        others = np.setdiff1d(np.arange(len(order)), best)
        return np.concatenate([best, others[best.size - most :]])


def dominated_by(losses: Array) -> NDArray[np.int64]:
    """Return by how many others each row is dominated, (trials,); a row with NaN counts as dominated by all."""
    counts = np.array([((losses <= row).all(axis=1) & (losses < row).any(axis=1)).sum() for row in losses], dtype=int)
    return np.where(np.isnan(losses).any(axis=1), len(losses), counts)


@dataclass(frozen=True)
class _Scaled:
    """A process of values with another mean and scale."""

    process: GaussianProcess
    mean: float
    scale: float

    def predict(self, points: Array) -> tuple[Array, Array]:
        expected, deviation = self.process.predict(points)
        return self.mean + self.scale * expected, self.scale * deviation

    def believing(self, points: Array) -> _Scaled:
        return replace(self, process=self.process.believing(points))


@dataclass(frozen=True)
class _Model:
    """What the finished trials teach. Objectives are scaled so that the feasible front spans about [0, 1]."""

    objectives: tuple[_Scaled, ...]
    """Empty while nothing is feasible."""
    constraints: tuple[_Scaled, ...]
    """Those that were ever violated."""
    front: Array
    """Feasible front, (points, objectives)."""
    reference: Array
    """Reference point of the hypervolume, (objectives,)."""


def _fit_model(
    points: Array, losses: Array, margins: Array, nominal: NDArray[np.bool_], stopped: Array | None = None
) -> _Model:
    def scaled(places: Array, values: Array) -> _Scaled:
        mean, scale = float(values.mean()), float(values.std()) or 1.0
        return _Scaled(fit(seen(places), (values - mean) / scale, nominal), mean, scale)

    flattened = np.sign(margins) * np.log1p(np.abs(margins))
    constraints = tuple(scaled(points, values) for values in flattened.T if (values > 0).any())
    measured = np.asarray(~np.isnan(losses).any(axis=1))
    feasible = np.asarray(measured & (margins <= 0).all(axis=1))
    if not feasible.any():
        return _Model((), constraints, np.empty((0, losses.shape[1])), np.empty(0))
    front = losses[feasible][dominated_by(losses[feasible]) == 0]
    low, high = front.min(axis=0), front.max(axis=0)
    quartiles = np.quantile(losses[measured], (0.25, 0.75), axis=0)
    span = np.maximum(np.maximum(high - low, 0.2 * (quartiles[1] - quartiles[0])), 1e-9)
    reference = (high - low) / span + 0.1
    # Far beyond the reference all are equally useless; the model is to be good where it matters.
    normalised = np.minimum((losses[measured] - low) / span, reference + 2.0)
    places = points[measured]
    if stopped is not None and len(stopped):
        worst = np.tile(normalised.max(axis=0), (len(stopped), 1))
        places, normalised = np.concatenate([places, stopped]), np.concatenate([normalised, worst])
    objectives = tuple(scaled(places, values) for values in normalised.T)
    return _Model(objectives, constraints, (front - low) / span, reference)


class Acquisition:
    """What the model promises of a configuration."""

    def __init__(self, model: _Model, pending: Array, rng: np.random.Generator) -> None:
        """Take the configurations being evaluated, (pending, parameters), as if they had their expected values."""
        self._weight = float(rng.choice(FEASIBILITY_WEIGHTS))
        self._model, front = model, model.front
        if len(pending):
            places = seen(pending)
            if len(front):
                expected = np.column_stack([one.predict(places)[0] for one in model.objectives])
                front = np.concatenate([front, expected[self._log_feasible(places) > np.log(0.5)]])
            self._model = replace(
                model,
                objectives=tuple(one.believing(places) for one in model.objectives),
                constraints=tuple(one.believing(places) for one in model.constraints),
            )
        count = model.front.shape[1]
        directions = np.abs(rng.standard_normal((SCALARISATIONS, count)))
        self._directions = np.maximum(directions / np.linalg.norm(directions, axis=1, keepdims=True), 1e-3)
        self._normal = rng.standard_normal((DRAWS, count))
        self._reached = self._scalarise(front).max(axis=0) if len(front) else np.empty(0)

    def __call__(self, points: Array) -> Array:
        """Return the logarithm of expected gain times probability of being feasible, (points,)."""
        places = seen(points)
        if not len(self._model.front):
            return self._log_feasible(places)
        draws = np.empty((len(points), *self._normal.shape))
        for index, objective in enumerate(self._model.objectives):
            expected, deviation = objective.predict(places)
            draws[..., index] = expected[:, None] + deviation[:, None] * self._normal[:, index]
        gain = np.maximum(self._scalarise(draws) - self._reached, 0.0).mean(axis=(1, 2))
        return self._weight * self._log_feasible(places) + np.log(gain + 1e-12)

    def _scalarise(self, losses: Array) -> Array:
        """Return the scalarised hypervolume of points (..., objectives) in every direction, (..., directions)."""
        gains = np.maximum(self._model.reference - losses, 0.0)
        smallest = np.full((*losses.shape[:-1], len(self._directions)), np.inf)
        for index in range(losses.shape[-1]):
            np.minimum(smallest, gains[..., index, None] / self._directions[:, index], out=smallest)
        return smallest ** losses.shape[-1]

    def _log_feasible(self, places: Array) -> Array:
        total = np.zeros(len(places))
        for constraint in self._model.constraints:
            expected, deviation = constraint.predict(places)
            total += log_ndtr(-expected / deviation)
        return total


def maximise(
    acquisition: Acquisition,
    encoding: Encoding,
    ordered: Array,
    structures: Array,
    known: Array,
    rng: np.random.Generator,
) -> Array:
    """Return the most promising configuration that is not known yet, (parameters,).

    Args:
        acquisition: What is promised of configurations.
        encoding: Knows how they vary.
        ordered: Finished ones from the best to the worst, (finished, parameters).
        structures: Configurations whose structures random ones take, (structures, parameters).
        known: All asked so far, (asked, parameters).
        rng: Source of randomness.
    """
    half = CANDIDATES // 2
    parents = ordered[: 2 * KEPT]
    rows = parents[rng.integers(len(parents), size=half)]
    near = encoding.neighbours(rows, 10.0 ** rng.uniform(-2.5, -0.5, half), rng)
    drawn = np.concatenate([encoding.random(structures[rng.integers(len(structures), size=half)], rng), near])
    candidates = _new(drawn, known)
    if not len(candidates):  # everything is known
        candidates = drawn
    promises = acquisition(candidates)
    for round_ in range(1, ROUNDS + 1):
        best = np.argsort(-promises)[:KEPT]
        rows = np.repeat(candidates[best], OFFSPRING, axis=0)
        offspring = _new(encoding.neighbours(rows, 10.0 ** rng.uniform(-2.0, 0.0, len(rows)) / 2**round_, rng), known)
        candidates = np.concatenate([candidates[best], offspring])
        promises = np.concatenate([promises[best], acquisition(offspring)])
    return candidates[np.argmax(promises)]


def _new(rows: Array, known: Array) -> Array:
    """Return the rows that are not known, each once."""
    taken, fresh = {tuple(row) for row in seen(known).tolist()}, np.zeros(len(rows), dtype=bool)
    for index, row in enumerate(map(tuple, seen(rows).tolist())):
        fresh[index] = row not in taken
        taken.add(row)
    return rows[fresh]
