"""Threat models: who reads what, and what each holds that the others do not."""

import pytest
import torch
from scipy import stats as scipy_stats

from models.checks.battery import fit_on_originals, judge_honest, judge_release
from models.checks.config import CheckConfig
from models.checks.material import Codes, Further, Labels, LabelSplits, Release
from models.checks.plants import with_patterns
from models.checks.reading import UNREAD, ask, ask_together
from models.checks.threats import NO_ACCESS, Access, Threat, differences, read_threat, threats
from tests.models.checks.smooth_images import smooth_release

NOTHING = {"steps": 2, "batch_size": 8, "width": 2, "evaluate_every": 1, "interim_images": 10}
ALL = CheckConfig.from_mapping(
    {
        "strong": ["linear_pixels", "moments", "ensemble"],
        "informed": ["linear_pixels"],
        "paired": ["linear_pixels", "bit_planes"],
        "latent": ["linear", "quadratic"],
        "fits": dict.fromkeys(("plain", "expression", "steganalyser"), NOTHING),
    }
)


def _codes(labels: LabelSplits, seed: int = 0, move: float = 0.0) -> Codes:
    generator = torch.Generator().manual_seed(seed)
    moves = move * torch.randn((labels.classes, 12), generator=generator)
    return Codes(
        **{
            split: torch.randn((len(given), 12), generator=generator) + moves[given]
            for split, given in (("train", labels.train), ("validation", labels.validation), ("test", labels.test))
        }
    )


def _speckle(levels: float, classes: int = 4, size: int = 16):
    return levels * torch.randn((classes, 3, size, size), generator=torch.Generator().manual_seed(9))


def test_informed_adversaries_find_what_strong_ones_with_few_images_miss():
    few, labels = smooth_release(0, train=40)
    many, their_labels = smooth_release(0, train=2000)  # the same sanitiser
    marked = with_patterns(few, labels, _speckle(0.4))
    strong, informed = (
        ask("linear_pixels", None, marked, labels, seeds=[0], device="cpu", further=further).estimate
        for further in (None, Further(many.train, their_labels.train))
    )
    assert informed.low > strong.high
    assert informed.value > 0.8


def test_further_honest_releases_alone_tell_nothing():
    few, labels = smooth_release(0, train=40)
    many, their_labels = smooth_release(0, train=2000)
    found = ask(
        "linear_pixels", None, few, labels, seeds=[0], device="cpu", further=Further(many.train, their_labels.train)
    )
    assert found.estimate.low < 0.25 < found.estimate.high


def test_paired_adversaries_see_what_the_cover_hides_from_all_others():
    covers, labels = smooth_release(0)
    generator = torch.Generator().manual_seed(4)
    noisy = Release(
        *[
            (images.int() + torch.randint(-40, 41, images.shape, generator=generator)).clamp(0, 255).to(torch.uint8)
            for images in (covers.train, covers.validation, covers.test)
        ]
    )
    marked = with_patterns(noisy, labels, _speckle(0.5))
    strong = ask("linear_pixels", None, marked, labels, seeds=[0], device="cpu").estimate
    paired = ask("linear_pixels", None, differences(marked, noisy), labels, seeds=[0], device="cpu").estimate
    assert strong.value < 0.5
    assert paired.value > 0.95


def test_differences_lie_around_grey_and_are_cut_where_8_bits_end():
    def of(value):
        return Release(*[torch.full((1, 3, 16, 16), value, dtype=torch.uint8)] * 3)

    assert int(differences(of(7), of(9)).test.unique()) == 126
    assert int(differences(of(255), of(0)).test.unique()) == 255
    assert int(differences(of(0), of(255)).test.unique()) == 0


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_what_survives_in_the_latent_code_is_read_from_it(name):
    _, labels = smooth_release(0)
    kept = ask(name, None, _codes(labels, move=2.0), labels, seeds=[0], device="cpu").estimate
    gone = [ask(name, None, _codes(labels, seed), labels, seeds=[0], device="cpu").estimate.value for seed in range(5)]
    assert kept.value > 0.95
    low, high = scipy_stats.binom.interval(0.999, 1000, 0.25)  # of independent uniform labels
    assert low <= 200 * sum(gone) <= high


def test_a_spread_that_names_the_identity_is_read_by_the_quadratic_adversary_alone():
    _, labels = smooth_release(0)
    plain = _codes(labels)
    wide = Codes(
        **{
            split: getattr(plain, split) * (1 + getattr(labels, split)[:, None].float())
            for split in ("train", "validation", "test")
        }
    )
    linear, quadratic = (
        ask(name, None, wide, labels, seeds=[0], device="cpu").estimate for name in ("linear", "quadratic")
    )
    assert linear.high < quadratic.low


def test_an_ensemble_with_a_member_that_crashed_has_read_nothing():
    release, labels = smooth_release(0)
    moments = ask("moments", None, release, labels, seeds=[0], device="cpu")
    assert ask_together([moments, UNREAD], labels) == UNREAD
    assert ask_together([], labels) == UNREAD


def test_an_adversary_that_crashes_leaves_the_others_their_answers():
    release, labels = smooth_release(0, size=24)  # no power of two: no network fits
    threat = Threat("strong_identity", ("plain", "moments", "ensemble"), release)
    found = read_threat(threat, labels, CheckConfig(), seeds=lambda name: [0], device="cpu")
    assert found["plain"] == UNREAD
    assert found["moments"].test is not None
    assert found["ensemble"] == UNREAD


def test_a_threat_model_without_what_it_holds_is_refused():
    release, _ = smooth_release(0)
    with pytest.raises(ValueError, match=r"adversaries.informed is not empty"):
        threats(release, release, ALL, NO_ACCESS)
    further = Further(release.train, torch.zeros(len(release.train), dtype=torch.int64))
    with pytest.raises(ValueError, match=r"adversaries.latent is not empty"):
        threats(release, release, ALL, Access(further))


def test_codes_that_are_none_are_refused():
    with pytest.raises(ValueError, match="float32"):
        Codes(torch.zeros((3, 4)), torch.zeros((3, 5)), torch.zeros((3, 4)))


def test_the_whole_battery_measures_every_threat_model_and_gates_each_of_its_adversaries():
    covers, identity = smooth_release(0)
    labels = Labels(identity, identity)
    further, theirs = smooth_release(0, train=300)
    access = Access(Further(further.train, theirs.train), _codes(identity))
    originals = fit_on_originals(covers, labels, ALL, seed=0, device="cpu")
    honest = judge_honest(covers, labels, originals, ALL, seed=0, device="cpu", access=access)
    marked = with_patterns(covers, identity, _speckle(0.7))
    measured, controls = judge_release(
        marked, covers, labels, originals, honest, ALL, seed=1, device="cpu", access=access
    )
    expected = {
        f"{threat}_identity_accuracy.{name}"
        for threat in ("strong", "informed", "paired", "latent")
        for name in getattr(ALL, threat)
    }
    assert expected <= set(measured)
    for name in expected:
        check, _, member = name.partition("_accuracy.")
        kinds = {item.control for item in controls if (item.check, item.adversary) == (check, member)}
        assert "strength_0" in kinds
        assert kinds & {"watermark", "channel_mean", "least_significant_bit", "code"}, name
        assert measured[name].baseline is not None
    assert measured["strong_identity_accuracy.linear_pixels"].votes
    for name in ("strong_identity_accuracy.linear_pixels", "paired_identity_accuracy.linear_pixels"):
        assert measured[name].low > measured[name].baseline + 0.05
    latent = measured["latent_identity_accuracy.linear"]
    assert latent.value == latent.baseline  # the release changes nothing about the code
