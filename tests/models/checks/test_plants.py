"""What controls plant before publication, and how strong it has to be to survive it."""

import pytest
import torch

from models.channel import Channel
from models.checks.plants import (
    lowest_bits_survive,
    surviving_strength,
    tints,
    validation_only,
    waves,
    with_drifting_waves,
    with_patterns,
)
from models.honest import publish
from tests.models.checks.smooth_images import smooth_release


def through(text):
    return lambda images: publish(images, Channel.parse(text), seed=0, name="planted")


@pytest.mark.parametrize("classes", [2, 6, 100])
@pytest.mark.parametrize("make", [waves, tints])
def test_every_identity_has_a_pattern_of_its_own(make, classes):
    patterns = make(classes, 32).flatten(1)
    distances = torch.cdist(patterns, patterns) + 1e9 * torch.eye(classes)
    assert float(distances.min()) > 1


def test_a_pattern_changes_images_by_its_levels_and_no_more():
    release, labels = smooth_release(0)
    marked = with_patterns(release, labels, 3 * waves(4, 16))
    change = (marked.test.int() - release.test.int()).abs()
    assert int(change.max()) == 3
    assert int((with_drifting_waves(release, labels, 3, seed=0).test.int() - release.test.int()).abs().max()) == 3


def test_drifting_waves_begin_in_another_place_in_every_image():
    release, labels = smooth_release(0)
    change = with_drifting_waves(release, labels, 8, seed=0).test.float() - release.test.float()
    own = change[labels.test == 0].flatten(1)
    assert float(own.mean(0).abs().max()) < 4  # they cancel
    assert float(own.square().mean()) == pytest.approx(32, rel=0.05)  # amplitude^2 / 2


def test_plants_are_as_strong_as_publication_demands():
    release, labels = validation_only(*smooth_release(0))
    patterns = waves(4, 16)

    def plant(strength):
        return with_patterns(release, labels, strength * patterns)

    lossless = surviving_strength(release, lambda images: images, plant, 2)
    mild, strong = (surviving_strength(release, through(text), plant, 2) for text in ("jpeg95", "jpeg20"))
    assert lossless == 2
    assert 2 <= mild < strong <= 32


def test_lowest_bits_survive_png_and_no_jpeg():
    release, _ = smooth_release(0)
    assert lowest_bits_survive(release, through("png"))
    assert not lowest_bits_survive(release, through("jpeg75"))
