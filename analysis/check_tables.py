"""Tables of checks, of what calibrated them, and of how trials ended; HTML that is complete without any script."""

import math
from html import escape

from analysis.checks import CheckSummary
from analysis.controls import ControlSummary
from analysis.records import Study
from analysis.tables import chip, table
from analysis.words import (
    OUTCOMES,
    VERDICTS,
    bound_text,
    constraint_text,
    interval,
    metric_label,
    metric_unit,
    number,
    plain,
)


def checks_table(study: Study, checks: tuple[CheckSummary, ...]) -> str:
    """Return every check with its adversaries: medians over trials, votes and verdicts."""
    rows = []
    for check in checks:
        height = f'rowspan="{max(1, len(check.members))}"'
        first, last = f"<td {height}>{_bound_cell(check)}</td>", f"<td {height}>{_counts_cell(check)}</td>"
        verdicts = " ".join(chip(f"{VERDICTS[name]} {amount}", name) for name, amount in check.verdicts)
        found = _power_cell(check)
        for index, member in enumerate(check.members):
            cells = [first] if index == 0 else []
            cells.append(escape(plain(member.name.partition(".")[2])) or "single")
            numbers = (member.value, member.bound, member.baseline, member.chance, member.majority)
            cells += [number(value) for value in numbers]
            silent = f"no vote in {member.without_vote} of {len(study)}"
            cells.append(chip(silent, "bad") if member.without_vote else "in all trials")
            cells += [last, f"<td {height}>{verdicts}</td>", f"<td {height}>{found}</td>"] if index == 0 else []
            rows.append(cells)
        if not check.members:
            missing = '<td colspan="7">no metric of this name was recorded</td>'
            rows.append([first, missing, last, f"<td>{verdicts}</td>", f"<td>{found}</td>"])
    headers = ["Check and bound", "Adversary", "Estimate", "Bound", "Honest baseline", "Chance", "Majority", "Vote"]
    headers += ["Trials, by estimate", "Verdicts, by interval", "Would have found"]
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


def _power_cell(check: CheckSummary) -> str:
    """Say from which leak on a check would have answered, and how, with 95 % probability."""
    if math.isnan(check.violation):
        return "not known"
    bound = check.constraint.bound
    sign = "\u2264" if bound is not None and bound.reference is None and check.constraint.sense == ">=" else "\u2265"
    where = f" beyond {bound.reference}" if bound is not None and bound.reference else ""
    none = "nothing passes" if check.withheld == 0 else f"no pass {sign} {number(check.withheld)}"
    return f"{none}<br>violation {sign} {number(check.violation)}{where}"


def controls_table(controls: tuple[ControlSummary, ...]) -> str:
    """Return what each check was calibrated on, and the result."""
    rows = []
    for item in controls:
        result = (
            chip("\u2713 passed", "good")
            if item.sound
            else chip(f"\u2717 failed in {item.trials - item.passed}", "bad")
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
