"""Steganalysers in the settings of a study: metrics, and what they are expected to cost."""

from typing import Any

from models.checks.config import FAST_STEGANALYSERS, STEGANALYSERS
from models.checks.steganalysis.detection import CHANCE
from study.cli import resolve
from study.subverted_ppgan import EXPERIMENT, METRICS


def test_every_reading_of_every_steganalyser_is_a_metric_that_a_bound_may_name() -> None:
    assert {name for name in METRICS if name.startswith("steganalysis")} == set(CHANCE)
    assert all(METRICS[name].members == FAST_STEGANALYSERS for name in CHANCE)
    named = EXPERIMENT.metrics_of({}, {"steganalysers": ["spam", "positions"]})
    assert all(set(named[name].members) == {"spam", "positions"} for name in CHANCE)


def test_more_steganalysers_and_more_rates_are_forecast_to_cost_more() -> None:
    resolved = resolve([]).resolved
    adversaries = resolved["checks"]["adversaries"]

    def forecast(**changed: Any) -> float:
        return EXPERIMENT.forecast_seconds([resolved["trial"]] * 4, resolved["data"], {**adversaries, **changed}, "cpu")

    one = forecast(steganalysers=["high_pass"])
    for name in STEGANALYSERS[1:]:
        assert forecast(steganalysers=["high_pass", name]) > one
    more = {**adversaries["controls"], "fainter_rates": [0.2, 0.1, 0.05]}
    assert one < forecast() < forecast(controls=more)
