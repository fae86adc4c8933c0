"""The search space of a study: which parameters there are, which are active together, and what may be tried first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from random import Random
from typing import TYPE_CHECKING, Any

from study.evaluation import Experiment
from study.nested import flatten, near_misses, with_values
from study.parameter import CATEGORICAL, Parameter, Value, read_parameter
from study.sections import Section

if TYPE_CHECKING:
    from optuna.trial import FixedTrial, Trial

SETTINGS_TRIED = 64
"""Settings of the other parameters in which a value that the base setting makes impossible is tried."""


@dataclass(frozen=True)
class Space:
    """Parameters in the order in which they are asked; a condition refers to earlier ones only."""

    parameters: tuple[Parameter, ...]
    starting_points: tuple[dict[str, Value], ...]
    """Configurations to try first; a parameter left out is chosen by the sampler."""
    strata: tuple[str, ...]
    """Parameters whose combinations get a front of their own in the report."""

    def suggest(self, trial: Trial | FixedTrial, base: Mapping[str, Any]) -> dict[str, Value]:
        """Ask an Optuna trial for every active parameter.

        Args:
            trial: The Optuna trial.
            base: Nested trial configuration; conditions on what is not in the space look here.

        Returns:
            The active parameters by dotted name.
        """
        known, values = flatten(base), dict[str, Value]()
        for parameter in self.parameters:
            if _active(parameter, values, known, self.names):
                values[parameter.name] = parameter.suggest(trial)
        return values

    @property
    def names(self) -> frozenset[str]:
        """Names of all parameters."""
        return frozenset(parameter.name for parameter in self.parameters)

    def active(self, values: Mapping[str, Any], base: Mapping[str, Any]) -> frozenset[str]:
        """Return the names of the parameters that are active when others have ``values``."""
        known, kept = flatten(base), dict[str, Any]()
        for parameter in self.parameters:
            if _active(parameter, kept, known, self.names):
                kept[parameter.name] = values.get(parameter.name)
        return frozenset(kept)

    def point_problems(self, where: str, point: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with one configuration: unknown names, values outside, values of inactive parameters."""
        problems = []
        by_name = {parameter.name: parameter for parameter in self.parameters}
        for name, value in point.items():
            if name not in by_name:
                problems.append(f"{where}: {name}={value!r} is no parameter of this space{near_misses(name, by_name)}")
            elif not by_name[name].contains(value):
                problems.append(f"{where}: {name}={value!r} is outside; permitted: {by_name[name].permitted()}")
        if not problems:
            for name in sorted(set(point) - self.active(point, base)):
                conditions = ", ".join(f"{key} in {list(values)}" for key, values in by_name[name].when.items())
                problems.append(f"{where}: {name}={point[name]!r} is given, but only active when {conditions}")
        return problems

    def fixed(self, values: Mapping[str, Any]) -> Space:
        """Return the space with some parameters fixed; starting points that contradict them are dropped."""
        parameters = tuple(
            replace(
                p, kind=CATEGORICAL, values=(values[p.name],), role="fixed", log=False, step=None, low=0.0, high=0.0
            )
            if p.name in values
            else p
            for p in self.parameters
        )
        points = tuple(
            point
            for point in self.starting_points
            if all(point.get(name, value) == value for name, value in values.items())
        )
        return replace(self, parameters=parameters, starting_points=points)


def _active(parameter: Parameter, values: Mapping[str, Any], base: Mapping[str, Any], space: frozenset[str]) -> bool:
    """Return whether all conditions hold; a condition on an inactive parameter does not."""
    for name, permitted in parameter.when.items():
        if name in space and name not in values:
            return False
        if values.get(name, base.get(name)) not in permitted:
            return False
    return True


def read_space(
    group: Any,
    experiment: Experiment,
    base: Mapping[str, Any],
    fixed: Mapping[str, Any],
    problems: list[str],
    data: Mapping[str, Any],
) -> Space:
    """Read the ``space`` group and hold it against what the experiment permits.

    Args:
        group: The resolved group.
        experiment: Says which names and values exist.
        base: Nested trial configuration that the parameters are set into.
        fixed: Values of parameters, by dotted name, that the user fixed.
        problems: What is wrong is added here.
        data: Resolved ``data`` group.
    """
    before = len(problems)
    section = Section("space", group, problems)
    section.text("description", optional=True)
    entries = section.raw("parameters")
    points, strata = section.raw("starting_points") or [], section.raw("strata") or []
    section.close()
    if not isinstance(entries, list) or not entries:
        problems.append("space.parameters must be a list of at least one parameter")
        entries = []
    read = [read_parameter(f"space.parameters[{i}]", entry, problems) for i, entry in enumerate(entries)]
    space = Space(
        parameters=tuple(parameter for parameter in read if parameter is not None),
        starting_points=tuple(dict(point) for point in points if isinstance(point, Mapping)),
        strata=tuple(str(name) for name in strata),
    )
    problems.extend(_name_problems(space, flatten(base)))
    space = _with_constant_strata(space, flatten(base))
    for index, point in enumerate(points):
        where = f"space.starting_points[{index}]"
        if not isinstance(point, Mapping):
            problems.append(f"{where}={point!r} must map parameters to values")
        elif len(problems) == before:  # otherwise the entries' own problems would be repeated here
            problems.extend(space.point_problems(where, point, base))
    space = space.fixed(fixed)
    if len(problems) == before:
        problems.extend(_value_problems(space, experiment, base, data))
    else:
        problems.extend(experiment.problems(base, data))
    return space


