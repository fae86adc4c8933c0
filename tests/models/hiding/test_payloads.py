"""Secrets as bits: the identity in binary, the image through the compressor."""

import numpy as np
import pytest
import torch

from models.hiding.codec import Codec, CodecConfig, train_codec
from models.hiding.payload import IdentityPayload, ImagePayload, identity_bits, identity_prototypes
from models.image_quality import ssim, to_float


def smooth_images(n: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    """Two random gradients an image: structure that a compressor can learn."""
    random = torch.Generator().manual_seed(seed)
    slopes = torch.rand((n, 3, 2), generator=random) * 2 - 1
    ramp = torch.linspace(-1, 1, size)
    images = slopes[:, :, :1, None] * ramp[:, None] + slopes[:, :, 1:, None] * ramp
    return ((images / 2 + 0.5) * 255).round().clamp(0, 255).to(torch.uint8)


def identity_payload(identities: int, repetition: int) -> IdentityPayload:
    return IdentityPayload(torch.zeros(identities, 3, 16, 16), repetition)


@pytest.mark.parametrize(("identities", "bits"), [(2, 1), (3, 2), (4, 2), (6, 3), (20, 5), (102, 7)])
def test_an_identity_takes_the_bits_that_number_all_people(identities: int, bits: int) -> None:
    assert identity_bits(identities) == bits
    assert identity_payload(identities, 4).bits == 4 * bits


def test_every_identity_comes_back() -> None:
    payload, identity = identity_payload(6, 3), torch.arange(6)
    bits = payload.encode(torch.empty(6, 0), identity)
    revealed = payload.reveal(bits.astype(np.float32))
    assert revealed.identity is not None
    assert torch.equal(revealed.identity, identity)


def test_repetition_outvotes_wrong_bits() -> None:
    payload, identity = identity_payload(8, 5), torch.arange(8)
    bits = payload.encode(torch.empty(8, 0), identity)
    bits[:, :6] ^= 1  # two of five copies are wrong
    revealed = payload.reveal(bits.astype(np.float32))
    assert revealed.identity is not None
    assert torch.equal(revealed.identity, identity)


def test_a_revealed_identity_is_shown_as_the_mean_train_image_of_that_person() -> None:
    images, identity = smooth_images(6), torch.tensor([0, 1, 0, 1, 0, 1])
    prototypes = identity_prototypes(images, identity, 2)
    assert torch.allclose(prototypes[1], to_float(images[1::2]).mean(0))
    revealed = IdentityPayload(prototypes).reveal(np.array([[1.0]], dtype=np.float32))
    assert torch.equal(revealed.images[0], prototypes[1])


def test_a_trained_compressor_restores_images_better_than_their_mean() -> None:
    train, test = smooth_images(300), smooth_images(50, seed=1)
    codec = train_codec(CodecConfig(bits=128, width=16, steps=80, batch_size=32), train, seed=0)
    payload = ImagePayload(codec)
    bits = payload.encode(test, torch.zeros(50, dtype=torch.int64))
    assert bits.shape == (50, 128)
    assert set(np.unique(bits)) <= {0, 1}
    restored = payload.reveal(bits.astype(np.float32)).images
    mean = to_float(train).mean(0).expand_as(restored)
    assert ssim(restored, to_float(test)).mean() > ssim(mean, to_float(test)).mean() + 0.2


def test_the_gradient_passes_the_binary_code_into_the_encoder() -> None:
    codec = Codec(CodecConfig(bits=64, width=8), size=16)
    codec.decode(codec.encode(to_float(smooth_images(4)))).sum().backward()
    first = next(codec.encoder.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


def test_the_same_seed_trains_the_same_compressor_and_another_seed_another() -> None:
    images = smooth_images(40)
    config = CodecConfig(bits=64, width=8, steps=3, batch_size=8)
    first, again, other = (train_codec(config, images, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_code_that_does_not_fill_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="code_bits=100: must be a positive multiple of 64"):
        Codec(CodecConfig(bits=100), size=16)
