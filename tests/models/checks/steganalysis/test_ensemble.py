import pytest
import torch

from models.checks.statistics import auc, auc_interval
from models.checks.steganalysis.ensemble import BLOCK, SUBSPACES, fit_ensemble


def _pairs(n, features, seed, shift=0.0, informative=0):
    """Covers and stego images that share half of their variance; the first features differ by ``shift``."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(n, features, generator=generator)
    below, above = (common + torch.randn(n, features, generator=generator) for _ in range(2))
    above[:, :informative] += shift
    return below, above


def _judge(ensemble, below, above):
    return auc_interval(ensemble.score(below).numpy(), ensemble.score(above).numpy(), paired=True)


def test_weak_signs_in_many_features_add_up_on_pairs_never_seen():
    ensemble = fit_ensemble(*_pairs(600, 60, 0, 0.3, 30), seed=0)
    below, above = _pairs(600, 60, 1, 0.3, 30)
    single = auc(below[:, 0].numpy(), above[:, 0].numpy())
    found = _judge(ensemble, below, above)
    assert found.low > single + 0.15
    # the best there is: Phi(sqrt(30 * 0.3^2 / 2) / sqrt(2)) = 0.794
    assert 0.74 < found.value < 0.794 + 0.02


def test_the_out_of_bag_error_is_that_on_pairs_never_seen():
    ensemble = fit_ensemble(*_pairs(600, 60, 2, 0.3, 30), seed=0)
    found = _judge(ensemble, *_pairs(4000, 60, 3, 0.3, 30))
    # 95 % limits of 600 pairs near 0.85 are about +-0.02
    assert ensemble.out_of_bag_error == pytest.approx(1 - found.value, abs=0.03)


def test_out_of_bag_pairs_choose_large_subspaces_where_features_tell_only_together():
    below, above = _pairs(800, 40, 5, 1.0, 1)
    for side, seed in ((below, 10), (above, 11)):  # noise that only the second feature can take off the first
        side[:, :2] += 5 * torch.randn(800, 1, generator=torch.Generator().manual_seed(seed))
    assert fit_ensemble(below, above, seed=0).subspace == 40
    assert fit_ensemble(*_pairs(100, 60, 6, 2.0, 60), seed=0).subspace == SUBSPACES[0]


def test_labels_that_mean_nothing_are_read_at_chance():
    inside = 0
    for seed in range(10):
        ensemble = fit_ensemble(*_pairs(150, 30, 100 + seed), seed=seed)
        found = _judge(ensemble, *_pairs(300, 30, 200 + seed))
        inside += found.low <= 0.5 <= found.high
    assert inside >= 9


def test_the_same_seed_gives_the_same_ensemble_and_constant_features_do_no_harm():
    below, above = _pairs(200, 30, 7, 1.0, 10)
    below[:, 5], above[:, 5] = 3.0, 3.0
    first, again, other = (fit_ensemble(below, above, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.weights, again.weights)
    assert not torch.equal(first.weights, other.weights)
    assert first.learners % BLOCK == 0
    assert _judge(first, *_pairs(200, 30, 8, 1.0, 10)).low > 0.7


def test_pairs_that_do_not_match_and_features_that_are_no_numbers_are_refused():
    below, above = _pairs(20, 5, 9)
    with pytest.raises(ValueError, match=r"found \(20, 5\) and \(19, 5\)"):
        fit_ensemble(below, above[1:], seed=0)
    above[3, 2] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        fit_ensemble(below, above, seed=0)
