"""What the page knows of each trial: columns, curves, power, thumbnails, and no more than it has room for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import report
from analysis.feasibility import feasibility
from analysis.gallery import artifacts_address, embed_all, gallery_path
from analysis.history import MOST_STEPS, load_curves
from analysis.payload import column, numbers, page_data
from analysis.points import describe_points
from analysis.ranking import ranked, total_violation
from analysis.records import Study, load_study
from analysis.report import build_report
from analysis.tables import nearest_table

MakeStudy = Callable[..., Path]


def data_of(study: Study) -> dict:
    return page_data(study, feasibility(study), describe_points(study))


def test_columns_are_in_order_of_rank_and_lose_nothing_but_digits(whole_study: Path) -> None:
    study = load_study(whole_study)
    data = data_of(study)
    order = ranked(study)
    assert data["trials"] == study.trial[order].tolist()
    found = np.asarray([np.nan if v is None else v for v in data["objectives"][0]["value"]])
    np.testing.assert_allclose(found, study.objectives["reconstruction_ssim"][order], rtol=1e-4)
    for check in data["checks"]:
        assert len(check["margin"]) == len(study)


def test_a_column_of_one_value_is_that_value_and_what_json_cannot_hold_is_none() -> None:
    assert numbers(np.array([0.5, 0.5])) == 0.5
    assert numbers(np.array([np.nan, np.nan])) is None
    assert numbers(np.array([1.0, np.inf, 0.123456789])) == [1, None, 0.12346]
    assert column([True, True]) is True
    assert column([None, "a"]) == [None, "a"]


def test_the_power_of_a_check_is_beside_its_verdict(make_study: MakeStudy) -> None:
    def power(rows: list[dict]) -> list[dict]:
        names = {"power.steganalysis.withheld": 0.61, "power.steganalysis.violation": 0.64}
        return [row | names for row in rows]

    study = load_study(make_study(trials=4, change_rows=power))
    checks = {item["label"]: item for item in data_of(study)["checks"]}
    assert (checks["Steganalysis"]["withheld"], checks["Steganalysis"]["violation"]) == (0.61, 0.64)
    assert checks["Expression"]["violation"] is None
    assert checks["Expression"]["beyond"] == "baseline"


def write_history(folder: Path, epochs: int) -> None:
    steps = np.arange(1, epochs + 1)
    loss = np.where(steps % 2 == 0, np.nan, 1 / steps)
    table = pa.table({"trial": np.zeros(epochs, int), "epoch": steps, "loss.bits": loss, "signal.ssim": steps / epochs})
    pq.write_table(table, folder / "history.parquet")


def test_learning_curves_keep_their_ends_and_leave_out_what_was_not_measured(make_study: MakeStudy) -> None:
    folder = make_study(trials=2)
    write_history(folder, 300)
    curves = load_curves(folder, [0, 1])[0]
    steps, values = curves["loss.bits"]
    assert len(steps) == MOST_STEPS
    assert (steps[0], steps[-1]) == (1, 299)
    np.testing.assert_allclose(values, 1 / steps)
    assert list(curves) == ["signal.ssim", "loss.bits"]


def test_a_running_study_has_its_curves_from_the_parts(tmp_path: Path) -> None:
    pairs = pa.map_(pa.string(), pa.float64())
    step = pa.struct([("epoch", pa.int64()), ("losses", pairs), ("signals", pairs)])
    rows = [
        {"epoch": n, "losses": [("bits", 1.0 / n)], "signals": [("ssim", 0.1 * n)] if n > 1 else []} for n in (2, 1, 3)
    ]
    (tmp_path / "parts").mkdir()
    table = pa.table({"trial": [7], "history": pa.array([rows], pa.list_(step))})
    pq.write_table(table, tmp_path / "parts" / "00007.parquet")
    (tmp_path / "parts" / "00008.parquet").write_bytes(b"half a file")
    found = load_curves(tmp_path, [7, 8, 9])
    assert set(found) == {7}
    assert found[7]["loss.bits"][0].tolist() == [1, 2, 3]
    assert found[7]["signal.ssim"][1].tolist() == pytest.approx([0.2, 0.3])


def test_curves_of_the_best_trials_come_first_where_room_is_short(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_study()
    epochs = np.tile([1, 2, 3], 24)
    table = pa.table({"trial": np.repeat(np.arange(24), 3), "epoch": epochs, "loss.bits": 1.0 / epochs})
    pq.write_table(table, folder / "history.parquet")
    monkeypatch.setattr(report, "CURVES_BUDGET", 200)
    html = build_report(load_study(folder)).html
    assert '"curves":{"12":{"loss.bits":[[1,2,3],[1,0.5,0.33333]]}' in html
    assert '"0":{"loss.bits"' not in html


def test_thumbnails_fill_their_budget_and_the_rest_can_be_loaded(make_study: MakeStudy) -> None:
    folder = make_study(trials=4, crashed=(), galleries=(0, 1, 2, 3))
    found = embed_all(folder, [2, 0, 1, 3], {0, 1, 2, 3}, budget=6000, address="artifacts")
    assert found.whole is not None
    assert 2 in found.thumbnails
    assert found.left_out
    assert set(found.thumbnails) | set(found.left_out) == {0, 1, 2, 3}


def test_the_page_finds_galleries_from_wherever_it_lies(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = make_study("my study", trials=1)
    assert artifacts_address(folder, folder / "report.html") == "artifacts"
    assert artifacts_address(folder, tmp_path / "out" / "report.html") == "../my%20study/artifacts"
    assert gallery_path(folder, 3) == folder / "artifacts" / "3" / "gallery.png"


def test_without_a_feasible_trial_the_nearest_are_shown_by_total_violation(make_study: MakeStudy) -> None:
    folder = make_study(change_rows=lambda rows: [row for row in rows if not row["feasible"]])
    study = load_study(folder)
    total = total_violation(study)
    assert total.min() > 0
    best = study.trial[np.argsort(total, kind="stable")[:5]].tolist()
    html = build_report(study).html
    assert "Nearest trials" in html
    assert "No trial is within every bound" in nearest_table(study)
    places = [nearest_table(study).index(f'data-trial="{trial}"') for trial in best]
    assert places == sorted(places)
    assert f"trial {best[0]} (" in html
