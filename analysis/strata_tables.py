"""Tables of what each stratum achieved; HTML that is complete without any script."""

from html import escape

from analysis.records import Study
from analysis.strata import StratumSummary, best_first, split
from analysis.tables import table, trial_button
from analysis.words import metric_label, number, objective_unit, plain, share, short_label

MOST_ROWS = 60
"""Combinations listed; the rest are the ones that achieved least."""


def strata_tables(study: Study) -> str:
    """Return a table by single stratifying parameter and one of their combinations; nothing without strata."""
    names = study.strata
    if not names:
        return ""
    rows = [
        [escape(_kind((name,))), *_cells(study, found)]
        for name in names
        for found in best_first(study, split(study, (name,)))
    ]
    html = table(f"By {' and by '.join(_kind((name,)) for name in names)}", ["Group", *_headers(study)], rows)
    if len(names) == 1:
        return html
    combinations = best_first(study, split(study, names))
    caption = f"Every combination tried ({_kind(names)}), best first"
    html += table(caption, _headers(study), [_cells(study, found) for found in combinations[:MOST_ROWS]])
    rest = len(combinations) - MOST_ROWS
    return html + (f'<p class="note">{rest} further combinations achieved less.</p>' if rest > 0 else "")


def _kind(names: tuple[str, ...]) -> str:
    return " · ".join(plain(name.rpartition(".")[2]) for name in names)


def _headers(study: Study) -> list[str]:
    primary = study.schema.primary
    return [
        "Value",
        "Trials",
        "Feasible",
        f"Best feasible {escape(short_label(primary))} <small>[{escape(objective_unit(primary))}]</small>",
        "Trial",
        "Smallest worst margin <small>[no unit]</small>",
        "Stopped by <small>(trials)</small>",
    ]


def _cells(study: Study, found: StratumSummary) -> list[str]:
    stopped = ", ".join(f"{metric_label(check)} {times}" for check, times in found.stopped)
    return [
        escape(found.name),
        str(found.trials),
        f"{found.feasible} <small>({share(found.feasible, found.trials)})</small>",
        "none within every bound" if found.best_trial is None else number(found.best_value),
        "" if found.best_trial is None else trial_button(found.best_trial),
        number(found.nearest_margin if study.constraints else None, 2),
        escape(stopped),
    ]
