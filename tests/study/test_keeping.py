"""Who keeps weights: the front, the best few of every stratum, and what a quota has room for."""

from __future__ import annotations

import math
from random import Random

import pytest

from study.bounds import CLIP, parse_bound
from study.keeping import GIGABYTE, Decision, Judged, Keep, decide, judged, read_keep
from study.objective import MAXIMISE, MINIMISE, Objective, ObjectiveConfig


def trial(number: int, *losses: float, stratum: str = "a", violation: float = -1.0) -> Judged:
    return Judged(number, (stratum,), violation <= 0, violation, losses)


def decided(trials: list[Judged], best: int, room: float | None = None, size: int = 1, held: int = 0) -> Decision:
    """Decide with ``room`` in units of weights of one trial."""
    limit = None if room is None else room * size / GIGABYTE
    return decide(trials, {one.number: size for one in trials}, held, Keep(best, limit))


def test_the_front_is_kept_whatever_its_rank() -> None:
    line = [trial(number, number, -number) for number in range(5)]  # none dominates another
    dominated = trial(9, 2.5, -1.0)
    assert decided([*line, dominated], best=0).kept == {0, 1, 2, 3, 4}


def test_a_front_in_a_pair_of_objectives_counts_where_a_third_was_not_measured() -> None:
    trials = [trial(0, 0.0, 0.0, 0.0), trial(1, -1.0, 1.0, math.nan), trial(2, 1.0, 1.0, math.nan)]
    assert decided(trials, best=0).front == {0, 1}


def test_infeasible_trials_are_on_no_front_and_dominate_nothing() -> None:
    trials = [trial(0, 1.0, 1.0), trial(1, 0.0, 0.0, violation=0.1)]
    assert decided(trials, best=0).kept == {0}


def test_the_best_are_feasible_ones_first_then_the_nearest_misses() -> None:
    trials = [
        trial(0, 5.0),
        trial(1, 4.0),
        trial(2, 0.0, violation=0.5),
        trial(3, 1.0, violation=0.1),
        trial(4, 1.0, violation=0.5),
    ]
    assert [sorted(decided(trials, best).kept) for best in (1, 2, 3, 4)] == [[1], [0, 1], [0, 1, 3], [0, 1, 2, 3]]


def test_what_was_not_measured_is_never_among_the_best() -> None:
    assert decided([trial(0, math.nan, violation=CLIP), trial(1, 1.0, violation=CLIP)], best=5).kept == {1}


def test_every_stratum_has_its_own_front_and_its_own_best() -> None:
    trials = [trial(number, float(number), stratum="a" if number < 4 else "b") for number in range(8)]
    assert decided(trials, best=2).kept == {0, 1, 4, 5}
    assert decided(trials, best=0).front == {0, 4}


def test_a_full_quota_takes_the_last_places_first_and_the_front_never() -> None:
    trials = [trial(number, float(number), stratum="ab"[number % 2]) for number in range(8)]
    assert decided(trials, best=4, room=8).kept == set(range(8))
    tight = decided(trials, best=4, room=5)
    assert tight.kept == {0, 1, 2, 3, 4}
    assert tight.given_up == {5, 6, 7}
    assert not tight.front_too_large
    none = decided(trials, best=4, room=1)
    assert none.kept == none.front == {0, 1}
    assert none.front_too_large


def test_what_running_trials_hold_counts() -> None:
    trials = [trial(0, 0.0), trial(1, 1.0)]
    assert decided(trials, best=2, room=3, held=1).kept == {0, 1}
    assert decided(trials, best=2, room=3, held=2).kept == {0}
    assert decided(trials, best=2, room=3, held=3).front_too_large


def test_trials_that_are_gone_never_come_back() -> None:
    """What is decided of more trials is decided of those that were kept before: so removing at once is safe."""
    random = Random(0)
    trials = [
        Judged(number, (random.randrange(3),), violation <= 0, violation, (random.random(), random.random()))
        for number, violation in enumerate(random.uniform(-1.0, 1.0) for _ in range(80))
    ]
    gone: set[int] = set()
    for count in range(1, 81):
        kept = decided(trials[:count], best=3).kept
        assert not kept & gone
        gone |= {one.number for one in trials[:count]} - kept
    assert len(gone) > 40


def test_a_record_is_judged_by_its_objectives_and_worst_margin() -> None:
    config = ObjectiveConfig(
        (
            Objective("leak", "leak", MINIMISE, "1", "Leak", searched=False, worst=1.0),
            Objective("quality", "quality", MAXIMISE, "1", "Quality", searched=True, worst=0.0),
        ),
        (parse_bound("a", "leak <= 0.5", 1.0), parse_bound("b", "leak <= 0.6", 1.0)),
    )
    row = {
        "trial": 3,
        "feasible": False,
        "objective.quality": 0.7,
        "objective.leak": None,
        "constraint.a": -0.2,
        "constraint.b": 0.4,
        "param.shape": "round",
        "param.y": None,
    }
    found = judged(row, config, ("shape", "y"))
    assert (found.number, found.stratum, found.feasible, found.violation) == (3, ("round", None), False, 0.4)
    assert found.losses[0] == -0.7  # the searched one first
    assert math.isnan(found.losses[1])
    assert judged({**row, "constraint.a": None}, config, ()).violation == CLIP
    assert not judged({**row, "objective.quality": math.nan}, config, ()).measured


def test_null_keeps_everything_and_wrong_values_are_named() -> None:
    problems: list[str] = []
    assert read_keep(None, problems) is None
    assert read_keep({"best": 3, "gigabytes": None}, problems) == Keep(3, None)
    assert not problems
    read_keep({"best": -1, "gigabytes": "much", "worst": 2}, problems)
    text = "\n".join(problems)
    assert "keep.best=-1 must be a whole number >= 0" in text
    assert "keep.gigabytes='much' must be a number >= 0" in text
    assert "keep.worst is no option" in text
    with pytest.raises(AttributeError):
        Keep(1, 1.0).best = 2  # type: ignore[misc]
