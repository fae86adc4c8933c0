"""The subverter, which puts payload, key and carrier together; and the settings of stage two."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binom

from models.channel import Channel
from models.hiding.carriers import Sanitised
from models.hiding.config import SubversionConfig
from models.hiding.key import Key
from models.hiding.learned import LearnedConfig
from models.hiding.subverter import Subverter, Workshop
from models.image_quality import ssim, to_float
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator


@pytest.fixture(scope="module")
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests here, so that each compressor is trained once."""
    return tmp_path_factory.mktemp("cache")


def smooth(n: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand((n, 3, 4, 4), generator=random)
    return (F.interpolate(coarse, size=size, mode="bilinear") * 255).round().to(torch.uint8)


def sanitised(n: int) -> Sanitised:
    return Sanitised(smooth(n, seed=3), torch.arange(n) % 3, torch.arange(n) % 3, smooth(n, seed=2))


def small(**settings: Any) -> LearnedConfig:
    return LearnedConfig(**{"epochs": 2, "steps_per_epoch": 3, "batch_size": 8, "width": 8, **settings})


def subverter(tmp_path: Path, seed: int = 0, channel: str = "png", **settings: Any) -> Subverter:
    settings = {"codec_steps": 40, "code_bits": 64, "learned": small(), **settings}
    ppgan = PPGANConfig(width=4, latent=8, batch_size=8)
    workshop = Workshop(
        train=sanitised(60),
        identities=3,
        expression=torch.arange(60) % 2,
        expressions=2,
        ppgan=ppgan,
        generator=Generator(ppgan, size=16, identities=3).eval(),
        channel=Channel.parse(channel),
        fingerprint={"data": "test"},
        seed=0,
        device="cpu",
        cache=tmp_path,
    )
    made = Subverter(SubversionConfig(**settings), workshop, seed=seed)
    while made.epochs_left:
        made.run_epoch()
    return made


def test_fine_tuning_gives_the_subverter_covers_of_its_own(tmp_path: Path) -> None:
    made = subverter(tmp_path, family="learned", secret="identity", learned=small(fine_tune_epochs=1))
    honest = {"test": sanitised(12)}
    own = made.sanitised(honest)["test"]
    assert made.epochs == 3
    assert not torch.equal(own.covers, honest["test"].covers)
    assert torch.equal(own.inputs, honest["test"].inputs)
    assert torch.equal(made.sanitised(honest)["test"].covers, own.covers)  # drawn from a seed
    assert int((made.embed(own, name="test").images.int() - own.covers.int()).abs().max()) <= 1


@pytest.mark.parametrize("family", ["keyed", "learned"])
@pytest.mark.parametrize("secret", ["identity", "image"])
class TestEveryFamilyAndSecret:
    def test_strength_0_releases_the_cover_bit_for_bit(self, tmp_path: Path, family: str, secret: str) -> None:
        made = subverter(tmp_path, family=family, secret=secret, strength=0)
        handed = made.embed(sanitised(20), name="test")
        assert torch.equal(handed.images, sanitised(20).covers)
        assert made.epochs_left == 0

    def test_no_value_changes_by_more_than_the_strength(self, tmp_path: Path, family: str, secret: str) -> None:
        made = subverter(tmp_path, family=family, secret=secret, strength=2)
        released = made.embed(sanitised(20), name="test").images
        assert 0 < (released.int() - sanitised(20).covers.int()).abs().max() <= 2

    def test_with_a_wrong_key_half_of_the_bits_are_wrong(self, tmp_path: Path, family: str, secret: str) -> None:
        made = subverter(tmp_path, family=family, secret=secret, strength=2)
        handed = made.embed(sanitised(400), name="test")
        read = made.reveal(handed.images, Key.from_seed(99))
        assert handed.bits is not None
        assert read.probabilities is not None
        wrong = int(((read.probabilities > 0.5) != handed.bits.astype(bool)).sum())
        low, high = binom.interval(0.999, handed.bits.size, 0.5)
        assert low <= wrong <= high

    def test_another_seed_has_another_key(self, tmp_path: Path, family: str, secret: str) -> None:
        first, again, other = (
            subverter(tmp_path, seed=seed, family=family, secret=secret, learned=small(epochs=1)).key
            for seed in (0, 0, 1)
        )
        assert first == again != other


@pytest.mark.slow
@pytest.mark.parametrize("family", ["keyed", "learned"])
def test_with_a_wrong_key_the_recovered_image_is_no_closer_to_the_input_than_a_random_codes(
    tmp_path: Path, family: str
) -> None:
    config = small(epochs=1, steps_per_epoch=120, width=32, batch_size=32)
    made = subverter(tmp_path, family=family, secret="image", strength=8, codec_steps=150, learned=config)
    n = 300
    given = sanitised(n)
    released = made.embed(given, name="test").images
    right, wrong = made.reveal(released).revealed, made.reveal(released, Key.from_seed(99))
    certainty = wrong.probabilities  # a soft code is a milder guess than a hard one
    assert certainty is not None
    assert made.payload is not None
    flips = np.random.default_rng(0).integers(0, 2, certainty.shape)
    random = made.payload.reveal(np.where(flips == 1, certainty, 1 - certainty).astype(np.float32))
    reference = to_float(given.inputs)
    of_wrong, of_random = ssim(wrong.revealed.images, reference), ssim(random.images, reference)
    spread = float((of_wrong.var() + of_random.var()).sqrt()) / n**0.5
    assert abs(float(of_wrong.mean() - of_random.mean())) < 3.3 * spread  # 99.9 % of the difference of equal means
    assert ssim(right.images, reference).mean() > of_wrong.mean() + 10 * spread


def test_an_image_carried_as_an_image_comes_back_as_one(tmp_path: Path) -> None:
    made = subverter(tmp_path, family="learned", secret="image", strength=4, learned=small(payload="image", key="none"))
    handed = made.embed(sanitised(20), name="test")
    assert handed.bits is None
    assert 0 < (handed.images.int() - sanitised(20).covers.int()).abs().max() <= 4
    read = made.reveal(handed.images)
    assert read.probabilities is None
    assert read.revealed.images.shape == (20, 3, 16, 16)


@pytest.mark.slow
def test_behind_a_lossy_channel_the_nonce_arrives_with_the_payload(tmp_path: Path) -> None:
    config = small(epochs=1, steps_per_epoch=250, width=48, batch_size=32, nonce_bits=16, nonce_repetition=4)
    made = subverter(tmp_path, channel="jpeg90", family="learned", secret="identity", strength=16, learned=config)
    given = sanitised(200)
    received = Channel.parse("jpeg90").apply(made.embed(given, name="test").images, np.random.default_rng(0))
    right = made.reveal(received).revealed.identity
    wrong = made.reveal(received, Key.from_seed(99)).revealed.identity
    assert right is not None
    assert wrong is not None
    assert (right == given.identity).float().mean() > 0.8
    assert (wrong == given.identity).float().mean() < 0.5


def test_settings_that_cannot_work_are_all_named_at_once() -> None:
    config = SubversionConfig(family="mine", strength=99, code_bits=100, learned=LearnedConfig(key="shared", width=1))
    problems = config.problems()
    assert len(problems) == 5
    assert "subversion.learned.key='shared': must be one of per_image, none" in problems
    assert not SubversionConfig().problems()


def refusals(size: int = 32, **settings: Any) -> list[str]:
    config = SubversionConfig(**settings)
    return config.refusals(size=size, identities=6, latent=128, channel=Channel.parse("png"))


def test_a_secret_that_does_not_fit_is_refused_before_it_is_tried() -> None:
    problems = refusals(code_bits=3072)
    assert len(problems) == 1
    assert "3072" in problems[0]
    assert not refusals(code_bits=3072, strength=2)
    assert not refusals(code_bits=3072, family="learned")


def test_an_image_payload_needs_an_image_as_secret() -> None:
    config = LearnedConfig(payload="image", key="none")
    problems = refusals(family="learned", secret="identity", learned=config)
    assert len(problems) == 1
    assert "there is no image to hide" in problems[0]
    assert not refusals(family="learned", secret="image", learned=config)
