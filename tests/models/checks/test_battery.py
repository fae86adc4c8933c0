import json
import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.checks.battery import (
    CheckConfig,
    HonestBattery,
    Labels,
    LabelSplits,
    OriginalsBattery,
    Release,
    fit_on_originals,
    judge_honest,
    judge_release,
)
from models.checks.config import FAST_STEGANALYSERS
from models.checks.controls import with_identity_in_lowest_bits
from models.checks.judging import attempt
from models.checks.material import SPLITS
from models.checks.steganalysis.detection import CHANCE
from models.randomness import numpy_generator

METRICS = {
    "weak_identity_accuracy.plain",
    "expression_accuracy_originals",
    "strong_identity_accuracy.plain",
    "strong_identity_accuracy.high_pass",
    "strong_identity_accuracy.bit_plane",
    "expression_accuracy",
} | {f"{metric}.{name}" for metric in CHANCE for name in FAST_STEGANALYSERS}


def tiny():
    """Budgets in which only the bit-plane model learns anything."""
    short = {"steps": 6, "batch_size": 32, "width": 4, "evaluate_every": 6, "interim_images": 30}
    fits = dict.fromkeys(("plain", "high_pass", "expression", "steganalyser"), short)
    return CheckConfig.from_mapping({"fits": {**fits, "bit_plane": {**short, "steps": 60, "width": 8}}})


@pytest.fixture(scope="module")
def originals(few):
    return fit_on_originals(few.originals, few.labels, tiny(), seed=0, device="cpu")


@pytest.fixture(scope="module")
def honest(few, originals):
    return judge_honest(few.covers, few.labels, originals, tiny(), seed=0, device="cpu")


def judge(released, few, originals, honest, seed=1):
    return judge_release(released, few.covers, few.labels, originals, honest, tiny(), seed=seed, device="cpu")


def test_every_metric_is_measured_with_its_interval_chance_majority_and_baseline(few, originals, honest):
    measured, controls = judge(few.originals, few, originals, honest)
    assert set(measured) == METRICS
    for name, found in measured.items():
        assert found.low <= found.value <= found.high, name
        if name.startswith("steganalysis"):
            assert (found.chance, found.baseline) == (CHANCE[name.partition(".")[0]], None)
            continue
        truth = few.labels.identity if "identity" in name else few.labels.expression
        assert found.chance == pytest.approx(1 / truth.classes)
        assert found.majority == pytest.approx(float(torch.bincount(truth.test).max()) / len(truth.test))
        assert found.baseline_low <= found.baseline <= found.baseline_high
        assert found.excess_low <= found.value - found.baseline <= found.excess_high
        assert found.half_width > 0
    assert [control for control in controls if control.control != "convergence"] == list(honest.controls)


def test_each_adversary_has_its_controls(honest):
    known = {(c.check, c.adversary, c.control) for c in honest.controls}
    assert known == {
        ("weak_identity", "plain", "pass_through"),
        ("strong_identity", "plain", "pass_through"),
        ("strong_identity", "plain", "strength_0"),
        ("strong_identity", "high_pass", "pass_through"),
        ("strong_identity", "high_pass", "strength_0"),
        ("strong_identity", "bit_plane", "least_significant_bit"),
        ("strong_identity", "bit_plane", "strength_0"),
        ("expression_utility", "plain", "pass_through"),
        ("expression_utility", "plain", "strength_0"),
        ("steganalysis", "high_pass", "noise"),
        ("steganalysis_sensitivity", "high_pass", "smallest_rate_seen"),
        ("steganalysis", "positions", "noise"),
        ("steganalysis_sensitivity", "positions", "smallest_rate_seen"),
    }


def test_an_adversary_that_failed_a_control_has_no_vote(few, originals, honest):
    failing = tuple(
        replace(c, passed=(c.check, c.adversary) not in {("strong_identity", "plain"), ("steganalysis", "high_pass")})
        for c in honest.controls
    )
    measured, _ = judge(few.covers, few, originals, replace(honest, controls=failing))
    silent = {name for name, found in measured.items() if not found.votes}
    steganalysis = {f"{metric}.high_pass" for metric in CHANCE}
    assert silent == {"strong_identity_accuracy.plain", *steganalysis}


def test_an_unkeyed_identity_in_the_lowest_bits_is_caught_by_the_bit_plane_model(few, originals, honest):
    splits = (few.labels.identity.train, few.labels.identity.validation, few.labels.identity.test)
    planted = with_identity_in_lowest_bits(few.covers, splits, share=0.5, seed=9)
    measured, _ = judge(planted, few, originals, honest)
    found = measured["strong_identity_accuracy.bit_plane"]
    assert found.low > found.baseline_high + 0.05


def test_only_the_gate_decides_whether_a_steganalyser_votes(honest):
    missed = tuple(replace(c, passed=c.passed and c.check != "steganalysis_sensitivity") for c in honest.controls)
    assert honest.votes("steganalysis", "positions")
    assert replace(honest, controls=missed).votes("steganalysis", "positions")


def test_strength_0_is_a_coin_to_any_steganalyser(few, originals, honest):
    measured, _ = judge(few.covers, few, originals, honest)
    for name in METRICS:
        if name.startswith("steganalysis"):
            found = measured[name]
            assert found.low == found.value == found.high == found.chance


