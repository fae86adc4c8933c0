"""Studies with several seeds a configuration: the report says how many, and how far the means may be off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.feasibility import feasibility
from analysis.payload import page_data
from analysis.points import describe_points
from analysis.records import Study, load_study
from analysis.report import build_report
from analysis.tables import trials_table

MakeStudy = Callable[..., Path]


def with_seeds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the trials of even number three seeds."""
    objectives = [name.removeprefix("objective.") for name in rows[0] if name.startswith("objective.")]
    return [
        row
        | {"replicates": 1 if row["trial"] % 2 else 3}
        | {f"standard_error.{name}": None if row["trial"] % 2 else 0.014 for name in objectives}
        for row in rows
    ]


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return load_study(make_study(change_rows=with_seeds))


def seed_shown(study: Study, trial: int) -> str:
    data = page_data(study, feasibility(study), describe_points(study))
    return str(data["seed"][data["trials"].index(trial)])


def test_hover_table_and_panel_tell_seeds_and_standard_error(study: Study) -> None:
    three, one = describe_points(study).hover[2], describe_points(study).hover[1]
    assert "± 0.014" in three
    assert "means over 3 seeds, ± standard error" in three
    assert "±" not in one
    html = trials_table(study, study.trial)
    assert '<th scope="col" data-kind="seeds">Seeds</th>' in html
    assert "± 0.014" in html
    assert (seed_shown(study, 2), seed_shown(study, 1)) == ("1002 and 2 more", "1001")
    assert "means over these, ± their standard error" in build_report(study).html


def test_a_study_of_one_seed_says_nothing_of_seeds(whole_study: Path) -> None:
    study = load_study(whole_study)
    assert set(study.replicates) == {1}
    assert "Seeds" not in trials_table(study, study.trial)
    assert "±" not in describe_points(study).hover[2]
    assert seed_shown(study, 2) == "1002"
