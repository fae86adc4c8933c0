"""What a study says about its own columns: the JSON that its Parquet files carry under the key ``study``.

Read once, turned into frozen values, and refused when its version is not one that this code knows: a report that
guesses what a column means would be worse than none.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from analysis.bounds import Bound, parse_bound
from analysis.errors import AnalysisError

SUPPORTED_VERSIONS = (1,)
METADATA_KEY = b"study"

T = TypeVar("T")


@dataclass(frozen=True)
class Objective:
    """One quantity of the front."""

    name: str
    label: str
    unit: str
    """Unit of the value, "1" for a ratio."""
    maximise: bool
    """Direction of the search."""
    searched: bool
    """Whether the searcher was told this value; the others were recorded only."""
    metric: str
    """Metric it is; where the metric has members (adversaries), the worst voting one."""


@dataclass(frozen=True)
class Constraint:
    """One check: a metric against a bound."""

    check: str
    metric: str
    """Metric it judges; where the metric has members (adversaries), the worst voting one counts."""
    sense: str
    """"<=" or ">="."""
    text: str
    """The bound as the study states it, in the unit of the metric."""
    bound: Bound | None
    """``text`` understood, or None where it is in no form known here (its margins are shown all the same)."""
    scale: float
    """Distance from the bound, in the unit of the metric, that counts as a margin of one."""


@dataclass(frozen=True)
class Parameter:
    """One dimension of the search space."""

    name: str
    kind: str
    """"categorical", "int" or "float"."""
    log: bool
    unit: str
    role: str
    """"scientific", "nuisance" or "fixed"."""
    values: tuple[Any, ...] | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MetricInfo:
    """What the study says about a metric."""

    unit: str
    description: str


@dataclass(frozen=True)
class Schema:
    """Everything a study says about its columns."""

    version: int
    study: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    parameters: Mapping[str, Parameter]
    strata: tuple[str, ...]
    """Parameters whose values split the trials into groups with a front of their own."""
    budget: int | None
    """Trials that the study was to run; None where it does not say."""
    metrics: Mapping[str, MetricInfo]
    """By metric; may be empty, in which case names speak for themselves."""

    @property
    def primary(self) -> Objective:
        """The objective that trials are ranked by: the first one that was searched, or else the first."""
        return next((objective for objective in self.objectives if objective.searched), self.objectives[0])


def parse_schema(metadata: Mapping[bytes, bytes] | None, source: str) -> tuple[Schema, str]:
    """Read the metadata of one Parquet file.

    Args:
        metadata: Key-value metadata of the file's Arrow schema, as pyarrow gives it.
        source: Name of the file, for messages.

    Returns:
        The schema, and the kind of the file ("trials", "history" or "controls").

    Raises:
        AnalysisError: If the metadata is absent, no JSON, of an unknown version, or lacks a field; all missing fields
            are named at once.
    """
    raw = (metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise AnalysisError(
            f"{source} carries no '{METADATA_KEY.decode()}' metadata, so it was not written by this system; "
            "point at a folder that `python -m study` wrote"
        )
    try:
        fields = json.loads(raw)
    except ValueError as error:
        raise AnalysisError(f"{source}: its 'study' metadata is no JSON ({error}); the file is damaged") from error
    if not isinstance(fields, dict):
        raise AnalysisError(f"{source}: its 'study' metadata is no JSON object; the file is damaged")
    version = fields.get("schema_version")
    if version not in SUPPORTED_VERSIONS:
        known = ", ".join(map(str, SUPPORTED_VERSIONS))
        raise AnalysisError(
            f"{source}: records of schema version {version!r}; this code reads version {known}. Use the code revision "
            "that wrote the study (environment.json in its folder names it), or run the study again with this one"
        )
    return _build(fields, source), str(fields.get("kind", ""))


def _build(fields: Mapping[str, Any], source: str) -> Schema:
    problems: list[str] = []
    if not fields.get("objectives"):
        problems.append("objectives")
    objectives = _entries(fields, "objectives", _objective, problems)
    constraints = _entries(fields, "constraints", _constraint, problems)
    parameters = _entries(fields, "parameters", _parameter, problems)
    metrics = _entries(fields, "metrics", _metric, problems)
    if problems:
        raise AnalysisError(f"{source}: its 'study' metadata lacks or garbles: {', '.join(problems)}")
    return Schema(
        version=fields["schema_version"],
        study=str(fields.get("study", "")) or "unnamed study",
        objectives=tuple(objectives.values()),
        constraints=tuple(constraints.values()),
        parameters=parameters,
        strata=tuple(map(str, fields.get("strata", ()))),
        budget=fields["budget"] if isinstance(fields.get("budget"), int) else None,
        metrics=metrics,
    )


def _entries(
    fields: Mapping[str, Any], group: str, build: Callable[[str, Mapping[str, Any]], T], problems: list[str]
) -> dict[str, T]:
    built: dict[str, T] = {}
    entries = fields.get(group) or {}
    if not isinstance(entries, dict):
        problems.append(group)
        return built
    for name, entry in entries.items():
        try:
            built[name] = build(name, entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"{group}.{name} ({error})")
    return built


def _objective(name: str, entry: Mapping[str, Any]) -> Objective:
    direction = entry["direction"]
    if direction not in ("maximise", "minimise"):
        raise ValueError(f"direction {direction!r} is neither 'maximise' nor 'minimise'")
    label = str(entry.get("label") or name.replace("_", " "))
    metric = str(entry.get("metric") or name)
    return Objective(
        name, label, str(entry.get("unit", "")), direction == "maximise", bool(entry.get("searched")), metric
    )


def _constraint(name: str, entry: Mapping[str, Any]) -> Constraint:
    sense = entry["sense"]
    if sense not in ("<=", ">="):
        raise ValueError(f"sense {sense!r} is neither '<=' nor '>='")
    text = str(entry["bound"])
    return Constraint(name, str(entry["metric"]), sense, text, parse_bound(text), float(entry["scale"]))


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    values = entry.get("values")
    return Parameter(
        name=name,
        kind=str(entry["kind"]),
        log=bool(entry.get("log", False)),
        unit=str(entry.get("unit") or ""),
        role=str(entry.get("role") or ""),
        values=None if values is None else tuple(values),
        low=None if entry.get("low") is None else float(entry["low"]),
        high=None if entry.get("high") is None else float(entry["high"]),
    )


def _metric(name: str, entry: Mapping[str, Any]) -> MetricInfo:
    return MetricInfo(str(entry.get("unit") or ""), str(entry.get("description") or ""))
