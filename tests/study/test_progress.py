"""Progress: what a person reads while a study runs."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from study.config import StudyConfig
from study.objective import Score, unmeasured
from study.outcomes import Outcome
from study.progress import Progress, duration

MakeConfig = Callable[..., StudyConfig]


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(make_config: MakeConfig, clock: Clock, stream: io.StringIO) -> Progress:
    return Progress(make_config().objective, 4, stream=stream, clock=clock)


def scored(quality: float, leak: float) -> Score:
    outcome = Outcome.OK if leak <= 0 else Outcome.INFEASIBLE
    return Score({"quality": quality, "leak": 0.2}, {"leak": leak, "detectability": -1.0}, {}, outcome)


def test_each_line_tells_budget_feasible_share_best_and_time_left(
    progress: Progress, clock: Clock, stream: io.StringIO
) -> None:
    clock.now = 60.0
    progress.finished(1, scored(0.9, 1.0), 55.0, run_again=False)
    progress.finished(0, scored(0.8, -0.5), 58.0, run_again=False)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("[1/4] trial 1: infeasible, quality 0.900, violates leak after 55 s")
    assert "feasible 0/1" in first
    assert "none feasible yet" in first
    assert second.startswith("[2/4] trial 0: ok, quality 0.800 after 58 s")
    assert "feasible 1/2" in second
    assert "best feasible quality 0.800 (trial 0)" in second  # not the better infeasible one
    assert "about 60 s left" in second


def test_a_check_that_could_not_judge_is_told_apart_from_a_violation(progress: Progress, stream: io.StringIO) -> None:
    verdicts = {"leak": "missing", "detectability": "violation"}
    score = Score({"quality": 0.9}, {"leak": 3.0, "detectability": 1.0}, verdicts, Outcome.CHECK_MISSING)
    progress.finished(0, score, 1.0, run_again=False)
    assert "check missing, quality 0.900, violates detectability, not judged: leak" in stream.getvalue()


def test_a_trial_that_is_run_again_is_not_counted(
    make_config: MakeConfig, progress: Progress, stream: io.StringIO
) -> None:
    crashed = unmeasured(make_config().objective, Outcome.CRASHED)
    progress.finished(0, crashed, 1.0, run_again=True, error="RuntimeError: no")
    line = stream.getvalue()
    assert line.startswith("[0/4] trial 0: crashed after 1 s, will be run again (RuntimeError: no)")


def test_a_long_silence_is_broken_by_what_is_running(progress: Progress, clock: Clock, stream: io.StringIO) -> None:
    progress.started(0)
    progress.started(1)
    progress.epoch(1, 4)
    clock.now = 20.0
    progress.heartbeat()
    assert stream.getvalue() == ""
    clock.now = 40.0
    progress.heartbeat()
    progress.heartbeat()
    assert stream.getvalue() == "[0/4] running for 40 s: trial 0 (epoch 0), trial 1 (epoch 4)\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (45, "45 s"), (600, "10 min"), (5399, "90 min"), (12000, "3 h 20 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds).replace("1 h 30 min", "90 min") == text
