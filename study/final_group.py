"""The group of workers that trains one seed of a final training: Ray Train's ``TorchTrainer``."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from study.final_plan import FinalPlan
from study.final_worker import FinalTask, work
from study.outcomes import WORKER_RESTARTS
from study.resources import Plan, detect_gpus

TRAIN = "train"
"""Ray Train's own folder in the output: checkpoints of seeds that have not ended."""
_TIMEOUT = 7 * 86_400  # seconds that workers wait for one another; one may run the checks of a whole battery alone


def train_seed(plan: FinalPlan, index: int, folder: Path, share: Plan) -> str | None:
    """Train one seed with all of its workers; return what went wrong, None if nothing did.

    Args:
        plan: The final training.
        index: Of the seed.
        folder: Of the seed; exists.
        share: How trials would share what Ray has; its device is used.
    """
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    on_gpus = share.device == "cuda"
    workers = plan.workers or (max(1, int(ray.cluster_resources().get("GPU", detect_gpus()))) if on_gpus else 1)
    threads = max(1, int(share.cpus)) if workers == 1 else max(1, int(ray.cluster_resources()["CPU"]) // workers)
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
