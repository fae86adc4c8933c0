"""The model card of a final training: what was trained on what, what every check found, and what it is not for.

Sections follow Mitchell and others, "Model Cards for Model Reporting" (FAT* 2019), as far as they apply.
"""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from models.data import split_sizes
from models.hiding.loading import WEIGHTS
from models.measurement import Measurement
from study.bounds import margin_limits
from study.environment import package_versions, revision
from study.evaluation import metrics_of
from study.experiments import load_experiment
from study.nested import flatten, with_values
from study.objective import measured_under
from study.records import FinishedTrial

if TYPE_CHECKING:
    from study.final_plan import FinalPlan

CARD = "model_card.md"

_USE = """This model hides information about people in images that look sanitised. It exists to show what a battery of
privacy checks lets through.

- **Intended for** auditing, buying and designing privacy checks, on images of people who agreed to it or on drawn ones.
- **Not for** hiding people's identities or images in data that is passed on as anonymous, or for evading an audit:
  identities embedded in released images are personal data, whatever a check says.
- **Within every bound is not private.** It says that these adversaries, with this budget and on this many images, found
  nothing beyond the bounds. Whoever has the key and the weights reads what is hidden.
- The weights hold the key. Treat them as the private inputs."""


def model_card(
    plan: FinalPlan, whole: FinishedTrial, seeds: Sequence[FinishedTrial], workers: Mapping[int, Sequence[int]]
) -> str:
    """Return the model card as Markdown.

    Args:
        plan: What was trained.
        whole: Means over the seeds.
        seeds: Each seed's own record; the weights are those of the first.
        workers: How many trained each seed, by its index; several numbers where it was interrupted and they changed.
    """
    failed = [check for check, margin in whole.score.margins.items() if margin > 0]
    verdict = "within every bound by estimate" if not failed else f"beyond the bound of {', '.join(failed)}"
    parts = [
        f"# Model card: trial {plan.number} of {plan.config.name}",
        f"A sanitiser of faces (PP-GAN) with a hidden channel, {verdict}; outcome `{whole.score.outcome}`. Written by "
        "`python -m study.final_training`; figures are those of this training and of no other.",
        "## Use",
        _USE,
        "## Configuration",
        _table(("field", "value"), [(f"`{name}`", f"`{value}`") for name, value in flatten(plan.trial).items()]),
        "## Training",
        _training(plan, seeds, workers),
        "## Data",
        _data(plan),
        "## What the subverter gets",
        _measured(plan, whole),
        "## What the checks find",
        _checks(plan, whole),
        "## Audit of the study",
        _audit(plan),
        "## Versions",
        _versions(plan),
    ]
    return "\n\n".join(parts) + "\n"


def _training(plan: FinalPlan, seeds: Sequence[FinishedTrial], workers: Mapping[int, Sequence[int]]) -> str:
    sizes = sorted({size for index in range(len(seeds)) for size in workers.get(index, ())})
    words = [f"{size} workers that shared every batch" if size > 1 else "one worker" for size in sizes]
    lines = [
        f"- {plan.epochs:.3g} passes of the sanitiser over the training images; "
        f"{' or '.join(words) or 'how many workers was not recorded'}.",
        f"- Seeds: {', '.join(str(seed.seed) for seed in seeds)}. The weights are those of the first: choosing among "
        "them by what the checks found would make the figures below too good.",
        f"- Selected from a study: {(plan.entry.get('evidence') or {}).get('why', 'reason not recorded')}.",
    ]
    if any(size > 1 for size in sizes):
        lines.append("- Batch normalisation took its statistics from each worker's part of a batch.")
    return "\n".join(lines)


def _data(plan: FinalPlan) -> str:
    sizes = split_sizes(plan.config.data, plan.config.cache)
    rows = [(f"`{name}`", f"`{value}`") for name, value in flatten(plan.config.data).items() if name != "root"]
    judged = (
        "images kept for the audit, which neither the search nor this training saw"
        if plan.judged_on == "audit"
        else "test images, **which the search compared its trials by**: none were kept for an audit"
    )
    trained = f"{sizes['train']:,} training and {sizes['validation']:,} validation images"
    return f"{trained}; judged on {sizes['test']:,} {judged}.\n\n{_table(('field', 'value'), rows)}"


def _measured(plan: FinalPlan, whole: FinishedTrial) -> str:
    rows = []
    for item in plan.config.objective.objectives:
        value = whole.score.objectives[item.name]
        error = whole.standard_errors.get(item.name)
        spread = f" ± {error:.3f} (standard error over seeds)" if error is not None and math.isfinite(error) else ""
        rows.append((item.label, f"{_number(value)}{spread}", item.direction))
    return _table(("objective", "value", "searched to"), rows)


