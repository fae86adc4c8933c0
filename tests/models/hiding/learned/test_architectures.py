"""Every architecture: bounded, within 8 bits, the right shape for bits and images, and able to learn."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.hiding.learned import LearnedConfig, LearnedData, LearnedTraining, embed, embed_images, extract
from models.hiding.learned.config import ARCHITECTURES
from models.hiding.learned.invertible import Coupling
from models.hiding.learned.layout import gather, lay_out, planes_of_bits
from models.hiding.learned.networks import Embedder, Extractor, build_pair
from models.hiding.learned.released import extract_images
from models.image_quality import GREY_LEVEL, to_float

Images = Callable[..., torch.Tensor]
Config = Callable[..., LearnedConfig]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("bits", [3, 64, 67, None])
@pytest.mark.parametrize("strength", [0, 1, 5])
def test_the_embedder_stays_within_the_strength_and_the_extractor_has_an_answer_for_all(
    architecture: str, bits: int | None, strength: int, smooth: Images
) -> None:
    covers = to_float(smooth(4))
    embedder, extractor = build_pair(architecture, bits=bits, size=16, width=8, strength=strength)
    secret = to_float(smooth(4, seed=1)) if bits is None else torch.ones(4, bits)
    stego = embedder(covers, secret)
    assert (stego - covers).abs().max() <= strength * GREY_LEVEL + 1e-6
    assert extractor(stego).shape == (covers.shape if bits is None else (4, bits))


@pytest.mark.parametrize("bits", [3, 64, 67, 192])
def test_bits_come_back_from_their_planes(bits: int) -> None:
    values = torch.randn(5, bits)
    planes = lay_out(values)
    assert planes.shape == (5, planes_of_bits(bits), 8, 8)
    torch.testing.assert_close(gather(planes, bits), values)


def test_a_coupling_run_back_restores_what_it_was_run_on() -> None:
    coupling = Coupling(planes=2, size=16, width=16, unit=4).eval()  # fresh statistics are the same both ways
    torch.nn.init.normal_(coupling.of_cover.last.weight, std=0.2)  # scales other than 1, with which it begins
    planes, images = torch.randn(3, 2, 8, 8), torch.rand(3, 3, 16, 16) * 2 - 1
    transformed = coupling.transform(planes, images)
    assert not torch.allclose(transformed, planes, atol=0.01)
    torch.testing.assert_close(coupling.restore(transformed, images), planes, atol=1e-3, rtol=1e-3)


def test_an_invertible_embedder_and_its_extractor_are_one_network() -> None:
    embedder, extractor = build_pair("invertible", bits=64, size=16, width=8, strength=4)
    assert {id(weight) for weight in embedder.parameters()} == {id(weight) for weight in extractor.parameters()}
    assert Embedder(bits=3, size=16, width=8, strength=1).state_dict()
    assert Extractor(bits=3, size=16, width=8, strength=1, architecture="invertible").state_dict()


@pytest.mark.slow
def test_the_default_architecture_learns_to_be_read(small: Config, data: LearnedData) -> None:
    config = small(epochs=1, steps_per_epoch=150, width=32, batch_size=32, learning_rate=5e-3)
    assert LearnedTraining(config, data, bits=3, strength=8, seed=0).run_epoch()["bits"] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_learns_to_carry_bits(architecture: str, small: Config, smooth: Images) -> None:
    config = small(architecture=architecture, epochs=1, steps_per_epoch=200, width=48, batch_size=32)
    training = LearnedTraining(config, LearnedData(smooth(200), torch.arange(200) % 3, 3), bits=64, strength=4, seed=0)
    training.run_epoch()
    covers = smooth(100, seed=5)
    bits = np.random.default_rng(0).integers(0, 2, (100, 64), dtype=np.uint8)
    stego = embed(training.embedder, covers, bits)
    assert stego.dtype == torch.uint8
    assert (stego.int() - covers.int()).abs().max() <= 4
    assert ((extract(training.extractor, stego) > 0.5) != bits).mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_learns_to_carry_images(architecture: str, small: Config, smooth: Images) -> None:
    config = small(
        architecture=architecture, payload="image", key="none", epochs=1, steps_per_epoch=200, width=48, batch_size=32
    )
    data = LearnedData(smooth(200), torch.arange(200) % 3, 3, secrets=smooth(200, seed=1))
    training = LearnedTraining(config, data, bits=0, strength=8, seed=0)
    losses = training.run_epoch()
    assert "image" in losses
    covers, secrets = smooth(100, seed=5), smooth(100, seed=6)
    stego = embed_images(training.embedder, covers, secrets)
    assert (stego.int() - covers.int()).abs().max() <= 8
    read = extract_images(training.extractor, stego)
    assert read.abs().max() <= 1.0
    mean_image = to_float(secrets).mean(0)
    of_mean = (mean_image - to_float(secrets)).square().mean()
    assert (read - to_float(secrets)).square().mean() < 0.5 * of_mean


def test_an_image_payload_needs_images_to_hide(small: Config, smooth: Images) -> None:
    config = small(payload="image", key="none")
    with pytest.raises(ValueError, match="secrets"):
        LearnedTraining(config, LearnedData(smooth(9), torch.arange(9) % 3, 3), bits=0, strength=2, seed=0)


def test_an_image_carried_as_an_image_cannot_be_encrypted() -> None:
    problems = LearnedConfig(payload="image").problems()
    assert len(problems) == 1
    assert problems[0].startswith("subversion.learned.key='per_image': must be none where")
    assert not LearnedConfig(payload="image", key="none").problems()
