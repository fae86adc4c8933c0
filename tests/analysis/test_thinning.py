"""Large studies: what is drawn of them holds every front, and counts stay those of all trials."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from analysis import thinning
from analysis.feasibility import feasibility
from analysis.fronts import front_mask
from analysis.pareto import nondominated
from analysis.ranking import ranked
from analysis.records import load_study
from analysis.report import build_report
from analysis.thinning import directed_axes, shown_rows, take, take_chances

MakeStudy = Callable[..., Path]


def test_a_study_of_usual_size_is_shown_whole(make_study: MakeStudy) -> None:
    study = load_study(make_study())
    assert shown_rows(study, feasibility(study)).tolist() == list(range(len(study)))


def test_no_front_of_any_two_axes_loses_a_trial(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MOST_SHOWN", 20)
    study = load_study(make_study(trials=150))
    chances = feasibility(study)
    rows = shown_rows(study, chances)
    assert len(rows) < len(study)
    kept = set(rows.tolist())
    assert set(np.flatnonzero(front_mask(study))) <= kept
    assert set(ranked(study)[:10].tolist()) <= kept
    for (one, up), (other, right) in combinations(directed_axes(study, chances), 2):
        for group in (np.ones(len(study), dtype=bool), study.feasible):
            pair = np.where(group[:, None], np.stack([one, other], axis=1), np.nan)
            assert set(np.flatnonzero(nondominated(pair, (up, right)))) <= kept


def test_a_part_of_a_study_has_its_columns_row_by_row(make_study: MakeStudy) -> None:
    study = load_study(make_study())
    chances = feasibility(study)
    rows = np.array([3, 12, 20])
    part, some = take(study, rows), take_chances(chances, rows)
    assert part.trial.tolist() == [3, 12, 20]
    assert part.outcome == tuple(study.outcome[row] for row in rows)
    assert part.parameters["subversion.strength"] == tuple(study.parameters["subversion.strength"][r] for r in rows)
    name = "strong_identity_accuracy.plain"
    np.testing.assert_array_equal(part.metrics[name].low, study.metrics[name].low[rows])
    np.testing.assert_array_equal(some.probability, feasibility(part).probability)
    assert part.schema is study.schema
    assert part.controls == study.controls


def test_a_thinned_report_says_so_and_counts_all_trials(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MOST_SHOWN", 10)
    study = load_study(make_study(trials=120))
    html = build_report(study).html
    drawn = len(shown_rows(study, feasibility(study)))
    assert f"{drawn} of 120 trials are drawn" in html
    assert "120 trials finished" in html
