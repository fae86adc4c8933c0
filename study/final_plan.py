"""What a final training will do, decided and checked before anything expensive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from models.data import split_sizes
from models.data.splits import AUDIT
from models.randomness import derive_seed
from study.audit_plan import battery, with_bounds
from study.compose import SEARCH_SPACES
from study.config import ConfigError, StudyConfig, read_config
from study.experiments import load_experiment
from study.nested import flatten, near_misses, with_values
from study.remote import folder_problems
from study.resume import recompose
from study.search import trial_seed

EXPERIMENT = "subverted_ppgan"
"""The experiment whose training final training knows."""

OWN = ("best", "trial_number", "epochs", "seeds", "workers", "output")
"""Arguments of final training itself; all others override the configuration of the study."""

PROPORTIONAL = (
    "stage_one.steps",
    "subversion.codec_steps",
    "subversion.learned.epochs",
    "subversion.learned.fine_tune_epochs",
    "subversion.sampled.steps",
)
"""Lengths that ``epochs`` changes in the same proportion."""


@dataclass(frozen=True)
class FinalPlan:
    """A final training, resolved and checked."""

    config: StudyConfig
    """The study's, with the folder, the battery and the images of this training."""
    number: int
    """Trial of the study that was selected."""
    parameters: dict[str, Any]
    """Its parameters by dotted name."""
    trial: dict[str, Any]
    """Complete nested configuration, lengths changed where ``epochs`` was given."""
    seed: int
    """The trial's own seed, which is the first training's."""
    seeds: int
    workers: int
    """Workers that share each batch; 0: as many as there are GPUs, else one."""
    epochs: float
    """Passes over the training images of the sanitiser's training."""
    entry: Mapping[str, Any]
    """What the selection says of the configuration."""
    source: Path
    """The file it came from."""
    checks: str
    """Name of the battery."""

    def seeds_of(self, index: int) -> tuple[int, int]:
        """Return the seed of training ``index`` and that of its sanitiser and baseline; of the first, the trial's."""
        if index == 0:
            return self.seed, self.config.seed
        own = derive_seed(self.config.seed, "final", self.number, index) % 2**31
        return own, derive_seed(self.config.seed, "final", index) % 2**31

    @property
    def judged_on(self) -> str:
        """The part of the data that the checks judge: "audit", or "test" where no image was kept for an audit."""
        return AUDIT if self.config.data["split"].get("judged") == AUDIT else "test"


def plan_final(arguments: Sequence[str], tree: Path = SEARCH_SPACES) -> FinalPlan:
    """Decide what a final training does.

    Args:
        arguments: ``key=value``, as typed.
        tree: The Hydra tree.

    Raises:
        ConfigError: If anything is wrong; names every problem found.
    """
    problems: list[str] = []
    own, overrides = _sorted(arguments, problems)
    source = Path(own.get("best") or "best.yaml")
    if "best" not in own:
        problems.append("best= is missing; give best=FILE, made by python -m analysis select DIR")
    problems += folder_problems("output=", own.get("output", ""))
    seeds = _whole(own, "seeds", 1, 1, problems)
    workers = _whole(own, "workers", 0, 1, problems)
    epochs = _positive(own, "epochs", problems)
    number = _whole(own, "trial_number", -1, 0, problems)
    if problems:
        raise ConfigError(problems)
    document, entry = _selected(source, number)
    output = Path(own.get("output") or Path("studies") / f"{document['config'].get('name', 'study')}-final")
    config, checks = _configuration(document["config"], overrides, output, tree)
    parameters = dict(entry.get("parameters") or {})
    trial = _trial(config, parameters, overrides)
    images = split_sizes(config.data, config.cache)["train"]
    trial, passes = _lengthened(trial, images, epochs)
    _refuse_impossible(config, trial, workers)
    seed = entry.get("seed")
    given = seed if isinstance(seed, int) else trial_seed(config.seed, entry["trial"])
    return FinalPlan(
        config=replace(config, replicates=seeds, budget=replace(config.budget, trials=1)),
        number=entry["trial"],
        parameters=parameters,
        trial=trial,
        seed=given,
        seeds=seeds,
        workers=workers,
        epochs=passes,
        entry=entry,
        source=source,
        checks=checks,
    )


def _sorted(arguments: Sequence[str], problems: list[str]) -> tuple[dict[str, str], list[str]]:
    own: dict[str, str] = {}
    overrides = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals and not argument.startswith("~"):
            problems.append(f"{argument}: write key=value{near_misses(argument, OWN)}")
        elif key in OWN:
            own[key] = value
        else:
            overrides.append(argument)
    return own, overrides


def _whole(own: Mapping[str, str], name: str, otherwise: int, least: int, problems: list[str]) -> int:
    text = own.get(name)
    if text is None:
        return otherwise
    if not text.isdigit() or int(text) < least:
        problems.append(f"{name}={text} must be a whole number >= {least}")
        return otherwise
    return int(text)


