"""Tables of the report, as HTML that is complete without any script."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from analysis.checks import CheckSummary, failed_checks, without_result
from analysis.controls import ControlSummary
from analysis.fronts import front_mask
from analysis.ranking import worst_margin
from analysis.records import Study
from analysis.schema import Objective
from analysis.strata import label, split, summarise
from analysis.summary import objective_interval
from analysis.words import (
    DASH,
    MINUS,
    OUTCOMES,
    VERDICTS,
    bound_text,
    constraint_text,
    direction_text,
    interval,
    metric_label,
    metric_unit,
    number,
    objective_unit,
    plain,
    share,
    short_label,
    unit_text,
    value_text,
)

MOST_ROWS = 100
"""Rows of the table of trials."""


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


def _chip(text: str, kind: str) -> str:
    return f'<span class="chip {kind}">{escape(text)}</span>'


def trial_button(trial: int) -> str:
    """Return a button that opens the panel of a trial."""
    return f'<button type="button" class="trial" data-trial="{trial}" title="Show trial {trial}">{trial}</button>'


def feasible_chip(feasible: bool) -> str:
    """Return the sign of feasibility: colour, symbol and word."""
    return _chip("\u25cf feasible", "good") if feasible else _chip("\u2297 infeasible", "bad")


def trials_table(study: Study, order: np.ndarray) -> str:
    """Return the best trials: feasible ones first, then the nearest misses."""
    margins, on_front = worst_margin(study), front_mask(study)
    silent = {name: without_result(study, name) for name in study.constraints}
    headers = [
        "Trial",
        "Feasible",
        "On the front",
        *(escape(plain(name.rpartition(".")[2])) for name in study.schema.strata),
    ]
    headers += [
        f"{escape(short_label(item))} <small>[{escape(objective_unit(item))}]<br>{direction_text(item)}</small>"
        for item in study.schema.objectives
    ]
    headers += ["Worst margin <small>[no unit]<br>within bounds at or below 0</small>", "Stopped by", "Outcome"]
    headers += ["Time <small>[s]</small>"]
    rows = []
    for row in order[:MOST_ROWS]:
        star = '<span title="not dominated by any feasible trial">\u2605 yes</span>' if on_front[row] else ""
        failed = _stopped_by(study, int(row), silent)
        cells = [trial_button(int(study.trial[row])), feasible_chip(bool(study.feasible[row])), star]
        cells += [escape(label(study, name, row)) for name in study.schema.strata]
        cells += [_estimate(study, item, int(row)) for item in study.schema.objectives]
        cells += [
            number(float(margins[row]) if study.constraints else None, 2),
            escape(failed),
            escape(plain(study.outcome[row])),
        ]
        cells += [f"{study.seconds[row]:.0f}" if np.isfinite(study.seconds[row]) else number(None)]
        rows.append(cells)
    return table("Trials, best first", headers, rows, classes="trials")


def _stopped_by(study: Study, row: int, silent: Mapping[str, NDArray[np.bool_]]) -> str:
    failed = failed_checks(study, row)
    missing = [name for name in failed if silent[name][row]]
    if missing and len(missing) == len(study.constraints):
        return "not measured"
    return ", ".join(metric_label(name) + (" (no result)" if name in missing else "") for name in failed)


def _estimate(study: Study, objective: Objective, row: int) -> str:
    spread = interval(*objective_interval(study, objective, row))
    return number(float(study.objectives[objective.name][row])) + (f" <small>{spread}</small>" if spread else "")


def configuration_table(study: Study, row: int) -> str:
    """Return the active parameters of one trial."""
    rows = []
    for name, column in study.parameters.items():
        if column[row] is not None:
            known = study.schema.parameters.get(name)
            unit = f" {known.unit}" if known is not None and unit_text(known.unit) != "no unit" else ""
            rows.append([f"<code>{escape(name)}</code>", escape(value_text(column[row]) + unit)])
    return table("Configuration", ["Parameter", "Value"], rows)


def strata_table(study: Study) -> str:
    """Return what each combination of strata achieved, or nothing where the study names none."""
    strata = study.schema.strata
    if not strata:
        return ""
    names = tuple(strata)
    groups = [(name,) for name in names] + ([names] if len(names) > 1 else [])
    rows = []
    for group in groups:
        for stratum in split(study, group):
            found = summarise(study, stratum)
            best = "" if found.best_trial is None else trial_button(found.best_trial)
            kind = " \u00b7 ".join(plain(name.rpartition(".")[2]) for name in group)
            counts = f"{found.feasible} <small>({share(found.feasible, found.trials)})</small>"
            value = number(found.best_value) if best else "none within every bound"
            rows.append(
                [
                    escape(kind),
                    escape(found.name),
                    str(found.trials),
                    counts,
                    value,
                    best,
                    number(found.nearest_margin if study.constraints else None, 2),
                ]
            )
    primary = study.schema.primary
    best_header = f"Best feasible {escape(short_label(primary))} <small>[{escape(objective_unit(primary))}]</small>"
    headers = [
        "Group",
        "Value",
        "Trials",
        "Feasible",
        best_header,
        "Trial",
        "Smallest worst margin <small>[no unit]</small>",
    ]
    return table("Families, secrets and their combinations", headers, rows)


def checks_table(study: Study, checks: tuple[CheckSummary, ...]) -> str:
    """Return every check with its adversaries: medians over trials, votes and verdicts."""
    rows = []
    for check in checks:
        height = f'rowspan="{max(1, len(check.members))}"'
        first, last = f"<td {height}>{_bound_cell(check)}</td>", f"<td {height}>{_counts_cell(check)}</td>"
        verdicts = " ".join(_chip(f"{VERDICTS[name]} {amount}", name) for name, amount in check.verdicts)
        for index, member in enumerate(check.members):
            cells = [first] if index == 0 else []
            cells.append(escape(plain(member.name.partition(".")[2])) or "single")
            numbers = (member.value, member.bound, member.baseline, member.chance, member.majority)
            cells += [number(value) for value in numbers]
            silent = f"no vote in {member.without_vote} of {len(study)}"
            cells.append(_chip(silent, "bad") if member.without_vote else "in all trials")
            cells += [last, f"<td {height}>{verdicts}</td>"] if index == 0 else []
            rows.append(cells)
        if not check.members:
            missing = '<td colspan="7">no metric of this name was recorded</td>'
            rows.append([first, missing, last, f"<td>{verdicts}</td>"])
    headers = ["Check and bound", "Adversary", "Estimate", "Bound", "Honest baseline", "Chance", "Majority", "Vote"]
    headers += ["Trials, by estimate", "Verdicts, by interval"]
    units = sorted({metric_unit(check.constraint.metric, study.schema) for check in checks})
    caption = f"Each check against its bound; medians over trials [{'; '.join(units)}]"
    return table(caption, headers, rows, classes="checks-table")


def _bound_cell(check: CheckSummary) -> str:
    constraint = check.constraint
    return f"<strong>{escape(metric_label(constraint.check))}</strong><br>{escape(constraint_text(constraint))}"


def _counts_cell(check: CheckSummary) -> str:
    alone = f"<br><small>{check.alone} by it alone</small>" if check.alone else ""
    missing = f"<br>{int(check.missing.sum())} without a result" if check.missing.any() else ""
    return f"{check.passed} within<br>{check.stopped} beyond{alone}{missing}"


def controls_table(controls: tuple[ControlSummary, ...]) -> str:
    """Return what each check was calibrated on, and the result."""
    rows = []
    for item in controls:
        result = (
            _chip("\u2713 passed", "good")
            if item.sound
            else _chip(f"\u2717 failed in {item.trials - item.passed}", "bad")
        )
        value = number(item.value_low)
        if item.value_high > item.value_low:
            value += f" to {number(item.value_high)}"
        rows.append(
            [
                escape(plain(item.check)),
                escape(plain(item.adversary)),
                escape(plain(item.control)),
                value,
                interval(item.low, item.high),
                escape(bound_text(item.required)),
                f"{item.passed} of {item.trials}",
                result,
            ]
        )
    headers = [
        "Check",
        "Adversary",
        "Known material",
        "Reading",
        "95 % limits over trials",
        "Required",
        "Passed in",
        "Result",
    ]
    return table("Controls: material with a known answer", headers, rows)


def outcomes_table(study: Study) -> str:
    """Return how the trials ended, with bars."""
    found = sorted(set(study.outcome), key=lambda name: -study.outcome.count(name))
    rows = []
    for name in found:
        amount = study.outcome.count(name)
        width = 100 * amount / len(study)
        bar = f'<span class="bar" style="width:{width:.1f}%"></span>'
        rows.append([f"<strong>{escape(plain(name))}</strong>", escape(OUTCOMES.get(name, "")), str(amount), bar])
    return table("How the trials ended", ["Outcome", "Meaning", "Trials", "Share"], rows, classes="outcomes")
