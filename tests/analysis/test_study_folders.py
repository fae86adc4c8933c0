"""Reading a study folder: what is kept, what is refused, what fails closed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.errors import AnalysisError
from analysis.records import load_study

MakeStudy = Callable[..., Path]


def test_a_finished_study_keeps_every_column(make_study: MakeStudy) -> None:
    study = load_study(make_study())
    assert study.trial.tolist() == list(range(24))
    assert study.finished_writing
    assert study.schema.study == "keyed-or-learned"
    assert study.schema.objectives[0] is study.schema.primary
    assert study.schema.primary.name == "reconstruction_ssim"
    assert set(study.members("strong_identity_accuracy")) == {
        f"strong_identity_accuracy.{member}" for member in ("plain", "high_pass", "bit_plane")
    }
    plain = study.metrics["strong_identity_accuracy.plain"]
    assert plain.baseline[0] == 0.27
    assert (plain.low <= plain.value)[~np.isnan(plain.value)].all()
    assert study.metrics["strong_identity_accuracy.bit_plane"].votes.tolist().count(False) == 2
    assert study.seed[3] == 1003
    assert study.error[9] is not None


def test_inactive_parameters_are_none_and_categories_keep_their_type(make_study: MakeStudy) -> None:
    parameters = {"mixed": {"kind": "categorical", "values": [1, "one", 2.5], "role": "nuisance"}}

    def add(rows: list[dict]) -> list[dict]:
        return [row | {"param.mixed": ("1", "one", "2.5", None)[row["trial"] % 4]} for row in rows]

    study = load_study(make_study(trials=4, change_rows=add, metadata={"parameters": parameters}))
    assert study.parameters["mixed"] == (1, "one", 2.5, None)
    assert study.parameters["subversion.learned.key"][0] is None


def test_numbers_not_measured_are_nan(make_study: MakeStudy) -> None:
    study = load_study(make_study())
    assert np.isnan(study.objectives["steganalysis_auc"][5])
    assert np.isnan(study.objectives["reconstruction_ssim"][9])
    assert np.isnan(study.metrics["cover_psnr"].baseline).all()


def test_a_running_study_is_read_from_its_parts(make_study: MakeStudy) -> None:
    whole, running = load_study(make_study("whole")), load_study(make_study("running", finished=False))
    assert not running.finished_writing
    assert running.trial.tolist() == whole.trial.tolist()
    for name, values in whole.objectives.items():
        np.testing.assert_array_equal(running.objectives[name], values)
    assert sorted(running.controls, key=repr) == sorted(whole.controls, key=repr)


def test_a_study_resumed_after_its_end_shows_its_new_trials(make_study: MakeStudy) -> None:
    folder, more = make_study("first", trials=6, parts=True), make_study("more", trials=8, finished=False)
    for trial in (6, 7):
        name = f"parts/{trial:05d}.parquet"
        (folder / name).write_bytes((more / name).read_bytes())
    study = load_study(folder)
    assert study.trial.tolist() == list(range(8))
    assert not study.finished_writing
    assert len({(item.trial, item.check, item.adversary, item.control) for item in study.controls}) == len(
        study.controls
    )


def test_order_of_rows_does_not_matter(make_study: MakeStudy) -> None:
    one = load_study(make_study("one"))
    other = load_study(make_study("other", change_rows=lambda rows: rows[::-1]))
    np.testing.assert_array_equal(one.objectives["reconstruction_ssim"], other.objectives["reconstruction_ssim"])
    assert one.parameters == other.parameters


def test_feasible_fails_closed_on_a_missing_or_positive_margin(make_study: MakeStudy) -> None:
    def spoil(rows: list[dict]) -> list[dict]:
        rows[2]["constraint.expression"] = None
        rows[4]["constraint.expression"] = 0.5
        return rows

    study = load_study(make_study(change_rows=spoil))
    assert not study.feasible[[2, 4]].any()
    assert any("counted as infeasible: trial 2, 4" in warning for warning in study.warnings)


def test_a_damaged_part_is_left_out_and_named(make_study: MakeStudy) -> None:
    folder = make_study(trials=4, finished=False)
    (folder / "parts" / "00002.parquet").write_bytes(b"PAR1 half a file")
    study = load_study(folder)
    assert study.trial.tolist() == [0, 1, 3]
    assert any("00002.parquet" in warning for warning in study.warnings)


def test_an_unknown_schema_version_is_refused_with_what_is_supported(make_study: MakeStudy) -> None:
    with pytest.raises(AnalysisError, match=r"schema version 7; this code reads version 1\. Use the code revision"):
        load_study(make_study(metadata={"schema_version": 7}))


def test_files_without_study_metadata_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"trial": [1]}), tmp_path / "trials.parquet")
    with pytest.raises(AnalysisError, match="no 'study' metadata"):
        load_study(tmp_path)


def test_all_gaps_in_the_metadata_are_named_at_once(make_study: MakeStudy) -> None:
    broken = {"objectives": {"a": {"direction": "up"}, "b": {}}, "constraints": {"c": {"bound": "x <= 1"}}}
    with pytest.raises(AnalysisError) as caught:
        load_study(make_study(trials=2, metadata=broken))
    for part in ("objectives.a", "'up'", "objectives.b", "constraints.c"):
        assert part in str(caught.value)


def test_columns_that_the_metadata_promise_must_be_there(make_study: MakeStudy) -> None:
    def drop(rows: list[dict]) -> list[dict]:
        return [{k: v for k, v in row.items() if k not in ("feasible", "constraint.expression")} for row in rows]

    with pytest.raises(AnalysisError, match=r"feasible, constraint\.expression"):
        load_study(make_study(change_rows=drop))


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="is no folder"):
        load_study(tmp_path / "nowhere")
    with pytest.raises(AnalysisError, match="is no study folder"):
        load_study(tmp_path)


def test_a_study_without_trials_says_to_wait(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: fresh\n")
    with pytest.raises(AnalysisError, match="no finished trial yet"):
        load_study(tmp_path)


def test_a_broken_environment_is_left_out_with_a_warning(make_study: MakeStudy) -> None:
    folder = make_study(trials=2)
    (folder / "environment.json").write_text("{")
    study = load_study(folder)
    assert study.environment == {}
    assert any("environment.json" in warning for warning in study.warnings)
    (folder / "environment.json").write_text(json.dumps({"packages": {"torch": "2.9"}}))
    assert load_study(folder).environment["packages"] == {"torch": "2.9"}