def _positive(own: Mapping[str, str], name: str, problems: list[str]) -> float | None:
    text = own.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        problems.append(f"{name}={text} must be a number > 0: passes of the sanitiser over the training images")
        return None
    return value


def _selected(source: Path, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the whole selection and the configuration in it that was asked for."""
    where = f"best={source}"
    try:
        document = yaml.safe_load(source.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError([f"{where}: cannot be read ({error}); make it with python -m analysis select DIR"]) from None
    entries = document.get("configurations") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not entries or not all(_is_entry(entry) for entry in entries):
        raise ConfigError([f"{where}: holds no configurations; make it with python -m analysis select DIR"])
    if not isinstance(document.get("config"), Mapping):
        raise ConfigError(
            [f"{where}: lacks the configuration of its study; make it anew with python -m analysis select DIR"]
        )
    there = {entry["trial"]: entry for entry in entries}
    if number < 0 and len(there) > 1:
        listed = ", ".join(map(str, there))
        raise ConfigError([f"{where}: holds trials {listed}; choose one with trial_number={next(iter(there))}"])
    if number >= 0 and number not in there:
        raise ConfigError([f"trial_number={number}: {source} holds {', '.join(map(str, there))}"])
    return dict(document), dict(entries[0] if number < 0 else there[number])


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("trial"), int)


def _configuration(
    saved: Mapping[str, Any], overrides: Sequence[str], output: Path, tree: Path
) -> tuple[StudyConfig, str]:
    """Return the study's configuration for this training, and the name of the battery."""
    checks = [override for override in overrides if override.lstrip("+~").startswith("checks")]
    others = [override for override in overrides if override not in checks]
    values = {**saved, "output": str(output), "resume": None, "starting_points": None, "warm_start": None}
    composed = recompose(values, others, tree)
    try:
        config = read_config(composed.values, composed.fixed, composed.problems, resume=True)
    except ConfigError as error:
        absent = any("data.root" in problem for problem in error.problems)
        hint = ["the images of the selection's study are not there: give their folder with data.root=DIR"]
        raise ConfigError(error.problems + (hint if absent else [])) from None
    if config.experiment != EXPERIMENT:
        raise ConfigError([f"experiment.name={config.experiment}: final training knows {EXPERIMENT} only"])
    problems: list[str] = []
    group, name = battery(config, checks, tree, problems)
    split = dict(config.data.get("split") or {})
    data = {**config.data, "split": {**split, "judged": AUDIT} if split.get("audit") else split}
    objective = with_bounds(config, group, problems)
    problems += load_experiment(config.experiment).config_problems(data, group["adversaries"])
    if problems:
        raise ConfigError(problems)
    return replace(config, data=data, adversaries=group["adversaries"], objective=objective), name


def _trial(config: StudyConfig, parameters: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the nested configuration: the study's, the trial's parameters, and what was set on the command line."""
    known = flatten(config.trial)
    if unknown := [name for name in parameters if name not in known]:
        raise ConfigError([f"parameters.{name} is no field of {config.experiment}" for name in unknown])
    given = [override.partition("=")[0].removeprefix("trial.") for override in overrides]
    kept = {name: value for name, value in parameters.items() if name not in given}
    return with_values(config.trial, kept)


def _lengthened(trial: Mapping[str, Any], images: int, epochs: float | None) -> tuple[dict[str, Any], float]:
    """Return the configuration with its lengths in proportion to ``epochs``, and the passes over the images."""
    leaves = flatten(trial)
    passes = leaves["stage_one.steps"] * leaves["stage_one.batch_size"] / images
    if epochs is None:
        return dict(trial), passes
    factor = epochs / passes
    lengths = {name: max(1, round(leaves[name] * factor)) for name in PROPORTIONAL if leaves[name] > 0}
    return with_values(trial, lengths), epochs


def _refuse_impossible(config: StudyConfig, trial: Mapping[str, Any], workers: int) -> None:
    problems = load_experiment(config.experiment).problems(trial, config.data) + share_problems(trial, workers)
    if problems:
        raise ConfigError(problems)


def share_problems(trial: Mapping[str, Any], workers: int) -> list[str]:
    """Return why so many workers cannot share the batches of a trial equally, a line each."""
    leaves = flatten(trial)
    shared = {"stage_one.batch_size": 2 if leaves["stage_one.recipe"] == "anchored" else 1}  # halves are shared apart
    if leaves["subversion.family"] == "learned":
        shared["subversion.learned.batch_size"] = 1
    return [
        f"workers={workers}: trial.{name}={leaves[name]} cannot be shared equally; it must be a multiple of "
        f"{parts * workers}"
        for name, parts in shared.items()
        if workers > 1 and leaves[name] % (parts * workers)
    ]
