"""What a study found, in words: the first thing a reader sees, and therefore the most careful.

"Within its bound" is said of estimates, which the search works with; "verdict" only of judgements from intervals.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from analysis.checks import CheckSummary, Voteless, failed_checks, summarise_checks, voteless
from analysis.ranking import best_feasible, ranked, total_violation
from analysis.records import Floats, Study
from analysis.schema import Objective
from analysis.strata import best_first, label, split
from analysis.words import VERDICTS, count, interval, listing, metric_label, number, plain, share, spoken


@dataclass(frozen=True)
class Tile:
    """One figure worth a glance."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Alert:
    """Something a reader must know before believing the rest."""

    title: str
    text: str


@dataclass(frozen=True)
class Summary:
    """The head of the report."""

    lead: str
    details: tuple[str, ...]
    tiles: tuple[Tile, ...]
    alerts: tuple[Alert, ...]


def guess_value(study: Study) -> float:
    """Return what anyone can reach in the first objective without the secret; NaN where the records do not say."""
    primary = study.schema.primary
    known = [
        column.baseline for column in study.members(primary.metric).values() if not np.isnan(column.baseline).all()
    ]
    return float(np.nanmedian(np.stack(known))) if known else float("nan")


def objective_intervals(study: Study, objective: Objective) -> tuple[Floats, Floats]:
    """Return the lower and upper ends of the 95 % interval of an objective, (trials,) each; NaN where there is none.

    They are those of the voting member whose value the objective is.
    """
    values = study.objectives[objective.name]
    low, high = np.full(len(study), np.nan), np.full(len(study), np.nan)
    open_still = np.ones(len(study), dtype=bool)
    for column in study.members(objective.metric).values():
        own = open_still & column.votes & (column.value == values)
        low[own], high[own] = column.low[own], column.high[own]
        open_still &= ~own
    return low, high


def objective_interval(study: Study, objective: Objective, row: int) -> tuple[float, float]:
    """Return the 95 % interval of an objective in one trial, (NaN, NaN) if there is none."""
    low, high = objective_intervals(study, objective)
    return float(low[row]), float(high[row])


def summarise(study: Study) -> Summary:
    """Say what the study found."""
    checks, silent = summarise_checks(study), voteless(study)
    best = best_feasible(study)
    details = [_counts(study), _stoppers(checks), _by_channel(study), _unchecked(study, best), _verdicts(study, best)]
    return Summary(
        lead=_lead(study, best),
        details=tuple(text for text in details if text),
        tiles=_tiles(study, best, checks, silent),
        alerts=_alerts(study, checks, silent),
    )


def _name(study: Study, row: int) -> str:
    strata = ", ".join(label(study, name, row) for name in study.strata)
    return f"trial {study.trial[row]}" + (f" ({strata})" if strata else "")


def _lead(study: Study, best: int | None) -> str:
    primary, guess = study.schema.primary, guess_value(study)
    if best is None:
        if np.isnan(study.objectives[primary.name]).all():
            ends = [f"{amount} {plain(outcome)}" for outcome, amount in Counter(study.outcome).most_common()]
            return f"No trial gave a result, so nothing can be said about the checks: {listing(ends)}."
        nearest = int(ranked(study)[0])
        failed = listing([metric_label(name) for name in failed_checks(study, nearest)])
        if not failed:
            return f"No trial within every bound has a measured {spoken(primary)}, so there is nothing to compare."
        return (
            f"No trial stayed within every bound. The nearest is {_name(study, nearest)}: beyond the bound of "
            f"{failed}, with a total violation of {number(float(total_violation(study)[nearest]))} (the sum of its "
            "margins above 0)."
        )
    value = float(study.objectives[primary.name][best])
    low, high = objective_interval(study, primary, best)
    spread = f" (95 % interval {interval(low, high)})" if interval(low, high) else ""
    stated = f"{spoken(primary)} {number(value)}{spread}"
    if np.isnan(guess):
        return f"Within every bound, the search found {stated}: {_name(study, best)}."
    against = f"{number(guess)} {_guess_words(study)}"
    beyond = low > guess if primary.maximise else high < guess
    if np.isnan(low):
        beyond = value > guess if primary.maximise else value < guess
    if not beyond:
        return (
            f"Nothing within the bounds beats a guess: the best trial within every bound reaches "
            f"{stated}, against {against}."
        )
    return f"The best trial within every bound reaches {stated}, against {against}: {_name(study, best)}."


def _guess_words(study: Study) -> str:
    if study.schema.primary.metric == "reconstruction_ssim":
        return "for the mean training face, which anyone can guess"
    return "that anyone can guess"


def _counts(study: Study) -> str:
    measured = int((~np.isnan(study.objectives[study.schema.primary.name])).sum())
    without = len(study) - measured
    rest = f"; {count(without, 'trial')} gave no measured {spoken(study.schema.primary)}" if without else ""
    feasible = int(study.feasible.sum())
    return (
        f"{count(len(study), 'trial')} finished; {feasible} ({share(feasible, len(study))}) "
        f"{'is' if feasible == 1 else 'are'} within every bound by estimate{rest}."
    )


