"""Run a study: start Ray or join it, hand it trials until the budget is used, leave a finished study folder behind."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter

from study.callbacks import TensorBoardCallback, named_callbacks
from study.capacity import CapacityCallback
from study.cluster import ClusterConfig
from study.config import ConfigError, StudyConfig
from study.early_stopping import StoppingScheduler
from study.environment import environment
from study.evaluation import metrics_of
from study.event_files import EventFiles
from study.experiments import load_experiment
from study.folder import StudyFolder, locked
from study.forecast import forecast
from study.mirror import Mirror
from study.outcomes import WORKER_RESTARTS
from study.packing import Node, Packing
from study.preflight import alive_nodes, offers, preflight, unreachable
from study.progress import Progress
from study.quota import Quota
from study.records import Records, read_parts
from study.recovery import continue_search, start_search
from study.remote import RemoteFolder
from study.replicate_records import ReplicateRecords
from study.resources import Plan, detect_cpus, detect_gpus, plan
from study.search import Proposal, Search
from study.searcher import HeartbeatCallback, StudySearcher, StudyStopper
from study.spending import Spending
from study.stopping import EarlyStopping
from study.trainable import StudyTrainable
from study.trial_run import TrialTask, checkpoint_name

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
    """Run or continue a study to the end of its budget, or until it is interrupted; its folder is complete either way.

    Args:
        config: The study.
        progress: Receives what a person is to read; printed to standard output by default.

    Returns:
        Whether the budget was used up; False after an interrupt (Ctrl-C, or the signal TERM).

    Raises:
        ConfigError: If the cluster must not be used, no trial fits on it, the storage cannot be opened or holds
            another study of this name, or another driver runs this study.
        OSError: If records or storage could not be written; the study stops at once.
    """
    progress = progress or Progress(config.objective, config.budget.trials)
    records = Records(config, metrics_of(load_experiment(config.experiment), config.data, config.adversaries))
    if not config.resume:
        with _ray(config) as share, locked(config.output) as folder:
            return _run(config, share, folder, start_search(config, share, folder), records, progress)
    with locked(config.output) as folder:
        search = continue_search(config, folder, records, progress)
        if search.done:
            progress.say(f"study {config.name} is finished: its {config.budget.trials} trials are done")
            _complete(folder, search, records, Quota(config, progress.say), _mirror(config, progress))
            return True
        spending = Spending(config.budget, 1.0, search.spent)
        if spending.used_up:
            progress.say(_hours_used_up(config, search, spending))
            return True
        with _ray(config) as share:
            for change in folder.note_resumed(environment(share), time.time()):
                progress.say(f"since this study was started, {change}")
            folder.write_config(config)
            return _run(config, share, folder, search, records, progress)


def _run(
    config: StudyConfig, share: Plan, folder: StudyFolder, search: Search, records: Records, progress: Progress
) -> bool:
    left = replace(config, budget=replace(config.budget, trials=config.budget.trials - search.finished))
    progress.say(f"study {config.name} in {config.output}")
    for note in config.warm_start.notes:
        progress.say(note)
    progress.say(forecast(left, share).describe())
    mirror = _mirror(config, progress)
    if mirror is not None:
        mirror.claim()
    folder.begin_run()
    folder.drop_checkpoints_of(search.told)
    quota = Quota(config, progress.say)
    quota.catch_up(search.told)
    spending = Spending(config.budget, share.gpus or share.cpus, search.spent)
    packing = _packing(config, share)
    searcher = StudySearcher(
        config,
        load_experiment(config.experiment),
        search,
        records,
        progress,
        spending,
        make_task=lambda proposal: _task(config, share, folder, packing, mirror, proposal),
        forget=lambda number, replicate: _forget(folder, quota, mirror, number, replicate),
        measured=lambda proposal, use: packing.note(proposal.trial, use),
    )
    try:
        with _terminated_like_interrupted():
            _tune(config, packing, searcher, spending, _early_stopping(config, records))
    finally:
        searcher.interrupt()
        _complete(folder, search, records, quota, mirror)
    if spending.used_up and not search.done:
        progress.say(_hours_used_up(config, search, spending))
    return search.done or spending.used_up


def _early_stopping(config: StudyConfig, records: Records) -> EarlyStopping | None:
    """Return the early stopping of the study, if there is any, with what the first seeds that ended reported."""
    if config.replicates == 1:
        return EarlyStopping.of(config, read_parts(config.output))
    rows = ReplicateRecords(config.output, records).rows()
    return EarlyStopping.of(config, [row for row in rows if row["replicate"] == 0])


def _hours_used_up(config: StudyConfig, search: Search, spending: Spending) -> str:
    trials = f"{search.finished} of {config.budget.trials} trials done"
    return f"the budget in hours is used up ({spending.describe()}), {trials}; resume with more hours to go on"


def _mirror(config: StudyConfig, progress: Progress) -> Mirror | None:
    """Return what keeps the study folder in a store up to date, None where there is none."""
    return Mirror(RemoteFolder.at(config.remote), config.output, progress.say) if config.remote else None


def _forget(folder: StudyFolder, quota: Quota, mirror: Mirror | None, number: int, replicate: int | None) -> None:
    """Remove what a trial that was told, or a replicate that was recorded, has no more use for."""
    if mirror is not None:
        mirror.push()
        mirror.forget(checkpoint_name(number, replicate or 0))
    if replicate is not None:
        folder.drop_checkpoints(number, replicate)
        return
    folder.drop_checkpoints_of([number])
    quota.told(number)


def _complete(folder: StudyFolder, search: Search, records: Records, quota: Quota, mirror: Mirror | None) -> None:
    """Merge the records and remove what only a running study needs."""
    records.merge()
    ReplicateRecords(folder.path, records).merge()
    folder.tidy()
    if search.done:
        shutil.rmtree(folder.path / "checkpoints", ignore_errors=True)
    quota.finish(search.told)
    if mirror is not None:
        mirror.finish()


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let the signal TERM, which batch systems send before they kill, end a study as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _packing(config: StudyConfig, share: Plan) -> Packing:
    """Return what trials ask for, knowing what was measured of those that are recorded."""
    nodes = offers(alive_nodes()) if ray.is_initialized() else [Node(share.cpus, share.gpus, 0.0)]
    packing = Packing(config.resources, share, nodes, config.space.strata)
    for row in read_parts(config.output):
        packing.restore(row, config.trial)
    return packing


def _tune(
    config: StudyConfig, packing: Packing, searcher: StudySearcher, spending: Spending, stopping: EarlyStopping | None
) -> None:
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    limiter = ConcurrencyLimiter(searcher, packing.concurrent)
    callbacks: list[tune.Callback] = [
        HeartbeatCallback(searcher),
        CapacityCallback(config, packing, limiter, searcher.progress.say),
        TensorBoardCallback(EventFiles(config.output), searcher.progress.say),
        *named_callbacks(config, searcher.progress.say),
    ]
    tune.run(
        StudyTrainable,
        name="tune",
        storage_path=str(config.output / "ray"),
        search_alg=limiter,
        scheduler=None if stopping is None else StoppingScheduler(stopping),
        num_samples=-1,
        reuse_actors=True,
        max_failures=WORKER_RESTARTS,
        raise_on_failed_trial=False,
        callbacks=callbacks,
        trial_dirname_creator=lambda trial: trial.trial_id,
        stop=StudyStopper(searcher, spending),
        verbose=0,
    )
    if searcher.failure is not None:
        raise searcher.failure


def _task(
    config: StudyConfig,
    share: Plan,
    folder: StudyFolder,
    packing: Packing,
    mirror: Mirror | None,
    proposal: Proposal,
) -> TrialTask:
    if mirror is not None:
        mirror.push()  # the store's journal knows a trial before it begins
    request = packing.request(proposal.trial, alone=proposal.alone)
    return TrialTask(
        experiment=config.experiment,
        number=proposal.number,
        trial=proposal.trial,
        seed=proposal.seed,
        shared_seed=config.seed,
        data=config.data,
        checks=config.adversaries,
        folder=str(config.output),
        run=folder.run,
        cache=str(config.cache),
        device=share.device,
        threads=max(1, int(min(share.cpus, request.cpus))),
        checkpoint_every=config.checkpoint_every,
        replicate=proposal.replicate,
        remote=config.remote,
        resources=request.bundle(),
        given_share=config.resources.gpus_per_trial is not None,
    )


@contextlib.contextmanager
def _ray(config: StudyConfig) -> Iterator[Plan]:
    """Join the cluster, or start Ray here and end it afterwards; a Ray that runs in this process is used as it is."""
    already = ray.is_initialized()
    if not already:
        start_ray(config.cluster)
    try:
        yield _share(config)
    finally:
        if not already:
            ray.shutdown()


def on_ray(config: StudyConfig) -> contextlib.AbstractContextManager[Plan]:
    """Return a context in which Ray runs as it would for a study, which gives how trials share it.

    Raises:
        ConfigError: On entering, if the cluster must not be used or no trial fits on it.
    """
    return _ray(config)


def start_ray(cluster: ClusterConfig | None = None) -> None:
    """Join a running cluster; without one, start Ray on this machine.

    Its ports listen on every interface; Ray guards a cluster that it starts here by a token of its own.

    Raises:
        ConfigError: If the cluster cannot be reached, or does not take the token.
    """
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    if cluster is not None and cluster.address:
        _join(cluster)
        return
    ray.init(
        address="local",  # without it Ray would join a cluster that somebody else has started on this machine
        num_cpus=detect_cpus(),
        num_gpus=detect_gpus(),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        logging_level=logging.ERROR,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )


def _join(cluster: ClusterConfig) -> None:
    if problem := unreachable(cluster):
        raise ConfigError([problem])
    try:
        ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            [
                f"cluster.address={cluster.address} cannot be joined: {reason}; start Ray on this machine first (ray "
                "start), with the token and the versions of Python and Ray that the cluster has"
            ]
        ) from None


def _share(config: StudyConfig) -> Plan:
    """Return how trials share what Ray has, after making sure that it may be used."""
    if config.cluster.address:
        return preflight(config)
    available = ray.cluster_resources()
    try:
        return plan(config.resources, available.get("CPU", 0.0), available.get("GPU", 0.0))
    except ValueError as error:
        raise ConfigError([str(error)]) from None
