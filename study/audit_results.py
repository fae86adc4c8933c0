"""What an audit writes: ``audit.yaml`` with its settings and findings, ``optimism.parquet`` with every comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from study.audit_plan import AuditPlan
from study.config import ConfigError
from study.durable import write_text_durably
from study.environment import package_versions, revision
from study.evaluation import MetricInfo
from study.objective import ObjectiveConfig
from study.optimism import MARGIN, Comparison, MeanLoss, compare, mean_losses
from study.outcomes import Outcome
from study.records import SCHEMA_VERSION, FinishedTrial, write_table
from study.replicate_records import recorded_measurements
from study.short_list import Candidate

SETTINGS, OPTIMISM = "audit.yaml", "optimism.parquet"

AGAIN = (Outcome.PREEMPTED, Outcome.CRASHED, Outcome.OUT_OF_MEMORY)
"""Outcomes that say nothing of a configuration: such a seed is run again when the audit is."""

Audited = tuple[Candidate, FinishedTrial, list[FinishedTrial]]
"""A configuration, the audit's record of it, and those of its seeds."""


def require_same(plan: AuditPlan) -> None:
    """Refuse to mix audits: what is recorded in the folder must have been judged in the same way.

    Raises:
        ConfigError: If it was not, with what differs.
    """
    path = plan.config.output / SETTINGS
    if not path.exists():
        return
    try:
        earlier = yaml.safe_load(path.read_text())["settings"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}); move it away, or give --output"]) from None
    now = _settings(plan)
    different = [name for name in now if earlier.get(name) != now[name]]
    if different:
        raise ConfigError(
            [f"{path}: that audit had another {name}; write this one elsewhere with --output DIR" for name in different]
        )


def write_settings(plan: AuditPlan) -> None:
    """Write ``audit.yaml`` before anything is run, so that a later run knows what is recorded here."""
    path = plan.config.output / SETTINGS
    if not path.exists():
        _write(plan, {})


def write_results(plan: AuditPlan, infos: Mapping[str, MetricInfo], audited: Sequence[Audited]) -> list[str]:
    """Write what the audit found and return it in lines for people.

    A configuration of which a seed ended in one of :data:`AGAIN` is left out of counts and losses, and named.
    """
    comparisons = [
        item
        for one, trial, seeds in audited
        if not _without_result(seeds)
        for item in compare(
            plan.searched, infos, one.number, recorded_measurements(one.row), _margins(plan, one), trial
        )
    ]
    losses = mean_losses(comparisons)
    _write_comparisons(plan, comparisons)
    held_out = _held_out(plan, [trial for _, trial, _ in audited])
    short_list = [_summary(plan.searched, one, trial, seeds) for one, trial, seeds in audited]
    feasible = [item for item in short_list if item["search_feasible"] and not item["without_result"]]
    found = {
        "held_out": held_out,
        "short_list": short_list,
        "left_out": [item["trial"] for item in short_list if item["without_result"]],
        "feasible_in_search": len(feasible),
        "of_them_not_in_audit": sum(not item["audit_feasible"] for item in feasible),
        "of_them_not_by_the_whole_battery": sum(not item["audit_feasible_by_all_checks"] for item in feasible),
        "optimism": [_stated(item) for item in losses],
    }
    _write(plan, found)
    return _lines(plan, found, losses)


