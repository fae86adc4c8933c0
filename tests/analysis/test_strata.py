"""Many strata: families, secrets and channels together, in small multiples, in tables and in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.figures.strata import draw_strata
from analysis.fronts import strata_grids
from analysis.points import describe_points
from analysis.records import Study, load_study
from analysis.strata import best_first, split, summarise
from analysis.strata_tables import strata_tables
from analysis.summary import summarise as summarise_study

MakeStudy = Callable[..., Path]
CHANNELS = ["png", "jpeg75", "noise"]
STRATA = ["subversion.family", "subversion.secret", "channel"]
CHANNEL = {"kind": "categorical", "log": False, "unit": "1", "role": "scientific", "low": None, "high": None}


def with_channels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give trials channels in turn; nothing passes under noise, and learned trials never run under jpeg75."""
    changed = []
    for row in rows:
        channel = CHANNELS[row["trial"] // 2 % 3]
        if channel == "jpeg75" and row["param.subversion.family"] == "learned":
            channel = "png"
        stopped = {"feasible": False, "outcome": "infeasible", "constraint.steganalysis": 1.5}
        changed.append(row | {"param.channel": channel} | (stopped if channel == "noise" else {}))
    return changed


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    """Return a study over three strata."""
    return load_study(make_study(trials=36, change_rows=with_channels, metadata=metadata()))


def metadata(**changes: Any) -> dict[str, Any]:
    known = {"subversion.family": CHANNEL | {"values": ["keyed", "learned"]}, "channel": CHANNEL | {"values": CHANNELS}}
    return {"strata": STRATA, "parameters": known} | changes


def test_strata_come_in_the_order_of_the_space_and_unknown_values_last(study: Study) -> None:
    assert [item.value for item in split(study, ("channel",))] == CHANNELS
    assert [item.value for item in split(study, ("subversion.secret",))] == ["identity", "image"]
    assert split(study, ("subversion.family", "channel"))[0].value == "keyed · png"


def test_a_parameter_that_is_the_same_in_all_trials_or_not_recorded_is_no_stratum(make_study: MakeStudy) -> None:
    def only_png(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | {"param.channel": "png"} for row in rows]

    constant = load_study(make_study("constant", change_rows=only_png, metadata=metadata()))
    unrecorded = load_study(make_study("unrecorded", metadata=metadata()))
    for study in (constant, unrecorded):
        assert study.strata == ("subversion.family", "subversion.secret")
        assert "not set" not in strata_tables(study) + summarise_study(study).lead
    assert constant.parameters["channel"][0] == "png"


def test_a_grid_has_a_panel_for_each_combination_that_occurs_and_no_other(study: Study) -> None:
    grids = strata_grids(study)
    assert [next(iter(grid.panels.values())).x.name for grid in grids] == [
        "strong_identity_accuracy",
        "steganalysis_auc",
    ]
    occurring = {item.value for item in split(study, study.strata)}
    for grid in grids:
        assert grid.column_names == tuple(CHANNELS)
        assert {front.title for front in grid.panels.values()} == occurring
        assert {f"{grid.row_names[i]} · {grid.column_names[j]}" for i, j in grid.panels} == occurring
    measured = {row for front in grids[0].panels.values() for row in front.rows.tolist()}
    assert len(measured) == sum(len(front.rows) for front in grids[0].panels.values()) == 35


def test_a_study_of_one_stratum_needs_no_grid(make_study: MakeStudy) -> None:
    study = load_study(make_study(metadata={"strata": ["subversion.family"]}))
    assert strata_grids(study) == ()


def test_small_multiples_show_every_measured_trial_and_leave_out_empty_panels(study: Study) -> None:
    grid = strata_grids(study)[1]
    drawn = draw_strata(grid, describe_points(study))
    trials = [trial for trace in drawn.data for trial in trace.customdata or ()]
    assert sorted(trials) == sorted(int(study.trial[row]) for front in grid.panels.values() for row in front.rows)
    axes = [name for name in drawn.layout.to_plotly_json() if name.startswith("xaxis")]
    assert len(axes) == len(grid.panels) < len(grid.row_names) * len(grid.column_names)
    texts = [item.text for item in drawn.layout.annotations]
    assert all(f"<b>{channel}</b>" in texts for channel in CHANNELS)
    assert "0 of " in " ".join(texts)


def test_combinations_are_ranked_by_their_best_feasible_value(study: Study) -> None:
    found = best_first(study, split(study, study.strata))
    reached = [item.best_value for item in found if item.best_trial is not None]
    assert reached == sorted(reached, reverse=True)
    without = found[len(reached) :]
    assert all(item.best_trial is None for item in without)
    assert [item.nearest_margin for item in without] == sorted(item.nearest_margin for item in without)
    assert sum(item.trials for item in found) == len(study)


def test_a_stratum_says_which_checks_stopped_it(study: Study) -> None:
    noise = next(item for item in split(study, ("channel",)) if item.value == "noise")
    found = summarise(study, noise)
    assert (found.feasible, found.best_trial) == (0, None)
    assert found.stopped[0][0] == "steganalysis"
    assert found.stopped[0][1] <= found.trials
    silent = np.asarray([verdict == "missing" for verdict in study.verdicts["steganalysis"]])
    assert found.stopped[0][1] == int((noise.rows & ~silent).sum())


def test_tables_hold_single_strata_and_combinations(study: Study) -> None:
    html = strata_tables(study)
    assert html.count("<table") == 2
    assert "keyed · image · png" in html
    assert html.index("keyed · image · png") < html.index("learned · identity · noise")
    assert "none within every bound" in html


def test_the_summary_says_what_each_channel_let_through(study: Study) -> None:
    (text,) = [detail for detail in summarise_study(study).details if "by channel" in detail]
    assert "png 0." in text
    assert "No trial within every bound: noise." in text
