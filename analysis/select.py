"""Choose configurations and write them, with the evidence for the choice, as YAML.

``python -m study starting_points=FILE``, ``python -m study.audit --selected FILE`` and ``python -m study.final_training
best=FILE`` accept it. It carries the configuration of the study, so that the last needs nothing else.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from analysis.errors import AnalysisError
from analysis.margins import margin_limits
from analysis.pareto import nondominated
from analysis.records import Study
from analysis.rules import Choice, choose
from analysis.summary import objective_interval


@dataclass(frozen=True)
class Selection:
    """What was chosen."""

    document: dict[str, Any]
    """The whole YAML document."""
    trials: tuple[int, ...]
    asked: int


def select(study: Study, top: int = 1, rule: str = "best", *, allow_infeasible: bool = False) -> Selection:
    """Choose trials by a rule.

    Args:
        study: The study.
        top: How many, at least 1; fewer are chosen where fewer may be.
        rule: See :func:`analysis.rules.choose`.
        allow_infeasible: Whether trials beyond a bound may be chosen.

    Raises:
        AnalysisError: As :func:`analysis.rules.choose`.
    """
    choices = choose(study, rule, top, allow_infeasible=allow_infeasible)
    among = "all measured trials" if allow_infeasible else "trials within every bound by estimate"
    document = {
        "schema_version": study.schema.version,
        "study": study.schema.study,
        "rule": rule,
        "among": f"{among}; of equals the earlier trial",
        "configurations": [_configuration(study, choice) for choice in choices],
        "config": _config(study),
    }
    trials = tuple(int(study.trial[choice.row]) for choice in choices)
    return Selection(document, trials, len(trials) if rule.startswith("ids:") else top)


def write_selection(selection: Selection, output: Path) -> None:
    """Write the selection to ``output``, whose folder is made if missing.

    Raises:
        OSError: If the file cannot be written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(selection.document, sort_keys=False, allow_unicode=True)
    output.write_text(f"# Use with: python -m study starting_points={output.name}\n{text}", encoding="utf-8")


def _configuration(study: Study, choice: Choice) -> dict[str, Any]:
    row = choice.row
    return {
        "trial": int(study.trial[row]),
        "parameters": {name: column[row] for name, column in study.parameters.items() if column[row] is not None},
        "objectives": {name: float(values[row]) for name, values in study.objectives.items()},
        "constraints": {name: float(values[row]) for name, values in study.constraints.items()},
        "feasible": bool(study.feasible[row]),
        "outcome": study.outcome[row],
        "seed": study.seed[row],
        "evidence": {
            "why": choice.why,
            "front": _front(study, row),
            "objectives": {item.name: _objective(study, item.name, row) for item in study.schema.objectives},
            "margins": {item.check: _margin(study, item.check, row) for item in study.schema.constraints},
            "seeds": int(study.replicates[row]),
        },
    }


def _front(study: Study, row: int) -> dict[str, Any]:
    """Say where a trial lies on the feasible front over all objectives, counted along the first searched one."""
    objectives, primary = study.schema.objectives, study.schema.primary
    feasible = np.flatnonzero(study.feasible)
    values = np.stack([study.objectives[item.name][feasible] for item in objectives], axis=1)
    front = feasible[nondominated(values, [item.maximise for item in objectives])] if feasible.size else feasible
    if row not in front:
        return {"on": False, "trials": len(front)}
    cost = -study.objectives[primary.name][front] if primary.maximise else study.objectives[primary.name][front]
    place = int(np.flatnonzero(front[np.lexsort((study.trial[front], cost))] == row)[0]) + 1
    return {"on": True, "trials": len(front), "place": place, "along": primary.name}


def _objective(study: Study, name: str, row: int) -> dict[str, Any]:
    objective = next(item for item in study.schema.objectives if item.name == name)
    low, high = objective_interval(study, objective, row)
    stated = {"value": float(study.objectives[name][row]), "low": low, "high": high}
    error = float(study.standard_errors[name][row])
    return stated if math.isnan(error) else stated | {"standard_error": error}


def _margin(study: Study, check: str, row: int) -> dict[str, Any]:
    constraint = next(item for item in study.schema.constraints if item.check == check)
    low, high = margin_limits(study, constraint, row)
    verdict = study.verdicts[check][row]
    margin = float(study.constraints[check][row])
    return {"bound": constraint.text, "margin": margin, "low": low, "high": high, "verdict": verdict}


def _config(study: Study) -> dict[str, Any] | None:
    """Return the study's configuration; None where its folder holds none that can be read."""
    try:
        found = yaml.safe_load(study.config)
    except yaml.YAMLError as error:
        raise AnalysisError(f"config.yaml of the study cannot be read: {' '.join(str(error).split())}") from None
    return found if isinstance(found, dict) else None
