"""A surrogate of the real experiment, fitted to its recorded trials: costs microseconds, and its truth is known.

Every objective and every margin has a regressor of its own over all parameters of the space; an inactive parameter has
a place outside the range of the active ones. A classifier says which configurations end without measurements, or
without a check. The expected values are the *truth*; what a trial measures is the truth plus the residuals, of all
values together, of one of the ``NEIGHBOURS`` nearest recorded trials, predicted with that trial left out. These
residuals hold the noise of a real trial and what the surrogate does not know, so they are too large rather than too
small. Trees know nothing of smoothness, so the surrogate favours no model of the searchers it is to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.own_trials import Trial
from study.bounds import CLIP
from study.objective import ObjectiveConfig, Score, unmeasured
from study.outcomes import Outcome
from study.parameter import CATEGORICAL, Parameter, Value

Array = NDArray[np.float64]

MARGIN = "margin."
"""Prefix of the name of a check's margin among a trial's values."""
INACTIVE = -1.0
"""Place of a parameter that a configuration does not have; active ones are in [0, 1]."""
NEIGHBOURS = 10
TREES = 50


class Model(Protocol):
    """A regressor or classifier as scikit-learn has them."""

    def fit(self, points: Array, values: Any) -> Any:
        """Learn values (n,) at points (n, features)."""

    def predict(self, points: Array) -> Any:
        """Return (m,) at points (m, features)."""


MakeModel = Callable[[], Model]


def forest() -> Model:
    """Return extremely randomised trees (Geurts, Ernst and Wehenkel 2006), averaged."""
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(TREES, random_state=0)


def forest_classifier() -> Model:
    """Return their classifier."""
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(TREES, random_state=0)


def encode(parameters: Sequence[Parameter], configurations: Sequence[Mapping[str, Value]]) -> Array:
    """Return configurations as the surrogate sees them, (configurations, features).

    A number and a category of numbers are a place in [0, 1]; any other category is a feature for each value, 0 or 1.
    """
    return np.array([[place for p in parameters for place in _places(p, one.get(p.name))] for one in configurations])


def _places(parameter: Parameter, value: Value | None) -> list[float]:
    if parameter.kind != CATEGORICAL:
        if not isinstance(value, int | float):
            return [INACTIVE]
        ends = np.array([parameter.low, parameter.high, value], dtype=float)
        low, high, place = np.log(ends) if parameter.log else ends
        return [float((place - low) / (high - low)) if high > low else 0.0]
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in parameter.values):
        ordered = sorted(parameter.values, key=float)
        return [INACTIVE if value is None else ordered.index(value) / max(len(ordered) - 1, 1)]
    return [float(value == one) for one in parameter.values]


class Fitted:
    """The regressors and the classifier, fitted to trials."""

    def __init__(self, points: Array, trials: Sequence[Trial], make: MakeModel, make_classifier: MakeModel) -> None:
        """Fit; ``points`` are the encoded trials, (trials, features)."""
        endings = [trial.ending for trial in trials]
        self._ending = endings[0]
        self._classifier = make_classifier() if len(set(endings)) > 1 else None
        if self._classifier is not None:
            self._classifier.fit(points, np.array(endings))
        self._models: dict[str, Model] = {}
        for name in sorted({name for trial in trials for name in trial.values}):
            known = [index for index, trial in enumerate(trials) if name in trial.values]
            self._models[name] = make()
            self._models[name].fit(points[known], np.array([trials[index].values[name] for index in known]))

    def expect(self, points: Array) -> list[tuple[str, dict[str, float]]]:
        """Return ending and all values that are expected at points, (m, features)."""
        endings = [self._ending] * len(points) if self._classifier is None else self._classifier.predict(points)
        columns = {name: model.predict(points) for name, model in self._models.items()}
        return [
            (str(ending), {name: float(column[index]) for name, column in columns.items()})
            for index, ending in enumerate(endings)
        ]


def leave_each_out(
    parameters: Sequence[Parameter], trials: Sequence[Trial], make: MakeModel, make_classifier: MakeModel
) -> tuple[Trial, ...]:
    """Return the trials, each with what the surrogate of all others expects of it."""
    points = encode(parameters, [trial.parameters for trial in trials])
    found = []
    for index, trial in enumerate(trials):
        others = np.arange(len(points)) != index
        rest = [one for other, one in enumerate(trials) if other != index]
        ((ending, expected),) = Fitted(points[others], rest, make, make_classifier).expect(points[index : index + 1])
        left_out = {name: round(expected[name], 5) for name in trial.values if name in expected}
        found.append(replace(trial, left_out=left_out, left_out_ending=ending))
    return tuple(found)


def accuracy(trials: Sequence[Trial]) -> str:
    """Return a markdown table of what the surrogate knows of trials that it was not fitted to."""
    lines = ["| output | trials | leave-one-out R² | standard deviation of residuals |", "| --- | --- | --- | --- |"]
    for name in sorted({name for trial in trials for name in trial.left_out}):
        pairs = np.array([(one.values[name], one.left_out[name]) for one in trials if name in one.left_out])
        residuals = pairs[:, 0] - pairs[:, 1]
        spread = float(np.var(pairs[:, 0]))
        share = f"{1 - float(np.mean(residuals**2)) / spread:.2f}" if spread else "constant"
        lines.append(f"| {name} | {len(pairs)} | {share} | {residuals.std():.3f} |")
    right = sum(trial.ending == trial.left_out_ending for trial in trials)
    most = max(sum(one.ending == trial.ending for one in trials) for trial in trials)
    lines.append(f"\nEnding: {right} of {len(trials)} right, {most} are of the most frequent one.")
    return "\n".join(lines)


@dataclass(frozen=True)
class Answer:
    """What one configuration gives, by the surrogate."""

    ending: str
    values: dict[str, float]

    def score(self, config: ObjectiveConfig) -> Score:
        """Return it as the search is told."""
        if self.ending in set(Outcome):
            return unmeasured(config, Outcome(self.ending))
        missing = self.ending.split()[1:]
        values = {bound.check: self.values.get(MARGIN + bound.check, CLIP) for bound in config.bounds}
        margins = {check: float(np.clip(value, -CLIP, CLIP)) for check, value in values.items()}
        margins |= {check: CLIP for check in margins if check in missing}
        outcome = Outcome.OK if all(margin <= 0 for margin in margins.values()) else Outcome.INFEASIBLE
        if any(bound.check in missing for bound in config.bounds):
            outcome = Outcome.CHECK_MISSING
        objectives = {objective.name: self.values[objective.name] for objective in config.objectives}
        return Score(objectives, margins, {}, outcome)


class Surrogate:
    """See the module's docstring."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        trials: Sequence[Trial],
        make: MakeModel = forest,
        make_classifier: MakeModel = forest_classifier,
    ) -> None:
        """Fit to all trials, which must say what ``leave_each_out`` found."""
        self._parameters = parameters
        self._points = encode(parameters, [trial.parameters for trial in trials])
        self._fitted = Fitted(self._points, trials, make, make_classifier)
        self._residuals = [
            {name: trial.values[name] - trial.left_out[name] for name in trial.left_out} for trial in trials
        ]

    def truth(self, configurations: Sequence[Mapping[str, Value]]) -> list[Answer]:
        """Return what is expected of configurations."""
        return [Answer(*one) for one in self._fitted.expect(encode(self._parameters, configurations))]

    def measure(self, configuration: Mapping[str, Value], truth: Answer, rng: np.random.Generator) -> Answer:
        """Return what a trial of the configuration measures: its truth and the residuals of a near trial."""
        distance = np.abs(self._points - encode(self._parameters, [configuration])).sum(axis=1)
        near = [index for index in np.argsort(distance, kind="stable") if self._residuals[index]][:NEIGHBOURS]
        residuals = self._residuals[near[int(rng.integers(len(near)))]]
        return Answer(truth.ending, {name: truth.values[name] + residuals.get(name, 0.0) for name in truth.values})
