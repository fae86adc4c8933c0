"""What checks would have found: read from the records, shown beside the verdicts, and never guessed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.check_tables import checks_table
from analysis.checks import summarise_checks
from analysis.records import load_study

MakeStudy = Callable[..., Path]


def powered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {
        "power.strong_identity.withheld": 0.0,
        "power.strong_identity.violation": 0.125,
        "power.steganalysis.withheld": 0.58,
        "power.steganalysis.violation": 0.65,
        "metric.strong_identity_accuracy.plain.excess_low": -0.02,
        "metric.strong_identity_accuracy.plain.excess_high": 0.02,
        "metric.strong_identity_accuracy.plain.half_width": 0.02,
    }
    return [{**row, **known} for row in rows]


def test_the_table_of_checks_says_what_each_would_have_found(make_study: MakeStudy) -> None:
    study = load_study(make_study(trials=6, change_rows=powered))
    checks = {item.constraint.check: item for item in summarise_checks(study)}
    assert (checks["strong_identity"].withheld, checks["strong_identity"].violation) == (0.0, 0.125)
    html = checks_table(study, tuple(checks.values()))
    assert "Would have found" in html
    assert "nothing passes<br>violation \u2265 0.125 beyond baseline" in html
    assert "no pass \u2265 0.580<br>violation \u2265 0.650</td>" in html


def test_columns_that_verdicts_were_computed_from_are_no_metrics_of_their_own(make_study: MakeStudy) -> None:
    study = load_study(make_study(trials=6, change_rows=powered))
    assert not [name for name in study.metrics if name.endswith(("excess_low", "excess_high", "half_width"))]


def test_records_without_power_say_that_it_is_not_known(make_study: MakeStudy) -> None:
    study = load_study(make_study(trials=6))
    assert np.isnan(study.power["steganalysis"]["violation"]).all()
    assert checks_table(study, summarise_checks(study)).count("not known") == len(study.schema.constraints)
