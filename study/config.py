"""The resolved configuration of a study: everything decided and checked before anything expensive starts.

Reads the plain mapping that Hydra composed (``study.compose``) into frozen values, and collects every problem on the
way: a user who made three mistakes is told of three.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from study.cluster import ClusterConfig, read_cluster
from study.earlier import WarmStart, read_earlier
from study.evaluation import Experiment, metrics_of, unmeasured
from study.experiments import EXPERIMENTS, load_experiment
from study.keeping import Keep, read_keep
from study.memory import gpu_memory, share_problem
from study.nested import flatten, near_misses, with_values
from study.objective import ObjectiveConfig, read_objective, unmeasured_problems
from study.parameter import Value
from study.records import PARTS
from study.remote import is_remote, remote_problems, working_copy
from study.resources import ResourceConfig, detect_cpus, detect_gpus, plan, read_resources
from study.samplers import SearcherConfig, read_searcher
from study.scheduler_config import SchedulerConfig, read_scheduler, searcher_problems
from study.sections import Section
from study.space import Space, read_space
from study.starting_points import read_starting_points
from study.storage import JOURNAL, without_password

MISSING_VALUE = "???"
"""What a configuration file holds where the user has to give a value."""

CONFIG, POINTS = "config.yaml", "starting_points.yaml"
"""Files of a study folder: its resolved configuration, and a copy of the starting points it was given."""

MARKS_OF_A_STUDY = (CONFIG, JOURNAL, PARTS, "trials.parquet")
"""Files by which a folder is recognised as holding a study."""


_NOT_COPIED = ("name", "experiment", "trial", "fixed", "resume")
"""Fields of a composed configuration that the resolved one does not simply copy."""


class ConfigError(ValueError):
    """The configuration cannot be used; ``problems`` says why, one line each."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems, repeats removed, in order."""
        self.problems = list(dict.fromkeys(problems))
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


@dataclass(frozen=True)
class Budget:
    """The ``budget`` group, resolved."""

    trials: int
    """Trials of the study, >= 1; one that is run again after a fault counts once."""
    hours: float | None = None
    """Hours that drivers of the study run, over all its resumptions, before nothing new is started; None: no limit."""
    device_hours: float | None = None
    """The same for the hours that trials hold GPUs, or CPU cores where there is no GPU, added up."""
    grace_minutes: float = 10.0
    """Time that running trials get to finish once hours are used up; then they wait to be resumed."""


@dataclass(frozen=True)
class StudyConfig:
    """A study, resolved and checked."""

    name: str
    experiment: str
    """Name of the system under study."""
    trial: dict[str, Any]
    """Complete nested trial configuration; the space sets values into it."""
    space: Space
    objective: ObjectiveConfig
    searcher: SearcherConfig
    scheduler: SchedulerConfig
    budget: Budget
    resources: ResourceConfig
    cluster: ClusterConfig
    data: dict[str, Any]
    adversaries: dict[str, Any]
    """How the checks' adversaries are trained: ``checks.adversaries``."""
    starting_points: tuple[dict[str, Value], ...]
    """Configurations of an earlier selection, tried before those of the space."""
    output: Path
    """The study folder, absolute; of a study in a store, the driver's working copy."""
    remote: str
    """The study folder in a store, ``s3://BUCKET/PATH``; empty where ``output`` is all there is."""
    cache: Path
    """Folder for what trials and studies share, absolute."""
    storage: str
    """URL of an Optuna storage; empty for a journal file in the study folder."""
    seed: int
    resume: bool
    """Whether the study folder holds this study already, which is to be continued."""
    dry_run: bool
    """Whether to print the configuration and the forecast only."""
    profile: bool
    """Whether to profile one trial only."""
    checkpoint_every: int
    """Epochs between checkpoints of a trial; 0 for none."""
    replicates: int
    """Seeds under which a configuration runs at most, >= 1."""
    racing: bool
    """Whether only promising configurations get more than one of them."""
    keep: Keep | None
    """Whose weights stay; None: everybody's."""
    warm_start: WarmStart
    """Finished trials of earlier studies, which the sampler knows from the beginning."""
    resolved: dict[str, Any]
    """The plain mapping all this was read from, defaults filled in; written as config.yaml."""