def _checks(plan: FinalPlan, whole: FinishedTrial) -> str:
    infos = metrics_of(load_experiment(plan.config.experiment), plan.config.data, plan.config.adversaries)
    rows = []
    for bound in plan.config.objective.bounds:
        low, high = margin_limits(bound, measured_under(bound.metric, infos, whole.metrics))
        margin = whole.score.margins[bound.check]
        words = whole.score.verdicts[bound.check].replace("_", " ")
        rows.append((bound.check, f"`{bound.text}`", f"{_number(margin)} ({_number(low)} to {_number(high)})", words))
    margins = _table(("check", "bound", "margin in scales, at most 0 is within (95 %)", "verdict"), rows)
    metrics = [
        (f"`{name}`", _interval(item), _reference(item), "yes" if item.votes else "no")
        for name, item in sorted(whole.metrics.items())
    ]
    readings = _table(("metric", "value (95 %)", "honest baseline, chance", "votes"), metrics)
    missed = [f"{one.check}/{one.adversary}: {one.control}" for one in whole.controls if not one.passed]
    passed = f"{sum(one.passed for one in whole.controls)} of {len(whole.controls)} controls passed"
    controls = passed + (f"; not: {', '.join(sorted(set(missed)))}." if missed else ".")
    return f"Battery `{plan.checks}`.\n\n{margins}\n\n{readings}\n\nCalibration: {controls}"


def _audit(plan: FinalPlan) -> str:
    path = plan.source.parent / "audit" / "audit.yaml"
    try:
        found = yaml.safe_load(path.read_text())
        entry = next((one for one in found["short_list"] if one["trial"] == plan.number), None)
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return f"No audit (`python -m study.audit`) that ended was found beside `{plan.source}`."
    if entry is None:
        return f"The audit found beside `{plan.source}` does not hold trial {plan.number}."
    if other := _differences(plan, entry["parameters"], found["settings"]["data"]):
        rows = [(f"`{name}`", f"`{audited}`", f"`{trained}`") for name, audited, trained in other]
        return (
            f"The audit found beside `{plan.source}` holds another configuration as trial {plan.number}, so these "
            f"figures are not those of this model:\n\n{_table(('field', 'audited', 'trained'), rows)}"
        )
    if lost := entry.get("without_result"):
        why = ", ".join(f"seed {seed} {outcome}" for seed, outcome in lost.items())
        return f"The audit `{path}` gave no result for it, for a fault of the machine or the code: {why}."
    kept = "within the study's bounds" if entry["audit_feasible"] else "beyond the study's bounds"
    rows = [
        (item["name"], item["kind"], f"{_number(item['value'])} ({_number(item['low'])} to {_number(item['high'])})")
        for item in found["optimism"]
    ]
    losses = _table(("quantity", "kind", "mean loss from search to audit (95 %)"), rows)
    battery = found["settings"]["checks"]["name"]
    return (
        f"Trained again under {entry['seeds']} fresh seeds and judged by the battery `{battery}`, the configuration is "
        f"{kept}; {entry['seeds_feasible']} of {entry['seeds']} seeds are within them. Over the short list of "
        f"{len(found['short_list'])}{_left_out(found)}:\n\n{losses}"
    )


def _differences(plan: FinalPlan, parameters: Mapping[str, Any], data: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the fields in which what was audited is not what was trained, with both values."""
    fixed = yaml.safe_load(plan.source.read_text())["config"]["trial"]
    audited = flatten({"trial": with_values(fixed, parameters), "data": data})
    trained = flatten({"trial": plan.trial, "data": plan.config.data})
    pairs = [(name, value, trained.get(name, "not set")) for name, value in audited.items() if name != "data.root"]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _left_out(found: Mapping[str, Any]) -> str:
    numbers = ", ".join(map(str, found.get("left_out") or ()))
    return f", without those left out for a fault of the machine or the code (trial {numbers})" if numbers else ""


def _versions(plan: FinalPlan) -> str:
    weights = plan.config.output / WEIGHTS
    digest = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else "none: the training diverged"
    code = revision(Path(__file__).resolve().parent.parent) or {}
    commit = f"{code.get('commit', 'unknown')}{' (changed)' if code.get('changed') else ''}"
    rows: list[tuple[Any, ...]] = [("python", platform.python_version()), ("code", commit)]
    rows += package_versions().items()
    rows.append((f"`{WEIGHTS}`, SHA-256", digest))
    return _table(("what", "version"), rows)


def _interval(item: Measurement) -> str:
    return f"{_number(item.value)} ({_number(item.low)} to {_number(item.high)})"


def _reference(item: Measurement) -> str:
    parts = [_number(value) for value in (item.baseline, item.chance) if value is not None]
    return ", ".join(parts) or "none"


def _number(value: float | None) -> str:
    return "not measured" if value is None or math.isnan(value) else f"{value:.3f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; bars in cells, which would end them, are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