def _with_constant_strata(space: Space, base: Mapping[str, Any]) -> Space:
    """Return the space with strata that it does not search as fixed parameters, so that records hold their value."""
    constant = tuple(
        Parameter(name, CATEGORICAL, "fixed", "1", "the same in every trial of this study", values=(base[name],))
        for name in space.strata
        if name in base and name not in space.names
    )
    return replace(space, parameters=space.parameters + constant)


def _name_problems(space: Space, base: Mapping[str, Any]) -> Iterator[str]:
    """Yield duplicate and unknown names, and conditions that can never hold."""
    seen: dict[str, Parameter] = {}
    for parameter in space.parameters:
        where = f"space.parameters ({parameter.name})"
        if parameter.name in seen:
            yield f"{where} is there twice"
        if parameter.name not in base:
            yield f"{where} is no field of the trial configuration{near_misses(parameter.name, base)}"
        for name, values in parameter.when.items():
            if name not in seen and name not in base:
                yield f"{where}: when names {name!r}, which is no earlier parameter{near_misses(name, [*seen, *base])}"
            elif name not in seen and name in space.names:
                yield f"{where}: when names {name!r}, which comes later; move it before this one"
            for value in values if name in seen else ():
                if not seen[name].contains(value):
                    yield f"{where}: when {name}={value!r} never holds; permitted: {seen[name].permitted()}"
        seen[parameter.name] = parameter
    for name in space.strata:
        if name not in base:
            yield f"space.strata names {name!r}, which is no field of the trial configuration{near_misses(name, base)}"


def _value_problems(
    space: Space, experiment: Experiment, base: Mapping[str, Any], data: Mapping[str, Any]
) -> list[str]:
    """Return what the experiment refuses, whatever else is chosen: the base configuration, an extreme value of a
    parameter, or a starting point.

    A combination of permitted values that is refused is no problem: the search skips it.
    """

    def problems(values: Mapping[str, Any]) -> list[str]:
        return experiment.problems(with_values(base, values), data)

    at_random = _settings_with(space, {}, base, "base")
    unavoidable = set(problems({}))
    while unavoidable and (setting := next(at_random, None)) is not None:
        unavoidable &= set(problems(setting))
    found = dict.fromkeys(one for one in problems({}) if one in unavoidable)

    def avoidable(values: Mapping[str, Any]) -> list[str]:
        return [one for one in problems(values) if one not in unavoidable]

    for parameter in space.parameters:
        for value in parameter.extremes():
            settings = _settings_with(space, {parameter.name: value}, base, parameter.name, active=parameter)
            refused = list(takewhile(avoidable, settings))
            if len(refused) > SETTINGS_TRIED:
                reasons = _reasons(parameter, value, refused, avoidable)
                found |= {f"space.parameters ({parameter.name}) permits {value!r}, but {one}": None for one in reasons}
    for index, point in enumerate(space.starting_points):
        found |= {f"space.starting_points[{index}]: {one}": None for one in avoidable(_setting(space, point, base))}
    return list(found)


def _reasons(
    parameter: Parameter,
    value: Value,
    settings: Sequence[Mapping[str, Any]],
    problems: Callable[[Mapping[str, Any]], list[str]],
) -> list[str]:
    """Return the problems of ``settings`` that another value of the parameter avoids; all of them, where none does."""
    others = [other for other in parameter.extremes() if other != value]
    found: dict[str, None] = {}
    for setting in settings:
        without = [set(problems({**setting, parameter.name: other})) for other in others]
        found |= {one: None for one in problems(setting) if any(one not in rest for rest in without)}
    return list(found or dict.fromkeys(one for setting in settings for one in problems(setting)))


def _settings_with(
    space: Space, chosen: Mapping[str, Any], base: Mapping[str, Any], name: str, *, active: Parameter | None = None
) -> Iterator[dict[str, Any]]:
    """Yield settings with the ``chosen`` values and ``active`` active: nearest to the base, then random ones."""
    yield _setting(space, {**(_with_parents(space, active) if active else {}), **chosen}, base)
    random = Random(name)  # the same settings in every process
    for _ in range(SETTINGS_TRIED):
        others = {other.name: random.choice(other.extremes()) for other in space.parameters}
        parents = _with_parents(space, active, random) if active else {}
        yield _setting(space, {**others, **parents, **chosen}, base)


def _with_parents(space: Space, parameter: Parameter, random: Random | None = None) -> dict[str, Any]:
    """Return values under which ``parameter`` is active: of each condition, upwards, the first permitted or a random
    one."""
    by_name = {other.name: other for other in space.parameters}
    values: dict[str, Any] = {}
    for name, permitted in parameter.when.items():
        if name in by_name:
            values.update(_with_parents(space, by_name[name], random))
            usable = [value for value in permitted if by_name[name].contains(value)]
            if usable:
                values[name] = random.choice(usable) if random else usable[0]
    return values


def _setting(space: Space, chosen: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return one configuration of the space: ``chosen`` values, elsewhere the base value if permitted, or the first."""
    known, values = flatten(base), dict[str, Any]()
    for parameter in space.parameters:
        if not _active(parameter, values, known, space.names):
            continue
        value = chosen.get(parameter.name, known.get(parameter.name))
        values[parameter.name] = value if parameter.contains(value) else parameter.extremes()[0]
    return values