def _settings(plan: AuditPlan) -> dict[str, Any]:
    bounds = {bound.check: bound.text for bound in plan.config.objective.bounds}
    checks = {"name": plan.checks, "adversaries": plan.config.adversaries, "bounds": bounds}
    settings = {"study": plan.config.name, "checks": checks, "data": plan.config.data, "seed": plan.config.seed}
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _write(plan: AuditPlan, found: Mapping[str, Any]) -> None:
    document = {
        "schema_version": SCHEMA_VERSION,
        "settings": _settings(plan),
        "seeds": plan.seeds,
        "packages": package_versions(),
        "revision": revision(Path(__file__).resolve().parent.parent),
        **found,
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    write_text_durably(plan.config.output / SETTINGS, f"# Written by python -m study.audit.\n{text}")


def _write_comparisons(plan: AuditPlan, comparisons: Sequence[Comparison]) -> None:
    metadata = {"study": json.dumps({"schema_version": SCHEMA_VERSION, "kind": "optimism", "study": plan.config.name})}
    rows = [item.row() for item in comparisons]
    numbers = [(f"{part}{end}", pa.float64()) for part in ("search", "audit", "loss") for end in ("", "_low", "_high")]
    columns = [("trial", pa.int64()), ("kind", pa.string()), ("name", pa.string()), *numbers]
    write_table(pa.Table.from_pylist(rows, pa.schema(columns, metadata)), plan.config.output / OPTIMISM)


def _held_out(plan: AuditPlan, trials: Sequence[FinishedTrial]) -> list[str]:
    """Return what was measured in the audit and never in the search."""
    names = {name for trial in trials for name, item in trial.metrics.items() if item.measured}
    return sorted(names - plan.measured)


def _margins(plan: AuditPlan, one: Candidate) -> dict[str, float]:
    return {bound.check: one.row[f"constraint.{bound.check}"] for bound in plan.searched.bounds}


def _summary(
    searched: ObjectiveConfig, one: Candidate, trial: FinishedTrial, seeds: Sequence[FinishedTrial]
) -> dict[str, Any]:
    def kept(judged: FinishedTrial) -> bool:
        values = [judged.score.objectives[item.name] for item in searched.searched]
        within = all(judged.score.margins[bound.check] <= 0 for bound in searched.bounds)
        return within and not any(map(math.isnan, values))

    return {
        "trial": one.number,
        "parameters": one.parameters,
        "search_feasible": bool(one.row["feasible"]),
        "audit_feasible": kept(trial),
        "audit_feasible_by_all_checks": trial.score.feasible,
        "seeds": len(seeds),
        "seeds_feasible": sum(kept(seed) for seed in seeds),
        "without_result": _without_result(seeds),
        "outcomes": [str(seed.score.outcome) for seed in seeds],
        "beyond": [check for check, margin in trial.score.margins.items() if margin > 0],
    }


def _without_result(seeds: Sequence[FinishedTrial]) -> dict[int, str]:
    """Return the seeds that ended by a fault of the machine or the code, with their outcomes."""
    return {index: str(seed.score.outcome) for index, seed in enumerate(seeds) if seed.score.outcome in AGAIN}


def _stated(item: MeanLoss) -> dict[str, Any]:
    return {"kind": item.kind, "name": item.name, "configurations": item.configurations, **asdict(item.loss)}


def _lines(plan: AuditPlan, found: Mapping[str, Any], losses: Sequence[MeanLoss]) -> list[str]:
    checks = ", ".join(found["held_out"])
    lines = [
        f"held out from the search: {checks}"
        if checks
        else f"no adversary was held out: the battery ({plan.checks}) measures what the search measured"
    ]
    for one in found["short_list"]:
        if one["without_result"]:
            why = ", ".join(f"seed {seed} {outcome}" for seed, outcome in one["without_result"].items())
            lines.append(f"trial {one['trial']} is left out of all that follows, which is no finding on it: {why}")
    lines += [
        f"of {found['feasible_in_search']} configurations that the search took for feasible, "
        f"{found['of_them_not_in_audit']} are not by the study's checks, "
        f"{found['of_them_not_by_the_whole_battery']} not by the whole battery",
        "mean loss from search to audit, positive where the search was too optimistic (95 % interval):",
    ]
    for item in losses:
        unit = "margin, in scales" if item.kind == MARGIN else "objective"
        value = f"{item.loss.value:+.3f} ({item.loss.low:+.3f} to {item.loss.high:+.3f})"
        stated = value if item.configurations else "not measured"
        lines.append(f"  {item.name} ({unit}): {stated}")
    return lines