def _stoppers(checks: tuple[CheckSummary, ...]) -> str:
    if not checks:
        return "The study has no check, so every finished trial counts as feasible."
    stopping = sorted((item for item in checks if item.stopped), key=lambda item: -item.stopped)
    idle = [metric_label(item.constraint.check) for item in checks if not item.stopped]
    parts = [
        f"{metric_label(item.constraint.check)} {item.stopped}" + (f" ({item.alone} by it alone)" if item.alone else "")
        for item in stopping
    ]
    text = f"Trials stopped, by check: {listing(parts)}." if parts else "No check stopped any trial."
    text += f" {listing(idle)} stopped none." if parts and idle else ""
    unsaid = [
        f"{metric_label(item.constraint.check)} {int(item.missing.sum())}" for item in checks if item.missing.any()
    ]
    return text + (f" Without a result, and counted as violated: {listing(unsaid)}." if unsaid else "")


def _by_channel(study: Study) -> str:
    """Say what each channel let through, where the trials had several."""
    channels = [name for name in study.strata if name.rpartition(".")[2] == "channel"]
    if not channels:
        return ""
    found = best_first(study, split(study, tuple(channels)))
    through = [f"{item.name} {number(item.best_value)}" for item in found if item.best_trial is not None]
    none = [item.name for item in found if item.best_trial is None]
    text = f"Best {spoken(study.schema.primary)} within every bound, by channel: {listing(through)}." if through else ""
    return text + (f" No trial within every bound: {listing(none)}." if none else "")


def _unchecked(study: Study, best: int | None) -> str:
    primary = study.schema.primary
    values = study.objectives[primary.name]
    if best is None or not np.isfinite(values).any():
        return ""
    top = int(np.nanargmax(values if primary.maximise else -values))
    if study.feasible[top]:
        return f"No trial beyond a bound did better: the checks cost no {spoken(primary)} here."
    return (
        f"Had nobody checked, it would have been {number(float(values[top]))} ({_name(study, top)}): the checks cost "
        f"{number(abs(float(values[top] - values[best])))}."
    )


def _verdicts(study: Study, best: int | None) -> str:
    if best is None or not study.verdicts:
        return ""
    found = {check: verdicts[best] for check, verdicts in study.verdicts.items()}
    parts = [f"{metric_label(check)}: {VERDICTS.get(verdict, verdict)}" for check, verdict in found.items()]
    unsure = any(verdict != "pass" for verdict in found.values())
    rest = " Until each is a pass, being within the bounds is an estimate and no proof." if unsure else ""
    return f"Verdicts by interval on trial {study.trial[best]}: {'; '.join(parts)}.{rest}"


def _tiles(
    study: Study, best: int | None, checks: tuple[CheckSummary, ...], silent: tuple[Voteless, ...]
) -> tuple[Tile, ...]:
    primary, feasible = study.schema.primary, int(study.feasible.sum())
    guess = guess_value(study)
    against = "" if np.isnan(guess) else f"{number(guess)} {_guess_words(study)}"
    if best is None:
        first = Tile(f"Best feasible {spoken(primary)}", "none", "no trial within every bound")
    else:
        low, high = objective_interval(study, primary, best)
        spread = interval(low, high)
        notes = [f"95 % interval {spread}" if spread else "", against]
        value = number(float(study.objectives[primary.name][best]))
        first = Tile(f"Best feasible {spoken(primary)}", value, "; ".join(note for note in notes if note))
    strictest = max(checks, key=lambda item: item.stopped, default=None)
    tiles = [
        first,
        Tile(
            "Feasible trials",
            f"{feasible} of {len(study)}",
            f"{share(feasible, len(study))} within every bound, by estimate",
        ),
    ]
    if strictest is not None and strictest.stopped:
        alone = f"{strictest.alone} of them by it alone"
        tiles.append(
            Tile("Strictest check", metric_label(strictest.constraint.check), f"stopped {strictest.stopped}, {alone}")
        )
    bound = [item for item in silent if item.bound]
    if not study.controls:
        note = "no controls were recorded"
    elif silent:
        note = "a control failed; see the warning" if bound else "of those that a bound rests on"
    else:
        note = "every adversary with a bound kept its vote"
    tiles.append(Tile("Adversaries without a vote", str(len(bound)), note))
    return tuple(tiles)


def _alerts(study: Study, checks: tuple[CheckSummary, ...], silent: tuple[Voteless, ...]) -> tuple[Alert, ...]:
    alerts = []
    for item in silent:
        where = "every trial" if item.trials == item.of else f"{item.trials} of {count(item.of, 'trial')}"
        effect = (
            "With no voting adversary left, its check counts as violated there."
            if item.check_silent and item.bound
            else "What it read takes part in no margin and no verdict there."
        )
        rests = "" if item.bound else " No bound rests on it."
        alerts.append(
            Alert(
                f"No vote: {metric_label(item.name)}", f"A control of this adversary failed in {where}. {effect}{rests}"
            )
        )
    if not checks:
        alerts.append(
            Alert("No checks", "This study was run without any bound; nothing here says what a check would notice.")
        )
    if not study.finished_writing:
        budget = f" of {study.schema.budget:,}" if study.schema.budget else ""
        recorded = f"it shows the {count(len(study), 'trial')}{budget} recorded so far"
        alerts.append(
            Alert("Unfinished study", f"When this report was made, the study was running or interrupted: {recorded}.")
        )
    alerts += [Alert("Records", warning) for warning in study.warnings]
    return tuple(alerts)
