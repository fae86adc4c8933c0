"""Powers and paired limits are kept with each trial, and survive replicates and a restart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from models.measurement import Measurement
from study.config import StudyConfig
from study.empty import EXPERIMENT
from study.objective import score, unmeasured
from study.outcomes import Outcome
from study.power import Power
from study.records import FinishedTrial, Records, read_parts
from study.replicate_records import ReplicateRecords
from study.replicates import aggregate

MakeConfig = Callable[..., StudyConfig]


def leak(value: float, half: float = 0.02) -> Measurement:
    excess = value - 0.2
    limits = {"excess_low": excess - half, "excess_high": excess + half, "half_width": half}
    return Measurement(value, value - 0.03, value + 0.03, 0.2, 0.18, 0.22, 1 / 6, 1 / 6, **limits)  # type: ignore[arg-type]


METRICS = {
    "quality": Measurement(0.9, 0.88, 0.92),
    "leak.plain": leak(0.2),
    "leak.high_pass": leak(0.22, 0.01),
    "detectability": Measurement(0.52, 0.5, 0.54, chance=0.5, half_width=0.02),
}


def finished(config: StudyConfig, metrics: dict[str, Measurement]) -> FinishedTrial:
    result = score(config.objective, EXPERIMENT.metrics, metrics)
    return FinishedTrial(0, {"shape": "round", "x": 0.5}, 7, result, metrics, (), (), 1.0, 1e9)


def test_what_each_check_would_have_found_is_recorded_and_read_back(make_config: MakeConfig) -> None:
    config = make_config()
    records = Records(config, EXPERIMENT.metrics)
    trial = finished(config, METRICS)
    records.write(trial)
    row = read_parts(config.output)[0]
    assert set(trial.score.power) == {"leak", "detectability"}
    assert Power(row["power.leak.withheld"], row["power.leak.violation"]) == trial.score.power["leak"]
    assert row["power.leak.violation"] > 0.05 + 0.02
    assert row["metric.leak.plain.excess_high"] == pytest.approx(0.02)
    assert records.read_score(row).power == trial.score.power
    records.write(replace(trial, score=unmeasured(config.objective, Outcome.CRASHED), metrics={}))
    row = read_parts(config.output)[0]
    assert row["power.leak.violation"] is None
    assert records.read_score(row).power == {}


def test_a_replicate_keeps_its_paired_limits(make_config: MakeConfig) -> None:
    config = make_config("replicates=2")
    replicates = ReplicateRecords(config.output, Records(config, EXPERIMENT.metrics))
    replicates.write(finished(config, METRICS), 0)
    again = replicates.read(0, {"shape": "round", "x": 0.5})[0]
    assert again.metrics["leak.plain"] == METRICS["leak.plain"]


def test_the_mean_over_seeds_has_a_paired_interval_that_holds_their_spread() -> None:
    seeds = [{"leak": leak(value)} for value in (0.21, 0.21, 0.21)]
    same = aggregate(seeds)["leak"]
    assert (same.excess_low, same.excess_high, same.half_width) == pytest.approx((-0.01, 0.03, 0.02))
    spread = aggregate([{"leak": leak(value)} for value in (0.19, 0.21, 0.23)])["leak"]
    seed_error = 4.302653 * 0.02 / math.sqrt(3)
    half = math.hypot(0.02, seed_error)
    assert (spread.excess_low, spread.excess_high) == pytest.approx((0.01 - half, 0.01 + half))
    assert spread.half_width == pytest.approx(half)
    unpaired = replace(leak(0.21), excess_low=None, excess_high=None, half_width=None)
    mixed = aggregate([{"leak": unpaired}, {"leak": leak(0.2)}])["leak"]
    assert (mixed.excess_low, mixed.excess_high, mixed.half_width) == (None, None, None)
