"""The group of workers that trains one seed of a final training: Ray Train's ``TorchTrainer``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from study.config import ConfigError
from study.final_plan import FinalPlan, share_problems
from study.final_worker import FinalTask, work
from study.outcomes import WORKER_RESTARTS
from study.packing import Node
from study.preflight import alive_nodes, offers
from study.resources import Plan

TRAIN = "train"
"""Ray Train's own folder in the output: checkpoints of seeds that have not ended."""
_TIMEOUT = 7 * 86_400  # seconds that workers wait for one another; one may run the checks of a whole battery alone


def group_size(plan: FinalPlan, share: Plan) -> int:
    """Return how many workers train each seed: what was asked for, else one a GPU, or one where there is none.

    Raises:
        ConfigError: If they do not fit on the nodes, or the batches cannot be shared by so many.
    """
    nodes, on_gpus = offers(alive_nodes()), share.device == "cuda"
    workers = plan.workers or (max(1, _room(1, nodes, on_gpus)) if on_gpus else 1)
    worker_threads(workers, nodes, on_gpus)
    if problems := share_problems(plan.trial, workers):
        raise ConfigError(problems)
    return workers


def worker_threads(workers: int, nodes: Sequence[Node], on_gpus: bool) -> int:
    """Return the most CPU threads that each of the workers can have, all of a worker's on one node.

    Raises:
        ConfigError: If they do not fit even with one thread each.
    """
    most = int(max((node.cpus for node in nodes), default=0))
    for threads in range(most, 0, -1):
        if _room(threads, nodes, on_gpus) >= workers:
            return threads
    there, needs = _room(1, nodes, on_gpus), "a GPU and a CPU each" if on_gpus else "a CPU each"
    step = f"give workers={there} or less" if there else "give Ray nodes that have them"
    raise ConfigError([f"workers={workers}, but there is room for {there} ({needs}); {step}"])


def _room(threads: int, nodes: Sequence[Node], on_gpus: bool) -> int:
    """Return how many workers with so many threads the nodes hold."""
    return sum(int(min(node.cpus // threads, node.gpus) if on_gpus else node.cpus // threads) for node in nodes)


def train_seed(plan: FinalPlan, index: int, folder: Path, share: Plan) -> str | None:
    """Train one seed with all of its workers; return what went wrong, None if nothing did.

    Args:
        plan: The final training.
        index: Of the seed.
        folder: Of the seed; exists.
        share: How trials would share what Ray has; its device is used.

    Raises:
        ConfigError: If the workers do not fit on the nodes, or the batches cannot be shared by so many.
    """
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    on_gpus, workers = share.device == "cuda", group_size(plan, share)
    threads = max(1, int(share.cpus)) if workers == 1 else worker_threads(workers, offers(alive_nodes()), on_gpus)
    own, shared = plan.seeds_of(index)
    # Sanitisers that several workers trained are not what one would have trained, so studies must not find them.
    cache = plan.config.cache if workers == 1 else plan.config.output / "cache"
    task = FinalTask(
        trial=plan.trial,
        seed=own,
        shared_seed=shared,
        data=plan.config.data,
        checks=plan.config.adversaries,
        cache=str(cache),
        artifacts=str(folder),
        device=share.device,
        threads=threads,
        checkpoint_every=plan.config.checkpoint_every,
    )
    resources = {"CPU": threads} | ({"GPU": 1} if on_gpus else {})
    trainer = TorchTrainer(
        work,
        train_loop_config=asdict(task),
        torch_config=TorchConfig(backend="nccl" if on_gpus else "gloo", timeout_s=_TIMEOUT),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_gpus, resources_per_worker=resources),
        run_config=RunConfig(
            name=f"seed_{index}",
            storage_path=str(plan.config.output / TRAIN),
            failure_config=FailureConfig(max_failures=WORKER_RESTARTS),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        return " ".join(str(error).split())[:500]
    return None
