"""Budgets in hours: what counts, when nothing new is started, and when running trials have to stop."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from study.config import Budget, StudyConfig
from study.progress import Progress
from study.resume import resumed_config
from study.spending import DEVICE, WALL, Spending
from tests.study.in_process import evaluate_all
from tests.study.test_searcher_contract import measured, new_study

MakeConfig = Callable[..., StudyConfig]


class Clock:
    """A clock that tests set, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_devices_are_counted_while_trials_hold_them(clock: Clock) -> None:
    spending = Spending(Budget(9), 0.5, {}, clock=clock)
    spending.started(0)
    clock.now = 10.0
    spending.started(1)
    clock.now = 30.0
    spending.ended(0)
    clock.now = 40.0
    assert spending.seconds == {WALL: 40.0, DEVICE: 0.5 * (30.0 + 30.0)}
    spending.ended(7)  # never started
    assert spending.seconds[DEVICE] == 30.0


def test_a_trial_counts_from_when_it_has_a_worker_and_once(make_config: MakeConfig, clock: Clock) -> None:
    study = new_study(make_config)
    study.searcher._spending = spending = Spending(Budget(9), 2.0, {}, clock=clock)
    study.searcher.suggest("a")
    clock.now = 100.0
    assert spending.seconds[DEVICE] == 0.0  # it waits for a device
    study.searcher.on_trial_start("a")
    clock.now = 110.0
    study.searcher.on_trial_start("a")  # restarted, as after the loss of its worker
    clock.now = 130.0
    assert spending.seconds[DEVICE] == 60.0
    study.searcher.on_trial_complete("a", {"report": measured()})
    clock.now = 200.0
    assert spending.seconds[DEVICE] == 60.0


def test_earlier_drivers_count(clock: Clock) -> None:
    spending = Spending(Budget(9, hours=2.0), 1.0, {WALL: 3600.0, DEVICE: 50.0}, clock=clock)
    clock.now = 1800.0
    assert spending.seconds == {WALL: 5400.0, DEVICE: 50.0}
    assert spending.wall_seconds_left == 1800.0


def test_without_limits_nothing_is_ever_used_up(clock: Clock) -> None:
    spending = Spending(Budget(9), 1.0, {}, clock=clock)
    clock.now = 1e9
    assert not spending.used_up
    assert not spending.overdue
    assert spending.wall_seconds_left == math.inf
    assert spending.describe() == ""


@pytest.mark.parametrize("budget", [Budget(9, hours=1.0), Budget(9, device_hours=2.0), Budget(9, 5.0, 2.0)])
def test_at_a_limit_nothing_is_started_and_after_the_grace_nothing_runs(clock: Clock, budget: Budget) -> None:
    spending = Spending(replace(budget, grace_minutes=5.0), 2.0, {}, clock=clock)
    spending.started(0)
    clock.now = 3599.0
    assert not spending.used_up
    assert spending.wall_seconds_left == pytest.approx(1.0)
    clock.now = 3600.0
    assert spending.used_up
    assert not spending.overdue
    spending.ended(0)  # what it gives back changes nothing
    clock.now = 3600.0 + 299.0
    assert not spending.overdue
    clock.now = 3600.0 + 300.0
    assert spending.overdue


def test_hours_are_described_for_people(clock: Clock) -> None:
    spending = Spending(Budget(9, hours=8.0, device_hours=4.0), 1.0, {}, clock=clock)
    clock.now = 5400.0
    assert spending.describe() == "1.50 of 8 h, 0.00 of 4 device-hours"


@pytest.mark.slow
def test_a_study_out_of_hours_ends_cleanly_says_so_and_goes_on_with_more(make_config: MakeConfig) -> None:
    config = make_config("budget.trials=30", "trial.seconds=0.05", "budget.hours=0.0002")  # 0.72 s
    stream = io.StringIO()
    assert evaluate_all(config, Progress(config.objective, 30, stream=stream))
    printed = stream.getvalue()
    assert "of 0.0002 h" in printed
    assert "the budget in hours is used up" in printed
    assert "[30/30]" not in printed

    stream = io.StringIO()
    assert evaluate_all(resumed_config(config.output, []), Progress(config.objective, 30, stream=stream))
    assert "resume with more hours to go on" in stream.getvalue(), "nothing is left of the hours of the first run"

    stream = io.StringIO()
    longer = resumed_config(config.output, ["budget.hours=1"])
    assert evaluate_all(longer, Progress(config.objective, 30, stream=stream))
    assert "[30/30]" in stream.getvalue()
