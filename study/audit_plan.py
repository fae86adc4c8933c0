"""What an audit will do, decided and checked before anything expensive: short list, battery, images, seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.data.splits import AUDIT
from models.randomness import derive_seed
from study.compose import SEARCH_SPACES, compose_config, groups
from study.config import ConfigError, StudyConfig
from study.earlier_study import read_earlier_study
from study.evaluation import metrics_of
from study.experiments import load_experiment
from study.objective import ObjectiveConfig, read_objective
from study.resume import resumed_config
from study.short_list import Candidate, best_trials, selected_trials

THOROUGH = "thorough"
"""Battery of an audit, where there is one for the experiment."""
THOROUGH_FOR = ("subverted_ppgan",)
"""Experiments that it is made for."""
FOLDER = "audit"
"""Where an audit is written, in the study folder."""
OWN_CHECKS = "the study's own"


@dataclass(frozen=True)
class AuditPlan:
    """An audit, resolved and checked."""

    study: Path
    """The study folder."""
    config: StudyConfig
    """The study's, with the audit's folder, battery, bounds and images."""
    searched: ObjectiveConfig
    """Objectives and bounds of the study; the audit's battery may have further bounds."""
    short_list: tuple[Candidate, ...]
    seeds: int
    """Fresh seeds of each configuration, >= 1."""
    checks: str
    """Name of the battery."""
    measured: frozenset[str]
    """Metrics that the search measured in some trial, by the names of their columns."""

    def fresh_seeds(self, number: int, seed: int) -> tuple[int, int]:
        """Return the seed of one training, and that of all that configurations share under this audit seed."""
        own = derive_seed(self.config.seed, "audit", number, seed) % 2**31
        return own, derive_seed(self.config.seed, "audit", seed) % 2**31


def plan_audit(
    folder: Path,
    *,
    top: int,
    selected: Path | None,
    seeds: int,
    output: Path | None,
    overrides: Sequence[str] = (),
    tree: Path = SEARCH_SPACES,
) -> AuditPlan:
    """Decide what an audit does.

    Args:
        folder: The study folder.
        top: Best feasible trials to audit; not used with ``selected``.
        selected: A ``best.yaml`` of the study.
        seeds: Fresh seeds of each configuration.
        output: Where to write; None: ``audit`` in the study folder.
        overrides: ``checks=NAME`` and fields of it; and what may change when a study is resumed.
        tree: The Hydra tree.

    Raises:
        ConfigError: If anything is wrong; names every problem found.
    """
    own = [override for override in overrides if override.lstrip("+~").startswith("checks")]
    config = resumed_config(folder, [override for override in overrides if override not in own], tree)
    study = read_earlier_study(folder, "DIR")
    problems = [] if seeds >= 1 else [f"--seeds {seeds}: must be a whole number >= 1"]
    data = _judged_on_audit(config.data, problems)
    checks, name = battery(config, own, tree, problems)
    objective = with_bounds(config, checks.get("bounds") or {}, problems)
    experiment = load_experiment(config.experiment)
    problems += experiment.config_problems(data, checks["adversaries"])
    if problems:
        raise ConfigError(problems)
    short_list = selected_trials(study, config, selected) if selected else best_trials(study, config, top)
    audited = replace(
        config,
        output=(output or folder / FOLDER).absolute(),
        data=data,
        adversaries=checks["adversaries"],
        objective=objective,
        replicates=seeds,
        budget=replace(config.budget, trials=len(short_list)),
    )
    flags = {name for row in study.rows for name, value in row.items() if name.endswith(".votes") and value is not None}
    values = (flag.removesuffix(".votes") for flag in flags)
    measured = frozenset(
        value.removeprefix("metric.") for value in values if any(_finite(row.get(value)) for row in study.rows)
    )
    return AuditPlan(folder, audited, config.objective, tuple(short_list), seeds, name, measured)


def _judged_on_audit(data: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the ``data`` group with the images that are kept for an audit in the place of the test images."""
    if not data:
        return {}  # an experiment without images has none to keep
    split = data.get("split")
    if not isinstance(split, Mapping) or not split.get("audit"):
        problems.append(
            "data.split.audit: this study kept no images for an audit, so there are none that its search never saw; "
            "run a study with data.split.audit=0.1"
        )
        return dict(data)
    return {**data, "split": {**split, "judged": AUDIT}}


def battery(
    config: StudyConfig, overrides: Sequence[str], tree: Path, problems: list[str]
) -> tuple[dict[str, Any], str]:
    """Return the ``checks`` group of the audit and its name."""
    named = [override.removeprefix("checks=") for override in overrides if override.startswith("checks=")]
    there = THOROUGH in groups(tree).get("checks", [])
    name = named[-1] if named else THOROUGH if there and config.experiment in THOROUGH_FOR else ""
    if not name and not overrides:
        return {"adversaries": config.adversaries, "bounds": {}}, OWN_CHECKS
    composed = compose_config(
        [f"checks={name or 'default'}", *(item for item in overrides if not item.startswith("checks="))], tree
    )
    problems += [problem for problem in composed.problems if "checks" in problem]
    group = composed.values.get("checks") or {}
    return {"adversaries": dict(group.get("adversaries") or {}), "bounds": group.get("bounds") or {}}, name


def with_bounds(config: StudyConfig, bounds: Mapping[str, Any], problems: list[str]) -> ObjectiveConfig:
    """Return the study's objectives and bounds, with the bounds of checks that only the audit's battery has."""
    infos = metrics_of(load_experiment(config.experiment), config.data)
    own = {bound.check for bound in config.objective.bounds}
    more = {check: bound for check, bound in bounds.items() if check not in own}
    added = read_objective(config.resolved["objective"], more, infos, problems).bounds
    together = sorted([*config.objective.bounds, *added], key=lambda bound: bound.check)
    return replace(config.objective, bounds=tuple(together))


def _finite(value: Any) -> bool:
    return isinstance(value, float) and value == value
