"""Which leak each adversary has to find, and that leaks are planted before publication."""

import pytest

from models.checks.calibration import convergence_control
from models.checks.config import CheckConfig
from models.checks.material import Release
from models.checks.planting import Plantation, Planter, published_changes
from tests.models.checks.smooth_images import smooth_release


def coarse(images: Release) -> Release:
    """Publish every eighth grey level only."""
    return Release(*[part // 8 * 8 + 4 for part in (images.train, images.validation, images.test)])


def planter(publish):
    covers, labels = smooth_release(0)
    return Planter(Plantation(covers, publish(covers), publish), labels, CheckConfig(), seed=0), covers


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("linear_pixels", "watermark"),
        ("evaluator", "watermark"),
        ("spectrum", "frequency"),
        ("moments", "channel_mean"),
        ("bit_plane", "least_significant_bit"),
        ("bit_planes", "least_significant_bit"),
    ],
)
def test_each_adversary_has_to_find_what_it_is_there_for(name, kind):
    assert planter(lambda images: images)[0].kind(name) == kind


def test_where_publication_redraws_the_lowest_bits_nobody_is_judged_by_them():
    assert planter(coarse)[0].kind("bit_planes") == "watermark"


def test_leaks_are_published_like_everything_else_and_made_to_survive_it():
    lossy, covers = planter(coarse)
    images, how = lossy.planted("watermark")
    assert bool((images.test % 8 == 4).all())
    assert not images.equals(coarse(covers))
    levels = float(how.split()[1])
    assert levels > CheckConfig().controls.levels
    assert how == f"at {levels:g} levels"
    assert planter(lambda images: images)[0].planted("watermark")[1] == "at 2 levels"


def test_each_leak_is_planted_once():
    ready, _ = planter(coarse)
    assert ready.planted("channel_mean")[0] is ready.planted("channel_mean")[0]


def test_changes_for_the_steganalyser_are_of_one_level_where_publication_changes_nothing_and_else_survive_it():
    covers, labels = smooth_release(0)
    changed, levels = published_changes(Plantation(covers, covers, lambda images: images), labels, rate=0.5, seed=1)
    assert levels == 1
    assert int((changed.test.int() - covers.test.int()).abs().max()) == 1
    lossy, more = published_changes(Plantation(covers, coarse(covers), coarse), labels, rate=0.5, seed=1)
    assert more > 1
    assert bool((lossy.test % 8 == 4).all())
    assert float((lossy.test != coarse(covers).test).float().mean()) > 0.2


def test_convergence_is_recorded_as_a_control_that_can_fail():
    failed = convergence_control("strong_identity_accuracy.plain", False, CheckConfig())
    assert (failed.passed, failed.value, failed.required) == (False, 0.0, "a plateau within 260 steps")
