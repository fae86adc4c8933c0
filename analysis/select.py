"""Choose configurations and write them as YAML that ``python -m study starting_points=FILE`` accepts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from analysis.checks import failed_checks
from analysis.errors import AnalysisError
from analysis.ranking import ranked, worst_margin
from analysis.records import Study
from analysis.words import count, number, plain

NEAREST_SHOWN = 3


@dataclass(frozen=True)
class Selection:
    """What was chosen."""

    document: dict[str, Any]
    """The whole YAML document."""
    trials: tuple[int, ...]
    asked: int


def select(study: Study, top: int) -> Selection:
    """Choose the ``top`` best feasible trials by the first searched objective.

    Args:
        study: The study.
        top: How many, at least 1; fewer are chosen where fewer are feasible.

    Raises:
        AnalysisError: If ``top`` is below 1, or no feasible trial has a measured objective; the message then shows the
            nearest trials, by their worst margin.
    """
    if top < 1:
        raise AnalysisError(f"--top must be at least 1, got {top}")
    primary = study.schema.primary
    values = study.objectives[primary.name]
    eligible = [int(row) for row in ranked(study) if study.feasible[row] and not np.isnan(values[row])]
    if not eligible:
        raise AnalysisError(_nothing_feasible(study))
    chosen = eligible[:top]
    direction = "largest" if primary.maximise else "smallest"
    document = {
        "schema_version": study.schema.version,
        "study": study.schema.study,
        "rule": f"{direction} {primary.name} among trials within every bound by estimate; of equals the earlier trial",
        "configurations": [_configuration(study, row) for row in chosen],
    }
    return Selection(document, tuple(int(study.trial[row]) for row in chosen), top)


def write_selection(selection: Selection, output: Path) -> None:
    """Write the selection to ``output``, whose folder is made if missing.

    Raises:
        OSError: If the file cannot be written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(selection.document, sort_keys=False, allow_unicode=True)
    output.write_text(f"# Use with: python -m study starting_points={output.name}\n{text}", encoding="utf-8")


def _configuration(study: Study, row: int) -> dict[str, Any]:
    return {
        "trial": int(study.trial[row]),
        "parameters": {name: column[row] for name, column in study.parameters.items() if column[row] is not None},
        "objectives": {name: float(values[row]) for name, values in study.objectives.items()},
        "constraints": {name: float(values[row]) for name, values in study.constraints.items()},
        "feasible": bool(study.feasible[row]),
        "outcome": study.outcome[row],
        "seed": study.seed[row],
    }


def _nothing_feasible(study: Study) -> str:
    primary = study.schema.primary
    if study.feasible.any():
        return (
            f"none of the {count(int(study.feasible.sum()), 'feasible trial')} has a measured {primary.name}, so none "
            "can be ranked; look at their errors with `python -m analysis report`"
        )
    margins = worst_margin(study)
    nearest = np.lexsort((study.trial, margins))[:NEAREST_SHOWN]
    lines = [
        f"  trial {study.trial[row]}: worst margin {number(float(margins[row]))}, beyond the bound of "
        f"{', '.join(plain(name) for name in failed_checks(study, int(row)))}; "
        f"{primary.name} {number(float(study.objectives[primary.name][row]))}"
        for row in nearest
    ]
    return (
        f"no trial of the {len(study)} is within every bound, so there is nothing to select. The nearest (smallest "
        "worst margin, in units of the checks' scales):\n"
        + "\n".join(lines)
        + "\nRun more trials, widen the search space, or "
        "state other bounds; `python -m analysis report` shows which checks stopped what"
    )
