"""The arithmetic of the benchmarks of scaling and overhead, on studies whose answers are known."""

from __future__ import annotations

import pytest

from benchmarks.overhead import share
from benchmarks.scaling import Scaling, summarise, table


def test_slots_that_wait_a_tenth_of_the_time_have_an_efficiency_of_nine_tenths() -> None:
    slots, each, trials = 4, 9.0, 20
    ended = sorted(10.0 * (step + 1) + slot for slot in range(slots) for step in range(trials))
    result = summarise(slots, each, 210.0, ended, [0.01 * index for index in range(len(ended))], 100.0, 130.0)
    assert result.efficiency == pytest.approx(0.9)
    assert result.rate == pytest.approx(3600 * 0.4)
    assert result.driver_mb == 30.0


def test_a_driver_that_slows_down_shows_it_between_the_first_quarter_and_the_last() -> None:
    used = [0.01 * index + (0.03 * (index - 60) if index > 60 else 0.0) for index in range(80)]
    result = summarise(1, 1.0, 80.0, [float(index) for index in range(80)], used, 0.0, 0.0)
    assert result.first_quarter == pytest.approx(10.0)
    assert result.last_quarter == pytest.approx(38.5)


def test_the_table_has_a_row_for_each_number_of_slots_and_no_efficiency_of_trials_without_time() -> None:
    row = Scaling(8, 160, 0.0, 20.0, 0.0, 36000.0, 11.0, 12.0, 30.0, 200.0)
    lines = table([row, row]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {10}
    assert "| 8 | 160 | 0 |  | 36,000 |" in lines[2]


def test_time_is_busy_waiting_or_neither() -> None:
    rows = [{"seconds": 30.0, "finished": moment} for moment in (1035.0, 1036.0, 1067.0, 1071.0)]
    found = share(rows, slots=2, start=1000.0, end=1073.0)
    assert (found.busy, found.waiting) == (120.0, 4.0)
    assert found.rest == 2 * 73.0 - 124.0
    assert found.of_total == pytest.approx(22 / 142)
    assert found.of_trials_of(30) == pytest.approx(22 / 142)
    assert found.of_trials_of(60) == pytest.approx(22 / 262)