def read_config(
    composed: Mapping[str, Any],
    fixed: Mapping[str, Any] | None = None,
    problems: Sequence[str] = (),
    *,
    resume: bool = False,
) -> StudyConfig:
    """Resolve and check a composed configuration.

    Args:
        composed: Plain nested mapping with the groups of ``search_spaces/study.yaml``.
        fixed: Parameters of the space, by dotted name, that are not to be searched but have this value.
        problems: What was found wrong before, to be reported together with what is found here.
        resume: Whether the study folder holds the study already (``study.resume`` reads its configuration).

    Raises:
        ConfigError: If anything is wrong; names every problem found.
    """
    problems = list(problems)
    root = Section("", composed, problems)
    experiment = _read_experiment(root.raw("experiment"), problems)
    trial = _read_trial(experiment, root.raw("trial"), problems)
    data = _read_data(root.raw("data"), problems)
    fixed = {**dict(root.raw("fixed") or {}), **(fixed or {})}
    if channel := root.text("channel", optional=True):
        _set_channel(channel, trial, fixed, problems)
    space = read_space(root.raw("space"), experiment, trial, fixed, problems, data)
    fixed = {name: value for name, value in fixed.items() if name in space.names}
    name = root.text("name", optional=True) or f"{experiment.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    adversaries, bounds = _read_checks(root.raw("checks"), problems)
    given, cache = (
        root.text("output", optional=True) or str(Path("studies") / name),
        Path(root.text("cache")).absolute(),
    )
    remote = given if is_remote(given) else ""
    output = working_copy(remote, cache) if remote else Path(given)
    problems.extend([] if resume else _output_problems(output))
    if remote and not resume:
        problems.extend(remote_problems(remote, CONFIG, keeps=root.raw("keep") is not None))
    root.raw("resume")  # of a new study: null
    # Not in the folders of studies that were started before there were callbacks.
    problems.extend([] if not root.raw("callbacks") else _callback_problems(root.raw("callbacks")))
    root.raw("warm_start")  # read last, when there is something to compare with
    points, kept = root.text("starting_points", optional=True), output / POINTS
    storage = root.text("storage", optional=True)
    objective = read_objective(root.raw("objective"), bounds, metrics_of(experiment, data, adversaries), problems)
    config = StudyConfig(
        name=name,
        experiment=experiment.name,
        trial=trial,
        space=space,
        objective=objective,
        searcher=read_searcher(root.raw("searcher"), problems),
        scheduler=read_scheduler(root.raw("scheduler"), experiment, objective, _names(bounds), problems),
        budget=_read_budget(root.raw("budget"), problems),
        resources=read_resources(root.raw("resources"), problems),
        cluster=read_cluster(root.raw("cluster"), problems),
        data=data,
        adversaries=adversaries,
        starting_points=_read_points(str(kept) if resume and kept.exists() else points, space, trial, problems),
        output=output.absolute(),
        remote=remote,
        cache=cache,
        storage=storage,
        seed=root.integer("seed", 0, 2**31 - 1),
        resume=resume,
        dry_run=root.boolean("dry_run"),
        profile=False if root.raw("profile") is None else root.boolean("profile"),  # not in older studies' folders
        checkpoint_every=root.integer("checkpoint_every", 0),
        # Neither is in the folders of studies that were started before there were replicates.
        replicates=1 if root.raw("replicates") is None else root.integer("replicates", 1),
        racing=True if root.raw("racing") is None else root.boolean("racing"),
        keep=read_keep(root.raw("keep"), problems),
        warm_start=WarmStart(),
        resolved={"name": name, "experiment": {"name": experiment.name}, "trial": trial, "fixed": fixed}
        | {key: value for key, value in composed.items() if key not in _NOT_COPIED}
        | {"output": given if remote else str(output), "storage": without_password(storage) or None},
    )
    root.close()
    problems.extend(searcher_problems(config.scheduler, config.searcher.name))
    problems.extend(_resource_problems(config))
    problems.extend(_data_problems(config))
    problems.extend(experiment.config_problems(config.data, config.adversaries))
    problems.extend(unmeasured_problems(objective, unmeasured(experiment, config.adversaries)))
    config = replace(config, warm_start=_read_warm_start(config, problems))
    if problems:
        raise ConfigError(problems)
    return config


def _read_experiment(group: Any, problems: list[str]) -> Experiment:
    """Return the experiment. Without a usable name there is nothing to hold the rest against: that raises at once."""
    section = Section("experiment", group, problems)
    section.text("description", optional=True)
    name = section.raw("name")
    section.close()
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise ConfigError(
            [
                *problems,
                f"experiment.name={name!r} is unknown{near_misses(str(name), EXPERIMENTS)} (permitted: {known})",
            ]
        )
    return load_experiment(name)


