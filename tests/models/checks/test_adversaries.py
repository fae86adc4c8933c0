import pytest
import torch

from models.checks.adversaries import ADVERSARIES, build_adversary
from models.checks.layers import TRUNCATION, HighPass

NAMES = sorted(ADVERSARIES)


def _images(n, size, seed=0):
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [16, 32, 64])
def test_every_adversary_maps_8_bit_images_of_any_size_to_logits(name, size):
    network = build_adversary(name, classes=5, size=size, width=4)
    assert network(_images(2, size)).shape == (2, 5)


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_one_grey_level_in_any_pixel_reaches_the_output(name):
    network = build_adversary(name, classes=3, size=16, width=8).eval()
    images = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
    changed = images.repeat(256, 1, 1, 1)
    changed.view(256, 3, 256)[torch.arange(256), 1, torch.arange(256)] += 1
    with torch.no_grad():
        moved = (network(changed) - network(images)).abs().amax(1)
    assert bool((moved > 0).all())


def test_the_bit_plane_model_sees_the_lowest_bit_and_nothing_else():
    network = build_adversary("bit_plane", classes=3, size=16, width=4).eval()
    images = _images(4, 16)
    with torch.no_grad():
        assert torch.equal(network(images), network(images & 1))
        assert not torch.equal(network(images), network(images ^ 1))


def test_high_pass_filters_leave_nothing_of_a_plain_image():
    assert float(HighPass()(torch.full((1, 3, 16, 16), 77, dtype=torch.uint8)).abs().max()) == 0


def test_high_pass_residuals_are_whole_images_cut_at_the_truncation():
    edges = torch.zeros((1, 3, 16, 16), dtype=torch.uint8)
    edges[..., 8:] = 255
    residual = HighPass()(edges)
    assert residual.shape == (1, HighPass.channels, 16, 16)
    assert float(residual.max()) == 1
    one_level = torch.full((1, 3, 16, 16), 77, dtype=torch.uint8)
    one_level[0, 0, 8, 8] += 1
    assert float(HighPass()(one_level).abs().max()) == pytest.approx(1 / TRUNCATION)


def test_one_message_names_everything_that_is_wrong():
    with pytest.raises(ValueError, match=r"'wide' is unknown.*classes must be >= 1.*power of two"):
        build_adversary("wide", classes=0, size=24, width=4)
