"""Adversaries in the loop: types, resets, what they see, and trainings that continue as if never stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.hiding.learned import LearnedConfig, LearnedData, LearnedTraining
from models.hiding.learned.adversaries import AdversariesInTheLoop
from models.hiding.learned.config import ARCHITECTURES, IDENTITY_ADVERSARIES, STEGANALYSERS
from models.image_quality import GREY_LEVEL, to_float
from models.losses import distance_to_uniform, update
from models.randomness import seeded

Config = Callable[..., LearnedConfig]
BOTH = {"identity_weight": 0.1, "steganalysis_weight": 0.1}


@dataclass(frozen=True)
class Darkening:
    """A channel that is easy to recognise, counting how often its parts are passed."""

    passed: list[str]
    name: str = "whole"

    @property
    def published(self) -> "Darkening":
        return Darkening(self.passed, "published")

    def surrogate(self, images: Tensor) -> Tensor:
        self.passed.append(self.name)
        return (images - GREY_LEVEL).clamp(-1.0, 1.0)


@pytest.mark.parametrize("identity_adversary", IDENTITY_ADVERSARIES)
@pytest.mark.parametrize("steganalyser", STEGANALYSERS)
def test_each_type_trains_and_none_trains_nothing(
    identity_adversary: str, steganalyser: str, small: Config, data: LearnedData
) -> None:
    config = small(identity_adversary=identity_adversary, steganalyser=steganalyser, **BOTH)
    training = LearnedTraining(config, data, bits=64, strength=2, seed=0)
    losses = training.run_epoch()
    assert ({"identity_adversary", "identity"} <= set(losses)) == (identity_adversary != "none")
    assert ({"steganalyser", "steganalysis"} <= set(losses)) == (steganalyser != "none")


@pytest.mark.parametrize("weights", [{"identity_weight": 0.1}, {"steganalysis_weight": 0.1}])
def test_adversaries_are_trained_only_where_they_have_a_weight(
    weights: dict[str, float], small: Config, data: LearnedData
) -> None:
    losses = LearnedTraining(small(**weights), data, bits=64, strength=2, seed=0).run_epoch()
    assert ("identity_adversary" in losses) == ("identity_weight" in weights)
    assert ("steganalyser" in losses) == ("steganalysis_weight" in weights)


def test_without_weights_no_adversary_is_built(small: Config) -> None:
    assert not list(AdversariesInTheLoop(small(), identities=3, size=16).parameters())


def test_of_an_ensemble_the_adversary_that_knows_most_counts(small: Config, data: LearnedData) -> None:
    config = small(identity_adversary="ensemble", identity_weight=0.1)
    adversaries = AdversariesInTheLoop(config, identities=3, size=16)
    images = to_float(data.covers)
    each = [float(distance_to_uniform(adversary(images)).detach()) for adversary in adversaries.identity]
    assert len(each) == 2
    assert each[0] != each[1]
    assert float(adversaries.embedder_losses(images, images)["identity"].detach()) == pytest.approx(max(each))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["high_pass", "srnet"])
def test_a_steganalyser_learns_to_tell_pairs_that_differ(kind: str, small: Config, data: LearnedData) -> None:
    with seeded(0, kind):
        adversaries = AdversariesInTheLoop(small(steganalyser=kind, steganalysis_weight=0.1), identities=3, size=16)
        optimiser = torch.optim.Adam(adversaries.parameters(), 2e-3)
        covers = to_float(data.covers)
        for _ in range(60):
            stego = covers + GREY_LEVEL * 4 * torch.randint(-1, 2, covers.shape)
            loss = adversaries.losses(covers, stego, data.identity)["steganalyser"]
            update(optimiser, loss)
    assert float(loss.detach()) < 0.3


def test_adversaries_start_anew_where_they_are_reset(small: Config, data: LearnedData) -> None:
    training = LearnedTraining(small(reset_every=2, **BOTH), data, bits=64, strength=2, seed=0)
    first = training.adversaries
    training.run_epoch()
    training.run_epoch()
    assert training.adversaries is first
    training.run_epoch()
    assert training.adversaries is not first
    assert training.adversaries_optimiser is not None
    steps = {int(state["step"]) for state in training.adversaries_optimiser.state.values()}
    assert steps == {3}  # those of the last epoch alone


@pytest.mark.parametrize(
    "settings",
    [
        {"reset_every": 1},
        {"reset_every": 2, "identity_adversary": "ensemble", "steganalyser": "srnet"},
        *({"architecture": architecture} for architecture in ARCHITECTURES),
        {"payload": "image", "key": "none"},
    ],
)
def test_a_training_that_was_restored_continues_as_if_never_stopped(
    settings: dict[str, Any], tmp_path: Path, small: Config, data: LearnedData
) -> None:
    config = small(**BOTH, **settings)
    channel = Darkening([])
    whole = LearnedTraining(config, data, bits=64, strength=2, seed=0, channel=channel)
    whole.run_epoch()
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    restored = LearnedTraining(config, data, bits=64, strength=2, seed=0, channel=channel)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(2):
        assert restored.run_epoch() == whole.run_epoch()
    for name, weight in whole.embedder.state_dict().items():
        assert torch.equal(weight, restored.embedder.state_dict()[name])


def test_the_extractor_reads_what_was_received_and_adversaries_see_what_was_published(
    small: Config, data: LearnedData
) -> None:
    channel = Darkening([])
    config = small(steps_per_epoch=1, identity_weight=0.1)
    LearnedTraining(config, data, bits=64, strength=2, seed=0, channel=channel).run_epoch()
    assert channel.passed.count("whole") == 1
    assert channel.passed.count("published") >= 2  # the adversaries' own step and the embedder's


def test_a_training_that_ignores_the_channel_never_passes_it(small: Config, data: LearnedData) -> None:
    channel = Darkening([])
    config = small(through_channel=False, **BOTH)
    LearnedTraining(config, data, bits=64, strength=2, seed=0, channel=channel).run_epoch()
    assert not channel.passed


def test_settings_that_cannot_work_are_all_named_at_once() -> None:
    config = LearnedConfig(
        architecture="deep", payload="sound", nonce_bits=20, nonce_repetition=0, identity_adversary="loud",
        steganalyser="eye", reset_every=-1, fine_tune_epochs=-1,
    )  # fmt: skip
    problems = config.problems()
    assert len(problems) == 8
    assert "subversion.learned.nonce_bits=20: must be a multiple of 8 from 16 to 64" in problems
    assert "subversion.learned.architecture='deep': must be one of cells, residual_unet, invertible" in problems