def _read_trial(experiment: Experiment, given: Any, problems: list[str]) -> dict[str, Any]:
    """Return the experiment's defaults with the given values set; unknown fields are problems."""
    defaults = experiment.defaults()
    known, values = flatten(defaults), flatten(given or {})
    for name in values:
        if name not in known:
            problems.append(f"trial.{name} is no field of {experiment.name}{near_misses(name, known)}")
    return with_values(defaults, {name: value for name, value in values.items() if name in known})


def _set_channel(channel: str, trial: dict[str, Any], fixed: dict[str, Any], problems: list[str]) -> None:
    """Set the channel that the user chose, which the space then does not search."""
    if "channel" not in trial:
        problems.append(f"channel={channel!r}: this experiment has no channel; leave it out")
        return
    trial["channel"] = fixed["channel"] = channel


def _callback_problems(names: Any) -> list[str]:
    from study.callbacks import callback_problems  # Ray takes a second to import

    return callback_problems(names)


def _read_budget(group: Any, problems: list[str]) -> Budget:
    section = Section("budget", group, problems)
    section.text("description", optional=True)
    budget = Budget(
        section.integer("trials", 1),
        _limit(section, "hours"),
        _limit(section, "device_hours"),
        Budget.grace_minutes if section.raw("grace_minutes") is None else section.number("grace_minutes", 0.0),
    )
    section.close()
    return budget


def _limit(section: Section, field: str) -> float | None:
    """Return a number >= 0, or None where the field is null or absent."""
    return None if section.raw(field) is None else section.number(field, 0.0)


def _read_checks(group: Any, problems: list[str]) -> tuple[dict[str, Any], Any]:
    """Return the settings of the adversaries, which the experiment checks, and the bounds."""
    section = Section("checks", group, problems)
    section.text("description", optional=True)
    adversaries, bounds = section.raw("adversaries"), section.raw("bounds")
    section.close()
    if adversaries is not None and not isinstance(adversaries, Mapping):
        problems.append(f"checks.adversaries={adversaries!r} must be a group of settings")
        adversaries = None
    return dict(adversaries or {}), bounds


def _names(group: Any) -> list[str]:
    return [str(name) for name in group] if isinstance(group, Mapping) else []


def _read_data(group: Any, problems: list[str]) -> dict[str, Any]:
    """Return the ``data`` group with its folder absolute: workers may run elsewhere."""
    data = dict(group or {})
    if isinstance(data.get("split"), Mapping) and "judged" in data["split"]:
        problems.append("data.split.judged is no option of a study: only python -m study.audit sees the audit's images")
    if isinstance(data.get("root"), str) and data["root"] != MISSING_VALUE:
        data["root"] = str(Path(data["root"]).expanduser().absolute())
    return data


def _output_problems(output: Path) -> list[str]:
    """Return why the study folder must not be used."""
    if output.exists() and not output.is_dir():
        return [f"output={output} is a file; name a folder"]
    if any((output / mark).exists() for mark in MARKS_OF_A_STUDY):
        return [
            f"output={output} holds a study already; continue it with resume={output}, or choose another folder with "
            "output="
        ]
    return []


def _read_points(
    path: str, space: Space, trial: Mapping[str, Any], problems: list[str]
) -> tuple[dict[str, Value], ...]:
    if not path:
        return ()
    points = read_starting_points(Path(path), problems)
    for index, point in enumerate(points):
        problems.extend(space.point_problems(f"starting_points={path}, configuration {index + 1}", point, trial))
    return points


def _read_warm_start(config: StudyConfig, problems: list[str]) -> WarmStart:
    if not config.resolved.get("warm_start"):
        return WarmStart()
    if config.resume:
        return read_earlier(config.output, problems)
    from study.warm_start import read_warm_start  # compares studies by what resuming one compares

    return read_warm_start(config, problems)


def _resource_problems(config: StudyConfig) -> list[str]:
    """Return why no trial fits on this machine; a cluster's resources are known only once it is reached."""
    if config.cluster.address:
        return []
    try:
        plan(config.resources, detect_cpus(), detect_gpus())
    except ValueError as error:
        return [str(error)]
    share = config.resources.gpus_per_trial
    problem = share_problem(share, gpu_memory()) if share else None
    return [problem] if problem else []


def _data_problems(config: StudyConfig) -> list[str]:
    """Return what is wrong with the data set, looking into a folder of images; experiments without data have none."""
    if not config.data or MISSING_VALUE in flatten(config.data).values():
        return []  # what is missing was reported when composing
    from models.data import data_problems

    return list(data_problems(config.data, config.cache))
