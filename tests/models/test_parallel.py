"""Several workers do what one does: the same gradients of the same batch, and the same weights everywhere."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from models.losses import update
from models.parallel import WHOLE, BatchShare
from models.ppgan.config import PPGANConfig
from models.ppgan.training import TrainingSet, train_ppgan

CONFIG = PPGANConfig(width=8, latent=8, steps=20, batch_size=32)


def run_on(workers: int, work: Callable[[BatchShare], Any], folder: Path) -> list[Any]:
    """Return what ``work`` returns in each of several processes that form one group."""
    context = multiprocessing.get_context("fork")  # the modules are imported already

    def one(rank: int) -> None:
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=workers)
        torch.save(work(BatchShare(rank, workers)), folder / f"{rank}.pt")
        dist.destroy_process_group()

    processes = [context.Process(target=one, args=(rank,)) for rank in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(workers)]


def faces(images: int = 32) -> TrainingSet:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, 3, 16, 16), generator=random, dtype=torch.uint8)
    return TrainingSet(pixels, torch.arange(images) % 3, torch.arange(images) % 2, 3, 2)


def regress(share: BatchShare) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = nn.Linear(5, 2)
    optimiser = torch.optim.Adam(network.parameters(), 0.1)
    inputs, wanted = torch.randn(64, 5), torch.randn(64, 2)
    for _ in range(5):
        rows = share.of(torch.randint(64, (12,)))
        with share.own_random():
            torch.rand(3 + share.rank)  # whatever a worker draws, the next batch is the same
        update(optimiser, (network(inputs[rows]) - wanted[rows]).square().mean(), share)
    return network.state_dict()


@pytest.mark.slow
def test_two_workers_take_the_steps_of_one(tmp_path: Path) -> None:
    for found in run_on(2, regress, tmp_path):
        for name, weight in alone().items():
            assert torch.allclose(found[name], weight, atol=1e-6), name


def alone() -> dict[str, torch.Tensor]:
    """Return what one worker that draws the same batches reaches."""
    torch.manual_seed(0)
    network = nn.Linear(5, 2)
    optimiser = torch.optim.Adam(network.parameters(), 0.1)
    inputs, wanted = torch.randn(64, 5), torch.randn(64, 2)
    for _ in range(5):
        rows = torch.randint(64, (12,))
        torch.randint(2**62, (1,))  # the seed of what workers draw apart
        update(optimiser, (network(inputs[rows]) - wanted[rows]).square().mean())
    return network.state_dict()


@pytest.mark.slow
def test_two_workers_end_with_the_same_sanitiser_and_losses_near_those_of_one(tmp_path: Path) -> None:
    def work(share: BatchShare) -> dict[str, Any]:
        generator, history = train_ppgan(CONFIG, faces(), seed=3, share=share)
        return {"weights": generator.state_dict(), "losses": history[-1]}

    first, second = run_on(2, work, tmp_path)
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
    _, history = train_ppgan(CONFIG, faces(), seed=3)
    for name in ("anchor", "kl"):  # batches, noise and batch statistics differ, so training agrees roughly
        mean = (first["losses"][name] + second["losses"][name]) / 2
        assert mean == pytest.approx(history[-1][name], rel=0.2), name


@pytest.mark.slow
def test_workers_draw_apart_inside_and_together_outside(tmp_path: Path) -> None:
    def work(share: BatchShare) -> dict[str, torch.Tensor]:
        torch.manual_seed(1)
        before = torch.rand(4)
        with share.own_random():
            inside = torch.rand(4)
        return {"before": before, "inside": inside, "after": torch.rand(4)}

    first, second = run_on(2, work, tmp_path)
    assert torch.equal(first["before"], second["before"])
    assert torch.equal(first["after"], second["after"])
    assert not torch.equal(first["inside"], second["inside"])


def test_shares_are_disjoint_and_keep_halves_apart() -> None:
    batch = torch.arange(12)
    parts = [BatchShare(rank, 3).of(batch) for rank in range(3)]
    assert sorted(torch.cat(parts).tolist()) == list(range(12))
    for part in parts:
        assert (part[:2] < 6).all()
        assert (part[2:] >= 6).all()
    assert WHOLE.of(batch) is batch


class Kept:
    """Snapshots in memory; ``lose_after`` that step the training is lost."""

    def __init__(self, folder: Path, lose_after: int) -> None:
        self.folder, self.lose_after = folder, lose_after
        self.state: Mapping[str, Any] | None = None

    def latest(self) -> Mapping[str, Any] | None:
        return self.state

    def after(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        if step == 3 and self.state is None:
            torch.save(state(), self.folder / "state.pt")
            self.state = torch.load(self.folder / "state.pt", weights_only=True)
        if step == self.lose_after:
            self.lose_after = -1
            raise KeyboardInterrupt


@pytest.mark.parametrize("recipe", ["anchored", "paper"])
def test_a_training_that_was_lost_goes_on_as_if_it_had_not(tmp_path: Path, recipe: str) -> None:
    config = PPGANConfig(recipe=recipe, width=4, latent=8, steps=6, batch_size=8, critic="spectral_hinge")
    whole, history = train_ppgan(config, faces(), seed=3, report_every=2)
    kept = Kept(tmp_path, lose_after=5)
    with pytest.raises(KeyboardInterrupt):
        train_ppgan(config, faces(), seed=3, report_every=2, snapshots=kept)
    again, later = train_ppgan(config, faces(), seed=3, report_every=2, snapshots=kept)
    assert later == history
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
