"""The virtual clock, and early stopping on synthetic curves: compute saved at equal hypervolume."""

from __future__ import annotations

import numpy as np
import pytest

from study.evaluation import Stage
from study.schedulers import Signal, SuccessiveHalving
from study.simulator import Curve, Replay, replay

EPOCHS = 27


def curves(count: int, objectives: int, seed: int, noise: float = 0.05) -> list[Curve]:
    """Return learning curves that fall to their end; checks are violated by all at first and passed by half at last."""
    rng, found = np.random.default_rng(seed), []
    fall = np.exp(-np.arange(1, EPOCHS + 1) / 6.0)
    for _ in range(count):
        final, speed = rng.random(objectives), rng.uniform(0.5, 1.5)
        margin = rng.uniform(-1.0, 1.0)
        signals = [
            Signal(
                tuple(final + speed * share + noise * rng.standard_normal(objectives)), max(margin + 3.0 * share, 0.0)
            )
            for share in fall
        ]
        seconds = (float(rng.uniform(1.0, 3.0)),) * EPOCHS
        found.append(Curve(tuple(signals), seconds, tuple(final), feasible=margin <= 0))
    return found


def hypervolume(trials: list[Curve]) -> float:
    """Return the area below (1, 1) that feasible trials dominate; with one objective, what is left below 1."""
    points = sorted(one.losses for one in trials if one.feasible)
    area, lowest = 0.0, 1.0
    for point in points:
        if len(point) == 1:
            return 1.0 - point[0]
        if point[1] < lowest:
            area, lowest = area + (1.0 - point[0]) * (lowest - point[1]), point[1]
    return area


def test_without_a_scheduler_everything_runs_to_its_end_on_all_workers() -> None:
    trials = [Curve((None,) * 4, (seconds,) * 4, (0.0,), feasible=True) for seconds in (1.0, 1.0, 2.0)]
    result = replay(trials, workers=2)
    whole = Replay(epochs=(4, 4, 4), finished=(0, 1, 2), spent=(7.0, 8.0, 16.0), worker_seconds=16.0, seconds=12.0)
    assert result == whole


def test_a_stopped_trial_frees_its_worker_at_once() -> None:
    trials = [Curve((Signal((float(number),)),) * 9, (1.0,) * 9, (0.0,), feasible=True) for number in range(4)]
    result = replay(trials, workers=1, scheduler=SuccessiveHalving(first=1, reduction=2))
    assert result == Replay(epochs=(9, 1, 1, 1), finished=(0,), spent=(9.0,), worker_seconds=12.0, seconds=12.0)


def test_what_is_saved_is_the_time_of_the_steps_that_are_left_out() -> None:
    stages = (Stage.SET_UP, Stage.RELEASE, Stage.CHECKS)
    trials = [
        Curve((None, Signal((float(loss),)), None), (1.0, 2.0, 7.0), (0.0,), True, stages, stratum)
        for loss, stratum in ((0, "a"), (1, "a"), (1, "b"), (2, "b"))
    ]
    result = replay(trials, workers=1, scheduler=SuccessiveHalving(first=9, reduction=2))
    assert result.epochs == (3, 2, 3, 2)
    assert result.worker_seconds == 2 * 10.0 + 2 * 3.0
    assert result.spent == (10.0, 23.0)


@pytest.mark.parametrize("objectives", [1, 2])
def test_compute_is_saved_at_equal_hypervolume(objectives: int) -> None:
    saved, kept = [], []
    for seed in range(5):
        trials = curves(243, objectives, seed)
        whole = replay(trials, workers=16)
        early = replay(trials, workers=16, scheduler=SuccessiveHalving(first=3, reduction=3))
        saved.append(1.0 - early.worker_seconds / whole.worker_seconds)
        kept.append(hypervolume([trials[index] for index in early.finished]) / hypervolume(trials))
        assert early.seconds < whole.seconds
    assert np.mean(saved) > (0.6 if objectives == 1 else 0.4)
    assert np.mean(kept) > 0.97
    assert min(kept) > 0.9


def test_signals_that_say_nothing_lose_hypervolume() -> None:
    """The other side: what is saved is only worth something if the signal foretells the end."""
    kept = []
    for seed in range(5):
        trials = curves(243, 2, seed)
        shuffled = np.random.default_rng(seed).permutation(len(trials))
        misled = [
            Curve(trials[other].signals, own.seconds, own.losses, own.feasible)
            for own, other in zip(trials, shuffled, strict=True)
        ]
        early = replay(misled, workers=16, scheduler=SuccessiveHalving(first=3, reduction=3))
        kept.append(hypervolume([misled[index] for index in early.finished]) / hypervolume(misled))
    assert np.mean(kept) < 0.97


def test_hundreds_of_workers_take_no_time_and_repeat() -> None:
    trials = curves(1000, 2, 0)
    results = [replay(trials, workers=400, scheduler=SuccessiveHalving(3, 3)) for _ in range(2)]
    assert results[0] == results[1]
    assert len(results[0].finished) < 500


def test_a_replay_needs_workers_and_epochs() -> None:
    with pytest.raises(ValueError, match="workers=0"):
        replay([], workers=0)
    with pytest.raises(ValueError, match="needs a step, each with its time"):
        replay([Curve((), (), (0.0,), feasible=True)], workers=1)
    with pytest.raises(ValueError, match="needs a step, each with its time"):
        replay([Curve((None, None), (1.0,), (0.0,), feasible=True)], workers=1)
