"""Channels: how they are written, what the real operation does, and how close the differentiable model stays to it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import norm
from torch import Tensor

from models.channel import PNG, Channel, channel_problems
from models.channel.jpeg import _CHROMA, _LUMA, quantisation_table
from models.image_quality import to_float, to_uint8
from models.randomness import numpy_generator, seeded

TEXTS = [
    "png", "jpeg95", "jpeg75", "noise", "noise2", "noise0.5", "blur", "blur1.25", "resize", "resize50",
    "resize+jpeg75", "jpeg90+noise", "noise+jpeg90+blur",
]  # fmt: skip
EVERY_KIND = ["png", "jpeg100", "jpeg95", "jpeg90", "jpeg75", "jpeg40", "noise", "blur", "blur2", "resize", "resize50"]


def _images(n: int = 24, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """Return images with smooth shading, edges and texture; (n, 3, height, width) uint8."""
    random = numpy_generator(seed, "channel images")
    y, x = np.mgrid[:height, :width] / 32
    slopes, phase = random.uniform(-80, 80, (2, n, 3, 1, 1)), random.uniform(0, 7, (2, n, 1, 1, 1))
    shading = 128 + slopes[0] * (x - 0.5) + slopes[1] * (y - 0.5)
    edges = 50 * np.sign(np.sin(7 * x + phase[0]) + np.cos(5 * y + phase[1]))
    texture = random.normal(0, 8, (n, 3, height, width))
    return torch.from_numpy(np.clip(np.round(shading + edges + texture), 0, 255).astype(np.uint8))


def _send(text: str, images: Tensor, seed: int = 0) -> Tensor:
    return Channel.parse(text).apply(images, numpy_generator(seed, "channel"))


def _model(text: str, images: Tensor) -> Tensor:
    with seeded(0, "channel model"):
        return to_uint8(Channel.parse(text).surrogate(to_float(images)))


def _mean_difference(first: Tensor, second: Tensor) -> float:
    return float((first.float() - second.float()).abs().mean())


@pytest.mark.parametrize("text", TEXTS)
def test_a_channel_is_written_as_it_is_read(text: str) -> None:
    assert str(Channel.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "canonical"), [("noise1", "noise"), ("blur0.50", "blur"), ("jpeg090", "jpeg90"), ("resize75", "resize")]
)
def test_equal_channels_have_one_text(text: str, canonical: str) -> None:
    assert str(Channel.parse(text)) == canonical
    assert Channel.parse(text) == Channel.parse(canonical)


def test_small_numbers_survive_writing() -> None:
    channel = Channel.parse("noise0.00001+blur0.1234567")

    assert Channel.parse(str(channel)) == channel


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("jpg90", "did you mean 'jpeg90'?"),
        ("JPEG90", "did you mean 'jpeg90'?"),
        ("noise +jpeg75", "did you mean 'noise'?"),
        ("gauss2", "unknown step 'gauss2'; permitted: png alone, or jpeg<quality: whole, 1 to 100"),
        ("jpeg", "a number is required"),
        ("jpeg0", "whole, 1 to 100"),
        ("jpeg101", "whole, 1 to 100"),
        ("jpeg90.5", "whole, 1 to 100"),
        ("noise0", "above 0, at most 64"),
        ("noise-1", "above 0, at most 64"),
        ("noise1.2.3", "above 0, at most 64"),
        ("blur9", "above 0, at most 8"),
        ("resize100", "whole, 10 to 99"),
        ("png+jpeg90", "png stands alone"),
        ("jpeg90+", "unknown step ''"),
        ("", "must be a text"),
    ],
)
def test_what_is_no_channel_is_refused_with_what_is_permitted(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="channel=") as error:
        Channel.parse(text)

    assert repr(text) in str(error.value)
    assert part in str(error.value)


def test_every_problem_has_a_line() -> None:
    found = channel_problems("jpg90+png+noise0", where="subversion.channel")

    assert len(found) == 3
    assert all(line.startswith("subversion.channel='jpg90+png+noise0': ") for line in found)
    assert channel_problems("jpeg90+noise") == []
    assert len(channel_problems(90)) == 1


@pytest.mark.parametrize(
    ("text", "published", "transit"),
    [
        ("png", "png", "png"),
        ("jpeg90", "jpeg90", "png"),
        ("noise", "png", "noise"),
        ("jpeg90+noise", "jpeg90", "noise"),
        ("resize+jpeg75", "resize+jpeg75", "png"),
        ("noise+jpeg90+blur+jpeg75+resize", "noise+jpeg90+blur+jpeg75", "resize"),
    ],
)
def test_what_is_published_ends_with_the_last_jpeg(text: str, published: str, transit: str) -> None:
    channel = Channel.parse(text)

    assert (str(channel.published), str(channel.transit)) == (published, transit)
    assert channel.published.steps + channel.transit.steps == channel.steps


def test_a_channel_says_whether_it_changes_images_and_draws_numbers() -> None:
    assert Channel.parse("png").lossless
    assert Channel.parse("png") == PNG
    assert not Channel.parse("jpeg100").lossless
    assert Channel.parse("jpeg90+noise").random
    assert not Channel.parse("jpeg90+blur").random


@pytest.mark.parametrize("text", EVERY_KIND)
def test_the_real_operation_returns_8_bit_images_of_the_same_shape_and_leaves_its_input_alone(text: str) -> None:
    images = _images()
    before = images.clone()

    received = _send(text, images)

    assert received.shape == images.shape
    assert received.dtype == torch.uint8
    assert torch.equal(images, before)
    assert torch.equal(received, images) == (text == "png")


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_only_8_bit_images_are_sent(wrong: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Channel.parse("jpeg90").apply(wrong, numpy_generator(0))


def test_noise_is_drawn_anew_on_every_call_and_repeats_with_the_seed() -> None:
    images, channel = _images(4), Channel.parse("noise")
    random, again = numpy_generator(3), numpy_generator(3)
    first, second = channel.apply(images, random), channel.apply(images, random)

    assert not torch.equal(first, second)
    assert torch.equal(first, channel.apply(images, again))
    assert torch.equal(second, channel.apply(images, again))


def test_an_image_is_not_changed_by_its_neighbours_or_its_place() -> None:
    images = torch.cat([_images(600, 8, 8, seed) for seed in range(2)])  # more than are sent at a time

    for text in ("jpeg75", "resize50", "blur"):
        together = _send(text, images)
        assert torch.equal(together.flip(0), _send(text, images.flip(0)))
        assert torch.equal(together[1100:1110], _send(text, images[1100:1110]))


def test_steps_are_taken_in_order() -> None:
    images = _images()

    assert torch.equal(_send("resize+jpeg75", images), _send("jpeg75", _send("resize", images)))
    assert not torch.equal(_send("resize+jpeg75", images), _send("jpeg75+resize", images))


def test_the_published_file_is_an_ordinary_jpeg() -> None:
    image = _images(1)
    file = io.BytesIO()
    Image.fromarray(image[0].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=80)  # Pillow's own subsampling
    decoded = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)

    assert torch.equal(_send("jpeg80", image)[0], decoded)


@pytest.mark.parametrize("quality", [1, 30, 50, 75, 90, 100])
def test_quantisation_tables_are_those_of_the_codec(quality: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    tables = Image.open(file).quantization  # type: ignore[attr-defined]

    assert quantisation_table(_LUMA, quality).ravel().tolist() == list(tables[0])
    assert quantisation_table(_CHROMA, quality).ravel().tolist() == list(tables[1])


@pytest.mark.parametrize("text", ["blur", "resize", "resize33"])
def test_filters_keep_a_plain_image_and_smooth_a_textured_one(text: str) -> None:
    plain = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)
    images = _images()

    assert torch.equal(_send(text, plain), plain)
    received = _send(text, images)
    assert received.float().diff(dim=-1).square().mean() < 0.8 * images.float().diff(dim=-1).square().mean()
    assert torch.equal(received.transpose(-1, -2), _send(text, images.transpose(-1, -2)))


def test_blur_has_the_stated_width() -> None:
    point = torch.zeros(1, 3, 33, 33, dtype=torch.uint8)
    point[..., 16, 16] = 255
    blurred = Channel.parse("blur1.5").surrogate(to_float(point)).add(1).mean((0, 1))
    weights = blurred.sum(0) / blurred.sum()
    variance = (weights * (torch.arange(33) - 16.0).square()).sum()

    assert float(variance) == pytest.approx(1.5**2, rel=0.1)  # rounding to 8 bits cuts the tails


@pytest.mark.parametrize("sigma", [0.5, 1, 2])
def test_real_and_modelled_noise_have_the_stated_spread(sigma: float) -> None:
    grey = torch.full((64, 3, 32, 32), 128, dtype=torch.uint8)
    whole = np.arange(-20, 21)
    expected = np.sqrt(np.sum(whole**2 * (norm.cdf((whole + 0.5) / sigma) - norm.cdf((whole - 0.5) / sigma))))

    for noisy in (_send(f"noise{sigma}", grey), _model(f"noise{sigma}", grey)):
        # 196,608 draws: the standard deviation of the spread is 0.16 %
        assert float(noisy.float().std()) == pytest.approx(expected, rel=0.008)
        assert float(noisy.float().mean()) == pytest.approx(128, abs=4.5 * expected / grey.numel() ** 0.5)


@pytest.mark.parametrize("size", [(32, 32), (24, 24), (40, 40), (21, 27)])
@pytest.mark.parametrize("quality", [100, 95, 90, 75, 50, 10])
def test_the_model_of_jpeg_stays_within_half_a_grey_level_of_the_codec(quality: int, size: tuple[int, int]) -> None:
    images, text = _images(24, *size), f"jpeg{quality}"
    received, modelled = _send(text, images), _model(text, images)

    assert _mean_difference(received, modelled) < 0.5  # 0.04 to 0.35 found
    assert _mean_difference(received, modelled) < 0.1 * _mean_difference(received, images)
    at_edges = (received.float() - modelled.float()).abs()[..., [0, -1]].mean()
    assert float(at_edges) < 0.6  # blocks that the image does not fill


@pytest.mark.parametrize("text", ["png", "blur", "blur2", "resize", "resize50"])
def test_the_model_of_a_filter_is_the_filter(text: str) -> None:
    images = _images()

    assert torch.equal(_send(text, images), _model(text, images))


@pytest.mark.parametrize("text", [*EVERY_KIND, "jpeg90+noise", "resize+jpeg75"])
def test_gradients_reach_images_through_every_model(text: str) -> None:
    images = to_float(_images(8)).requires_grad_()
    weights = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    received = Channel.parse(text).surrogate(images)
    (received * weights).sum().backward()

    assert images.grad is not None
    assert bool(torch.isfinite(images.grad).all())
    assert all(float(gradient.abs().mean()) > 0.05 for gradient in images.grad)
    assert torch.equal(received.detach(), to_float(to_uint8(received.detach())))


@pytest.mark.parametrize("text", ["jpeg90", "jpeg75", "resize", "blur"])
def test_a_step_along_the_gradient_moves_what_is_really_received(text: str) -> None:
    images = _images(16)
    values = to_float(images).requires_grad_()
    weights = torch.zeros_like(values)
    weights[..., 8:24, 8:24] = 1.0  # low frequencies: these pass any channel
    (Channel.parse(text).surrogate(values) * weights).sum().backward()
    assert values.grad is not None
    moved = to_uint8(values.detach() + 0.1 * values.grad / values.grad.abs().amax())

    rise = (_send(text, moved).float() - _send(text, images).float()) * weights

    assert float(rise.mean()) > 0


def test_the_model_is_computed_in_full_precision_under_reduced_precision() -> None:
    images, channel = to_float(_images(4)), Channel.parse("jpeg90")
    with torch.autocast("cpu", torch.bfloat16):
        reduced = channel.surrogate(images)

    assert torch.equal(reduced, channel.surrogate(images))


def test_modelled_noise_follows_torchs_generator_and_other_models_leave_it_alone() -> None:
    images = to_float(_images(2))
    with seeded(1):
        first = Channel.parse("noise").surrogate(images)
    with seeded(1):
        state = torch.get_rng_state()
        Channel.parse("jpeg90+blur+resize").surrogate(images)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(Channel.parse("noise").surrogate(images), first)
        assert not torch.equal(Channel.parse("noise").surrogate(images), first)


def test_the_real_operation_leaves_all_global_generators_alone() -> None:
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    _send("noise+jpeg90+blur+resize", _images(2))

    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
