"""Who is stopped, who never is, and what the signal is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from study.bounds import CLIP
from study.evaluation import Stage
from study.schedulers import Decision, Limit, Signal, SignalSource, SuccessiveHalving


def decisions(signals: list[Signal], epoch: int = 1) -> list[Decision]:
    scheduler = SuccessiveHalving(first=1, reduction=3)
    return [scheduler.decide(str(index), epoch, signal) for index, signal in enumerate(signals)]


def test_with_one_objective_it_is_successive_halving() -> None:
    losses = np.random.default_rng(0).permutation(90).astype(float)
    decided = decisions([Signal((loss,)) for loss in losses])
    for index, decision in enumerate(decided):
        better = int((losses[: index + 1] < losses[index]).sum())
        expected = index < 2 or better < math.ceil((index + 1) / 3)
        assert (decision is Decision.CONTINUE) == expected
    assert 0.25 < np.mean([decision is Decision.CONTINUE for decision in decided]) < 0.5


def test_nobody_on_the_front_is_stopped() -> None:
    angles = np.random.default_rng(0).uniform(0, np.pi / 2, 60)
    front = [Signal((1 - math.cos(angle), 1 - math.sin(angle))) for angle in angles]
    assert set(decisions(front)) == {Decision.CONTINUE}
    inside = [Signal((signal.losses[0] + 1.0, signal.losses[1] + 1.0)) for signal in front]
    assert set(decisions([*front, *inside])[60:]) == {Decision.STOP}


def test_early_feasibility_alone_neither_stops_nor_saves() -> None:
    equal = [Signal((1.0,), violation) for violation in (0.0, 3.0, 0.0, 2.5, 0.0, 1.0, 9.0)]
    assert set(decisions(equal)) == {Decision.CONTINUE}
    best_but_infeasible = [*(Signal((1.0 + number,)) for number in range(20)), Signal((0.5,), 9.0)]
    assert decisions(best_but_infeasible)[-1] is Decision.CONTINUE
    worst_but_feasible = [*(Signal((float(number),)) for number in range(20)), Signal((30.0,))]
    assert decisions(worst_but_feasible)[-1] is Decision.STOP


def test_worse_in_everything_is_stopped_whatever_the_number_of_objectives() -> None:
    good = [Signal((0.1 * number, 1 - 0.1 * number, 0.5), 0.1) for number in range(10)]
    assert decisions([*good, Signal((2.0, 2.0, 2.0), 0.2)])[-1] is Decision.STOP


def test_each_rung_is_entered_once() -> None:
    scheduler = SuccessiveHalving(first=2, reduction=2)
    for trial, loss in (("a", 0.0), ("b", 1.0), ("c", 2.0)):
        assert scheduler.decide(trial, 1, Signal((9.0,))) is Decision.CONTINUE  # no rung yet
        decided = scheduler.decide(trial, 2, Signal((loss,)))
        assert decided is (Decision.CONTINUE if trial == "a" else Decision.STOP)
    for _ in range(20):  # as after a lost worker: counted once, so that nobody's rank changes
        assert scheduler.decide("a", 2, Signal((5.0,))) is Decision.CONTINUE
    assert scheduler.decide("d", 3, Signal((0.5,))) is Decision.CONTINUE  # late, but second of four
    assert scheduler.decide("e", 3, Signal((1.5,))) is Decision.STOP


@pytest.mark.parametrize("signal", [None, Signal(()), Signal((math.nan,)), Signal((1.0,), math.inf)])
def test_without_a_usable_signal_nobody_is_stopped(signal: Signal | None) -> None:
    scheduler = SuccessiveHalving(1, 2)
    for index in range(10):
        scheduler.decide(str(index), 1, Signal((0.0,)))
    assert scheduler.decide("last", 1, signal) is Decision.CONTINUE


def test_a_signal_is_made_of_named_signals_in_their_directions() -> None:
    source = SignalSource({"ssim": -1, "auc": 1}, (Limit("identity", 0.3, 0.6), Limit("utility", 0.5, -0.1)))
    reported = {"ssim": 0.7, "auc": 0.6, "identity": 0.35, "utility": 0.4, "loss": 3.0}
    signal = source.read(reported)
    assert signal is not None
    assert signal.losses == (-0.7, 0.6)
    assert signal.violation == pytest.approx(0.5 + 0.5)
    inside = source.read({**reported, "identity": 0.2, "utility": 0.9})
    assert inside is not None
    assert inside.violation == 0.0
    beyond = source.read({**reported, "identity": 0.9, "utility": 0.5})
    assert beyond is not None
    assert beyond.violation == CLIP
    assert (signal.hopeless, inside.hopeless, beyond.hopeless) == (False, False, True)
    assert source.read({**reported, "auc": math.nan}) is None
    assert source.read({**reported, "utility": math.nan}) is None
    assert source.read({"ssim": 0.7, "auc": 0.6}) is None


def test_strata_do_not_compete() -> None:
    scheduler = SuccessiveHalving(1, 2)
    for number in range(6):
        scheduler.decide(f"good {number}", 1, Signal((0.0,)), stratum="good")
    assert scheduler.decide("a", 1, Signal((9.0,)), stratum="bad") is Decision.CONTINUE
    assert scheduler.decide("b", 1, Signal((10.0,)), stratum="bad") is Decision.STOP
    assert scheduler.decide("c", 1, Signal((9.0,)), stratum="good") is Decision.STOP


def test_a_trial_without_a_result_stops_nobody() -> None:
    scheduler = SuccessiveHalving(1, 2)
    for trial, loss in (("a", 1.0), ("crashed", 0.0), ("b", 2.0)):
        scheduler.decide(trial, 1, Signal((loss,)))
    scheduler.forget("crashed")
    scheduler.forget("unknown")
    assert scheduler.decide("again", 1, Signal((0.1,))) is Decision.CONTINUE
    assert scheduler.decide("c", 1, Signal((0.2,))) is Decision.CONTINUE  # second of four, behind one
    assert scheduler.decide("d", 1, Signal((1.5,))) is Decision.STOP  # behind three, ahead of one


def test_before_the_checks_trials_of_any_number_of_epochs_meet() -> None:
    scheduler = SuccessiveHalving(first=2, reduction=2)
    decided = [
        scheduler.decide(str(epoch), epoch, Signal((loss,)), stage=Stage.RELEASE)
        for epoch, loss in ((2, 0.0), (7, 1.0), (12, 2.0))
    ]
    assert decided == [Decision.CONTINUE, Decision.STOP, Decision.STOP]
    assert scheduler.decide("4", 2, Signal((9.0,))) is Decision.CONTINUE  # the rung of epoch 2 is another: alone there
    without = SuccessiveHalving(first=2, reduction=2, before_checks=False)
    for loss in (0.0, 1.0, 2.0):
        assert without.decide(str(loss), 5, Signal((loss,)), stage=Stage.RELEASE) is Decision.CONTINUE


def test_what_a_check_will_refuse_for_certain_is_stopped_before_the_checks_and_no_earlier() -> None:
    scheduler = SuccessiveHalving(first=1, reduction=2)
    hopeless = Signal((0.0,), CLIP, hopeless=True)
    assert scheduler.decide("a", 1, hopeless) is Decision.CONTINUE
    assert scheduler.decide("a", 2, hopeless, stage=Stage.RELEASE) is Decision.STOP
    assert scheduler.decide("b", 2, Signal((9.0,), CLIP - 0.1), stage=Stage.RELEASE) is Decision.CONTINUE


@pytest.mark.parametrize("stage", [Stage.SET_UP, Stage.CHECKS])
def test_nobody_is_stopped_while_setting_up_or_after_the_checks(stage: Stage) -> None:
    scheduler = SuccessiveHalving(1, 2)
    for loss in range(5):
        assert scheduler.decide(str(loss), 3, Signal((loss,)), stage=stage) is Decision.CONTINUE


@pytest.mark.parametrize(("first", "reduction"), [(0, 3), (1, 1)])
def test_impossible_settings_are_refused(first: int, reduction: int) -> None:
    with pytest.raises(ValueError, match=r"first=.*reduction="):
        SuccessiveHalving(first, reduction)