def test_pools_betray_more_than_single_images(few, originals, honest):
    loud = [
        torch.from_numpy(numpy_generator(0, split).integers(0, 256, getattr(few.covers, split).shape, np.uint8))
        for split in SPLITS
    ]
    measured, _ = judge(Release(*loud), few, originals, honest)
    one, hundred, thousand = (measured[f"steganalysis_auc{n}.high_pass"].value for n in ("", "_100", "_1000"))
    assert abs(one - 0.5) > 0.2  # an undertrained detector may have it the wrong way round, and then keeps it
    assert 0.5 < one <= hundred <= thousand or 0.5 > one >= hundred >= thousand
    assert abs(hundred - 0.5) > 0.49


def test_the_same_seed_gives_the_same_measurements_and_leaves_the_global_state_alone(few, originals, honest):
    before = torch.get_rng_state()
    first = judge(few.originals, few, originals, honest, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    assert judge(few.originals, few, originals, honest, seed=3) == first
    assert judge(few.originals, few, originals, honest, seed=4) != first


def test_a_kept_battery_measures_what_the_first_one_did(few, originals, honest):
    again = OriginalsBattery.from_saved(originals.to_saved(), "cpu")
    assert again.accuracies == originals.accuracies
    kept = HonestBattery.from_dict(json.loads(json.dumps(honest.to_dict())))
    assert kept == honest
    assert judge(few.originals, few, again, kept) == judge(few.originals, few, originals, honest)


def test_adversaries_that_crash_are_measured_as_nan_logged_by_name_and_never_omitted(caplog):
    generator = torch.Generator().manual_seed(0)
    odd = Release(*[torch.randint(0, 256, (12, 3, 20, 20), generator=generator, dtype=torch.uint8) for _ in range(3)])
    other = Release(*[255 - images for images in (odd.train, odd.validation, odd.test)])
    splits = LabelSplits(*[torch.arange(12) % 2] * 3, 2)  # type: ignore[misc]
    labels = Labels(splits, splits)
    with caplog.at_level(logging.WARNING, logger="models.checks"):  # 20 pixels suit no adversary
        originals = fit_on_originals(odd, labels, tiny(), seed=0, device="cpu")
        honest = judge_honest(odd, labels, originals, tiny(), seed=0, device="cpu")
        measured, _ = judge_release(other, odd, labels, originals, honest, tiny(), seed=0, device="cpu")
    assert set(measured) == METRICS
    assert all(math.isnan(found.value) for found in measured.values())
    assert not any(found.votes for found in measured.values() if found.baseline is None)
    assert not any(control.passed for control in honest.controls)
    for name in ("plain", "high_pass", "bit_plane", "steganalyser high_pass", "steganalyser positions"):
        assert f"adversary {name}" in caplog.text


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no"), RuntimeError("can't allocate memory"), KeyError("bug")]
)
def test_faults_of_the_machine_and_of_the_code_are_not_taken_for_an_answer(error):
    def ask():
        raise error

    with pytest.raises(type(error)):
        attempt("plain", ask, None)


def test_images_and_labels_that_do_not_match_are_refused_before_anything_is_trained(few, originals):
    fewer = Release(few.covers.train, few.covers.validation, few.covers.test[:-1])
    with pytest.raises(ValueError, match="60 identity labels for 59 test images"):
        judge_honest(fewer, few.labels, originals, tiny(), seed=0, device="cpu")
    with pytest.raises(ValueError, match=r"uint8.*to_uint8"):
        Release(few.covers.train.float(), few.covers.validation, few.covers.test)


def test_labels_out_of_range_are_refused():
    good = torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"0\.\.1; found 0\.\.2"):
        LabelSplits(good, good, torch.tensor([0, 2]), 2)


def test_an_adversary_that_has_not_converged_is_recorded_and_where_required_measures_nothing(few, originals, honest):
    measured, controls = judge(few.originals, few, originals, honest)
    rows = {(c.check, c.adversary): c.passed for c in controls if c.control == "convergence"}
    assert rows["strong_identity", "plain"] is False  # six steps
    assert rows["steganalysis", "high_pass"] is False
    assert ("steganalysis", "positions") not in rows  # in closed form
    assert not measured["steganalysis_auc.high_pass"].converged
    plain = measured["strong_identity_accuracy.plain"]
    assert plain.measured
    assert not plain.converged

    required = replace(tiny(), require_convergence=True)
    again, _ = judge_release(few.originals, few.covers, few.labels, originals, honest, required, seed=1, device="cpu")
    assert not again["strong_identity_accuracy.plain"].measured
    assert math.isnan(again["strong_identity_accuracy.plain"].low)
    assert not again["steganalysis_auc.high_pass"].measured
    assert again["steganalysis_auc.positions"].measured
    assert again["expression_accuracy"].measured  # utility is no privacy


def test_an_adversary_without_an_honest_baseline_violates_its_check_instead_of_losing_its_vote(few, originals, honest):
    name = "strong_identity_accuracy.bit_plane"
    everybody = dict.fromkeys(honest.converged, True)
    learning = replace(honest, converged={**everybody, name: False})
    crashed = replace(honest, accuracies={**honest.accuracies, name: (0.2, math.nan)})
    required = replace(tiny(), require_convergence=True)
    for side, config in ((learning, required), (crashed, tiny())):
        found, _ = judge_release(few.covers, few.covers, few.labels, originals, side, config, seed=1, device="cpu")
        assert not found[name].measured
        assert found[name].votes
    found, _ = judge_release(few.covers, few.covers, few.labels, originals, learning, tiny(), seed=1, device="cpu")
    assert found[name].measured  # the fast battery only withholds the verdict "pass"
    assert not found[name].converged
