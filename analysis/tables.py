"""Tables of trials, as HTML that is complete without any script; ``check_tables`` has those of checks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from analysis.checks import failed_checks, without_result
from analysis.fronts import front_mask
from analysis.ranking import total_violation
from analysis.records import Study
from analysis.schema import Objective
from analysis.seeds import spread_text
from analysis.strata import label
from analysis.summary import objective_interval
from analysis.words import (
    DASH,
    MINUS,
    direction_text,
    interval,
    metric_label,
    number,
    objective_unit,
    plain,
    short_label,
    unit_text,
    value_text,
)

MOST_ROWS = 100
"""Rows of the table of trials, without any script."""
NEAREST = 5
"""Rows of the table of near misses."""


def table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[str]], *, classes: str = "") -> str:
    """Put cells into a table; cells and headers are HTML already, ``caption`` is text."""
    head = "".join(f'<th scope="col">{header}</th>' for header in headers)
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{classes}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: str) -> str:
    if cell.startswith("<td"):
        return cell
    numeric = cell[:1].isdigit() or cell[:1] in (MINUS, DASH)
    return f'<td class="number">{cell}</td>' if cell and numeric else f"<td>{cell}</td>"


def chip(text: str, kind: str) -> str:
    """Return a short text on a coloured ground; ``kind`` is a class of the style sheet."""
    return f'<span class="chip {kind}">{escape(text)}</span>'


def trial_button(trial: int) -> str:
    """Return a button that opens the panel of a trial."""
    return f'<button type="button" class="trial" data-trial="{trial}" title="Show trial {trial}">{trial}</button>'


def feasiblechip(feasible: bool) -> str:
    """Return the sign of feasibility: colour, symbol and word."""
    return chip("\u25cf feasible", "good") if feasible else chip("\u2297 infeasible", "bad")


def trials_table(study: Study, order: np.ndarray) -> str:
    """Return the best trials: feasible ones first, then the nearest misses; scripts sort and filter it."""
    on_front = front_mask(study)
    silent = {name: without_result(study, name) for name in study.constraints}
    several = bool((study.replicates > 1).any())
    kinds = {"trial": "Trial", "picture": "Faces", "feasible": "Feasible", "probability": "Probability of feasibility"}
    kinds["front"] = "On the front"
    kinds |= {f"stratum:{name}": escape(plain(name.rpartition(".")[2])) for name in study.strata}
    for index, item in enumerate(study.schema.objectives):
        unit = f"{escape(objective_unit(item))}]<br>{direction_text(item)}"
        kinds[f"objective{index}"] = f"{escape(short_label(item))} <small>[{unit}</small>"
    kinds["violation"] = "Total violation <small>[no unit]<br>0 is within bounds</small>"
    kinds |= {"stopped": "Stopped by", "outcome": "Outcome"} | ({"seeds": "Seeds"} if several else {})
    kinds["seconds"] = "Time <small>[s]</small>"
    violation = total_violation(study)
    rows = []
    for row in order[:MOST_ROWS]:
        star = '<span title="not dominated by any feasible trial">\u2605 yes</span>' if on_front[row] else ""
        cells = [trial_button(int(study.trial[row])), "", feasiblechip(bool(study.feasible[row])), "", star]
        cells += [escape(label(study, name, row)) for name in study.strata]
        cells += [_estimate(study, item, int(row)) for item in study.schema.objectives]
        cells += [
            number(float(violation[row]) if study.constraints else None, 2),
            escape(_stopped_by(study, int(row), silent)),
            escape(plain(study.outcome[row])),
        ]
        cells += [str(study.replicates[row])] * several
        cells += [f"{study.seconds[row]:.0f}" if np.isfinite(study.seconds[row]) else number(None)]
        rows.append(cells)
    html = table("Trials, best first", list(kinds.values()), rows, classes="trials")
    for kind, title in kinds.items():
        html = html.replace(
            f'<th scope="col">{title}</th>', f'<th scope="col" data-kind="{escape(kind)}">{title}</th>', 1
        )
    columns = escape(json.dumps(list(kinds)))
    return html.replace("<table ", f'<table id="trials-table" data-columns="{columns}" ', 1)


def nearest_table(study: Study) -> str:
    """Return the trials nearest to being within the bounds, by the sum of their violations, smallest first."""
    total = total_violation(study)
    silent = {name: without_result(study, name) for name in study.constraints}
    rows = []
    for row in np.lexsort((study.trial, total))[:NEAREST]:
        margins = [
            f"{number(float(margin[row]), 2)}" + (" (no result)" if silent[name][row] else "")
            for name, margin in study.constraints.items()
        ]
        cells = [trial_button(int(study.trial[row])), f"<strong>{number(float(total[row]), 2)}</strong>", *margins]
        cells += [_estimate(study, study.schema.primary, int(row))]
        rows.append(cells)
    headers = ["Trial", "Total violation", *(escape(metric_label(name)) for name in study.constraints)]
    headers += [escape(short_label(study.schema.primary))]
    return table(
        "No trial is within every bound. The nearest, by the sum of their margins above 0 (margins in units of the "
        "checks' scales)",
        headers,
        rows,
    )


def _stopped_by(study: Study, row: int, silent: Mapping[str, NDArray[np.bool_]]) -> str:
    failed = failed_checks(study, row)
    missing = [name for name in failed if silent[name][row]]
    if missing and len(missing) == len(study.constraints):
        return "not measured"
    return ", ".join(metric_label(name) + (" (no result)" if name in missing else "") for name in failed)


def _estimate(study: Study, objective: Objective, row: int) -> str:
    spread = interval(*objective_interval(study, objective, row))
    value = number(float(study.objectives[objective.name][row])) + spread_text(study, objective.name, row)
    return value + (f" <small>{spread}</small>" if spread else "")


def configuration_table(study: Study, row: int) -> str:
    """Return the active parameters of one trial."""
    rows = []
    for name, column in study.parameters.items():
        if column[row] is not None:
            known = study.schema.parameters.get(name)
            unit = f" {known.unit}" if known is not None and unit_text(known.unit) != "no unit" else ""
            rows.append([f"<code>{escape(name)}</code>", escape(value_text(column[row]) + unit)])
    return table("Configuration", ["Parameter", "Value"], rows)
