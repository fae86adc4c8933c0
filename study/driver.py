"""Run a study: start Ray or join it, hand it trials until the budget is used, leave a finished study folder behind."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator

import optuna
import ray
import yaml
from ray import tune

from study.cluster import token_problems
from study.config import ConfigError, StudyConfig
from study.environment import environment
from study.experiments import load_experiment
from study.forecast import forecast
from study.outcomes import WORKER_RESTARTS
from study.progress import Progress
from study.records import Records
from study.resources import Plan, detect_cpus, detect_gpus, plan
from study.search import Proposal, Search, open_storage
from study.searcher import ProgressCallback, StopOnFailure, StudySearcher
from study.trainable import StudyTrainable
from study.trial_run import TrialTask

OBJECT_STORE_BYTES = 160 * 1024**2
"""Shared memory of a Ray started here; trials exchange nothing but small reports."""

_ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay where the command was started, so that relative paths hold
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # leave CUDA_VISIBLE_DEVICES alone for trials without a GPU
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard copies of what the records hold
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # no snapshots of the driver, which are pickles and never read
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # no tables of Tune's own beside our progress
}


def run_study(config: StudyConfig, *, progress: Progress | None = None) -> bool:
    """Run a study to the end of its budget, or until it is interrupted; its folder is complete either way.

    Args:
        config: The study.
        progress: Receives what a person is to read; printed to standard output by default.

    Returns:
        Whether the budget was used up; False after an interrupt (Ctrl-C).

    Raises:
        ConfigError: If the cluster must not be used, no trial fits on it, or the storage holds a study of this name.
        OSError: If records or storage could not be written; the study stops at once.
    """
    with _ray(config) as share:
        return _run(config, share, progress or Progress(config.objective, config.budget.trials))


def _run(config: StudyConfig, share: Plan, progress: Progress) -> bool:
    experiment = load_experiment(config.experiment)
    config.output.mkdir(parents=True, exist_ok=True)
    try:
        search = Search(config, open_storage(config.storage, config.output))
    except optuna.exceptions.DuplicatedStudyError:
        raise ConfigError(
            [f"storage={config.storage} holds a study named {config.name!r} already; give name=..."]
        ) from None
    write_description(config, share)
    records = Records(config, experiment.metrics)
    progress.say(f"study {config.name} in {config.output}")
    progress.say(forecast(config, share).describe())

    def make_task(proposal: Proposal) -> TrialTask:
        return _task(config, share, proposal)

    searcher = StudySearcher(config, experiment, search, records, progress, make_task)
    try:
        _tune(config, share, searcher, progress)
    finally:
        searcher.interrupt()
        records.merge()
        shutil.rmtree(config.output / "ray", ignore_errors=True)
        if search.done:
            shutil.rmtree(config.output / "checkpoints", ignore_errors=True)
    return search.done


def _tune(config: StudyConfig, share: Plan, searcher: StudySearcher, progress: Progress) -> None:
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    tune.run(
        StudyTrainable,
        name="tune",
        storage_path=str(config.output / "ray"),
        search_alg=searcher,
        num_samples=-1,
        max_concurrent_trials=share.concurrent,
        resources_per_trial={"cpu": share.cpus, "gpu": share.gpus},
        reuse_actors=True,
        max_failures=WORKER_RESTARTS,
        raise_on_failed_trial=False,
        callbacks=[ProgressCallback(progress)],
        trial_dirname_creator=lambda trial: trial.trial_id,
        stop=StopOnFailure(searcher),
        verbose=0,
    )
    if searcher.failure is not None:
        raise searcher.failure


def _task(config: StudyConfig, share: Plan, proposal: Proposal) -> TrialTask:
    return TrialTask(
        experiment=config.experiment,
        number=proposal.number,
        trial=proposal.trial,
        seed=proposal.seed,
        shared_seed=config.seed,
        data=config.data,
        checks=config.adversaries,
        folder=str(config.output),
        cache=str(config.cache),
        device=share.device,
        threads=max(1, int(share.cpus)),
        checkpoint_every=config.checkpoint_every,
    )


def write_description(config: StudyConfig, share: Plan) -> None:
    """Write config.yaml and environment.json into the study folder."""
    text = yaml.safe_dump(config.resolved, sort_keys=False, allow_unicode=True, width=120)
    (config.output / "config.yaml").write_text(f"# The resolved configuration of this study.\n{text}")
    (config.output / "environment.json").write_text(json.dumps(environment(share), indent=2) + "\n")


@contextlib.contextmanager
def _ray(config: StudyConfig) -> Iterator[Plan]:
    """Join the cluster, or start Ray here and end it afterwards; a Ray that runs in this process is used as it is."""
    already = ray.is_initialized()
    if not already:
        start_ray(config.cluster.address)
    try:
        yield _share(config)
    finally:
        if not already:
            ray.shutdown()


def start_ray(address: str = "") -> None:
    """Join the cluster at ``address``; without one, start Ray on this machine.

    Its ports listen on every interface; Ray guards a cluster that it starts here by a token of its own.
    """
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    if address:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        return
    ray.init(
        num_cpus=detect_cpus(),
        num_gpus=detect_gpus(),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        logging_level=logging.ERROR,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )


def _share(config: StudyConfig) -> Plan:
    """Return how trials share what Ray has, after making sure that it may be used."""
    if config.cluster.address:
        problems = token_problems([node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]], os.environ)
        if problems:
            raise ConfigError(problems)
    available = ray.cluster_resources()
    try:
        return plan(config.resources, available.get("CPU", 0.0), available.get("GPU", 0.0))
    except ValueError as error:
        raise ConfigError([str(error)]) from None
