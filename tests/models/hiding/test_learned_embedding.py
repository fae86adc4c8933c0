"""The learned family: bounded, seeded, resumable; and the subverter that puts payload, key and carrier together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom

from models.hiding.config import SubversionConfig
from models.hiding.key import Key
from models.hiding.learned import Embedder, Extractor, LearnedConfig, LearnedData, LearnedTraining
from models.hiding.subverter import Subverter, TrainSplit
from models.image_quality import GREY_LEVEL, ssim, to_float


def smooth(n: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand((n, 3, 4, 4), generator=random)
    return (torch.nn.functional.interpolate(coarse, size=size, mode="bilinear") * 255).round().to(torch.uint8)


def learned_data(bits: torch.Tensor | None = None) -> LearnedData:
    return LearnedData(smooth(60), torch.arange(60) % 3, 3, bits)


def small(**settings: Any) -> LearnedConfig:
    return LearnedConfig(**{"epochs": 2, "steps_per_epoch": 3, "batch_size": 8, "width": 8, **settings})


def subverter(tmp_path: Path, seed: int = 0, **settings: Any) -> Subverter:
    settings = {"codec_steps": 40, "code_bits": 64, "learned": small(), **settings}
    inputs = smooth(60)
    split = TrainSplit(inputs, smooth(60, seed=1), torch.arange(60) % 3, 3, {"data": "test"})
    made = Subverter(SubversionConfig(**settings), split, seed=seed, shared_seed=0, device="cpu", cache=tmp_path)
    while made.epochs_left:
        made.training.run_epoch()  # type: ignore[union-attr]
    return made


@pytest.mark.parametrize("bits", [3, 64, 192])
@pytest.mark.parametrize("strength", [0, 1, 5])
def test_the_embedder_stays_within_the_strength_and_the_extractor_has_an_answer_for_every_bit(
    bits: int, strength: int
) -> None:
    covers = to_float(smooth(4))
    embedder = Embedder(bits=bits, size=16, width=8, strength=strength)
    stego = embedder(covers, torch.ones(4, bits))
    assert (stego - covers).abs().max() <= strength * GREY_LEVEL + 1e-6
    assert Extractor(bits=bits, size=16, width=8, strength=strength)(stego).shape == (4, bits)


@pytest.mark.parametrize("weights", [{}, {"identity_weight": 0.1}, {"steganalysis_weight": 0.1}])
def test_adversaries_in_the_loop_are_trained_only_where_they_have_a_weight(weights: dict[str, float]) -> None:
    training = LearnedTraining(small(**weights), learned_data(), bits=64, strength=2, seed=0)
    losses = training.run_epoch()
    assert ("identity_adversary" in losses) == ("identity_weight" in weights)
    assert ("steganalyser" in losses) == ("steganalysis_weight" in weights)


def test_the_embedder_learns_to_be_read() -> None:
    config = small(epochs=1, steps_per_epoch=150, width=32, batch_size=32, learning_rate=5e-3)
    training = LearnedTraining(config, learned_data(), bits=3, strength=8, seed=0)
    assert training.run_epoch()["bits"] < 0.2


def test_a_training_that_was_restored_continues_as_if_never_stopped(tmp_path: Path) -> None:
    config = small(identity_weight=0.1, steganalysis_weight=0.1)
    whole = LearnedTraining(config, learned_data(), bits=64, strength=2, seed=0)
    whole.run_epoch()
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    restored = LearnedTraining(config, learned_data(), bits=64, strength=2, seed=0)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert restored.run_epoch() == whole.run_epoch()


@pytest.mark.parametrize("family", ["keyed", "learned"])
@pytest.mark.parametrize("secret", ["identity", "image"])
class TestEveryFamilyAndSecret:
    def test_strength_0_releases_the_cover_bit_for_bit(self, tmp_path: Path, family: str, secret: str) -> None:
        made = subverter(tmp_path, family=family, secret=secret, strength=0)
        covers = smooth(20, seed=2)
        released, _ = made.embed(smooth(20), torch.arange(20) % 3, covers, name="test")
        assert torch.equal(released, covers)
        assert made.epochs_left == 0

    def test_no_value_changes_by_more_than_the_strength(self, tmp_path: Path, family: str, secret: str) -> None:
        made = subverter(tmp_path, family=family, secret=secret, strength=2)
        covers = smooth(20, seed=2)
        released, _ = made.embed(smooth(20), torch.arange(20) % 3, covers, name="test")
        assert 0 < (released.int() - covers.int()).abs().max() <= 2

    def test_with_a_wrong_key_half_of_the_bits_are_wrong(self, tmp_path: Path, family: str, secret: str) -> None:
        made = subverter(tmp_path, family=family, secret=secret, strength=2)
        n = 400
        released, bits = made.embed(smooth(n), torch.arange(n) % 3, smooth(n, seed=2), name="test")
        _, probabilities = made.reveal(released, Key.from_seed(99))
        wrong = int(((probabilities > 0.5) != bits.astype(bool)).sum())
        low, high = binom.interval(0.999, bits.size, 0.5)
        assert low <= wrong <= high

    def test_another_seed_has_another_key(self, tmp_path: Path, family: str, secret: str) -> None:
        first, again, other = (
            subverter(tmp_path, seed=seed, family=family, secret=secret, learned=small(epochs=1)).key
            for seed in (0, 0, 1)
        )
        assert first == again != other


@pytest.mark.parametrize("family", ["keyed", "learned"])
def test_with_a_wrong_key_the_recovered_image_is_no_closer_to_the_input_than_a_random_codes(
    tmp_path: Path, family: str
) -> None:
    config = small(epochs=1, steps_per_epoch=120, width=32, batch_size=32)
    made = subverter(tmp_path, family=family, secret="image", strength=8, codec_steps=150, learned=config)
    n = 300
    inputs = smooth(n, seed=3)
    released, bits = made.embed(inputs, torch.arange(n) % 3, smooth(n, seed=2), name="test")
    right, _ = made.reveal(released)
    wrong, _ = made.reveal(released, Key.from_seed(99))
    # As certain as what was read: a soft code is a milder guess than a hard one.
    _, certainty = made.reveal(released, Key.from_seed(99))
    flips = np.random.default_rng(0).integers(0, 2, bits.shape)
    random = made.payload.reveal(np.where(flips == 1, certainty, 1 - certainty).astype(np.float32))
    reference = to_float(inputs)
    of_wrong, of_random = ssim(wrong.images, reference), ssim(random.images, reference)
    spread = float((of_wrong.var() + of_random.var()).sqrt()) / n**0.5
    assert abs(float(of_wrong.mean() - of_random.mean())) < 3.3 * spread  # 99.9 % of the difference of equal means
    assert ssim(right.images, reference).mean() > of_wrong.mean() + 10 * spread


def test_settings_that_cannot_work_are_all_named_at_once() -> None:
    config = SubversionConfig(family="mine", strength=99, code_bits=100, learned=LearnedConfig(key="shared", width=1))
    problems = config.problems()
    assert len(problems) == 5
    assert "subversion.learned.key='shared': must be one of per_image, none" in problems
    assert not SubversionConfig().problems()


def test_a_secret_that_does_not_fit_is_refused_with_the_capacity() -> None:
    problems = SubversionConfig(code_bits=3072).capacity_problems(size=32, identities=6)
    assert len(problems) == 1
    assert "3072 bits do not fit into the 3008" in problems[0]
    assert not SubversionConfig(code_bits=3072, strength=2).capacity_problems(size=32, identities=6)
    assert not SubversionConfig(code_bits=3072, family="learned").capacity_problems(size=32, identities=6)
