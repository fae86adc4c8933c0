"""Records: typed, durable, readable at any moment, and self-describing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.measurement import Control, Measurement
from study.config import StudyConfig
from study.empty import EXPERIMENT
from study.evaluation import Context, Stage
from study.objective import score, unmeasured
from study.outcomes import Outcome
from study.records import SCHEMA_VERSION, Epoch, FinishedTrial, Records, read_parts, write_table

MakeConfig = Callable[..., StudyConfig]
CONTROL = Control("leak", "plain", "pass_through", 0.99, 0.97, 1.0, ">= 0.9", True)


def finished(config: StudyConfig, number: int, parameters: dict[str, Any]) -> FinishedTrial:
    context = Context({}, {}, Path(), Path(), "cpu")
    metrics = EXPERIMENT.start({**config.trial, **parameters, "epochs": 1}, 0, context).step().metrics
    return FinishedTrial(
        number=number,
        parameters=parameters,
        seed=7,
        score=score(config.objective, EXPERIMENT.metrics, metrics),
        metrics=metrics,
        controls=(CONTROL,),
        history=(
            Epoch(1, {"loss": 0.5}, seconds=2.0),
            Epoch(2, {"loss": 0.25, "late": 1.0}, {"ssim": 0.5, "errors": math.nan}),
            Epoch(3, {}, stage=Stage.CHECKS, seconds=4.0),
        ),
        seconds=1.5,
        finished=1e9,
    )


def lost(config: StudyConfig, number: int) -> FinishedTrial:
    result = unmeasured(config.objective, Outcome.CRASHED)
    return FinishedTrial(number, {"shape": "round", "x": 0.1}, 7, result, {}, (), (), 0.0, 1e9, "RuntimeError: asked")


@pytest.fixture
def config(make_config: MakeConfig) -> StudyConfig:
    return make_config()


@pytest.fixture
def records(config: StudyConfig) -> Records:
    return Records(config, EXPERIMENT.metrics)


def test_a_part_appears_for_each_trial_with_the_whole_schema(config: StudyConfig, records: Records) -> None:
    first = pq.read_table(records.write(finished(config, 3, {"shape": "round", "x": 0.5})))
    second = pq.read_table(records.write(lost(config, 4)))
    assert first.schema.equals(second.schema, check_metadata=True)
    assert first.num_rows == second.num_rows == 1


def test_parts_are_readable_while_the_study_runs_and_half_written_files_are_not_seen(
    config: StudyConfig, records: Records
) -> None:
    for number in (2, 0):
        records.write(finished(config, number, {"shape": "round", "x": 0.5}))
    (config.output / "parts" / ".00009.parquet.123.tmp").write_bytes(b"PAR1 half a file")
    assert [row["trial"] for row in read_parts(config.output)] == [0, 2]
    joined = pq.read_table(list((config.output / "parts").glob("*.parquet")))
    assert joined.num_rows == 2


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    write_table(pa.table({"a": [1]}), path)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("study.durable.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(pa.table({"a": [2]}), path)
    monkeypatch.undo()
    assert pq.read_table(path).to_pylist() == [{"a": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_the_row_holds_what_the_trial_was_and_measured(config: StudyConfig, records: Records) -> None:
    records.write(finished(config, 0, {"shape": "round", "x": 0.6}))
    records.merge()
    row = pq.read_table(config.output / "trials.parquet").to_pylist()[0]
    assert (row["trial"], row["outcome"], row["feasible"]) == (0, "infeasible", False)
    assert (row["param.shape"], row["param.x"], row["param.y"]) == ("round", 0.6, None)
    assert row["objective.quality"] == pytest.approx(0.99)
    assert row["objective.leak"] == pytest.approx(0.3)
    assert row["constraint.leak"] == pytest.approx(1.0)
    assert row["verdict.leak"] in ("violation", "too_little_data")
    assert row["metric.leak.high_pass"] == pytest.approx(0.3)
    assert row["metric.leak.high_pass.low"] == pytest.approx(0.27)
    assert row["metric.leak.high_pass.baseline_high"] == pytest.approx(0.22)
    assert row["metric.leak.high_pass.votes"] is True
    assert row["metric.quality.baseline"] is None
    assert (row["seconds"], row["seed"], row["finished"], row["error"]) == (1.5, 7, 1e9, None)


def test_a_trial_without_measurements_is_infeasible_and_says_why(config: StudyConfig, records: Records) -> None:
    records.write(lost(config, 0))
    records.merge()
    row = pq.read_table(config.output / "trials.parquet").to_pylist()[0]
    assert (row["outcome"], row["feasible"], row["error"]) == ("crashed", False, "RuntimeError: asked")
    assert row["constraint.leak"] == 3.0
    assert math.isnan(row["objective.quality"])
    assert row["metric.leak.plain"] is None


def test_history_and_controls_are_unfolded(config: StudyConfig, records: Records) -> None:
    for number in (1, 0):
        records.write(finished(config, number, {"shape": "round", "x": 0.5}))
    records.merge()
    history = pq.read_table(config.output / "history.parquet").to_pylist()
    assert [(row["trial"], row["epoch"]) for row in history] == [(t, epoch) for t in (0, 1) for epoch in (1, 2, 3)]
    told = {"trial": 0, "epoch": 1, "stage": "training", "seconds": 2.0, "loss.loss": 0.5, "loss.late": None}
    assert history[0] == {**told, "signal.ssim": None, "signal.errors": None}
    assert history[1]["signal.ssim"] == 0.5
    assert math.isnan(history[1]["signal.errors"])
    assert (history[2]["stage"], history[2]["seconds"], history[2]["loss.loss"]) == ("checks", 4.0, None)
    controls = pq.read_table(config.output / "controls.parquet").to_pylist()
    assert controls == [{"trial": number, **CONTROL.to_dict()} for number in (0, 1)]


def test_a_study_without_finished_trials_merges_to_empty_tables(config: StudyConfig, records: Records) -> None:
    records.merge()
    for name in ("trials", "history", "controls"):
        assert pq.read_table(config.output / f"{name}.parquet").num_rows == 0


def test_parts_from_before_signals_were_kept_are_merged(config: StudyConfig, records: Records) -> None:
    path = records.write(finished(config, 0, {"shape": "round", "x": 0.5}))
    table = pq.read_table(path)
    place = table.schema.get_field_index("history")
    old = pa.list_(pa.struct([("epoch", pa.int64()), ("losses", pa.map_(pa.string(), pa.float64()))]))
    pq.write_table(table.set_column(place, "history", pa.array([[{"epoch": 1, "losses": [("loss", 0.5)]}]], old)), path)
    records.merge()
    row = {"trial": 0, "epoch": 1, "stage": None, "seconds": None, "loss.loss": 0.5}
    assert pq.read_table(config.output / "history.parquet").to_pylist() == [row]


@pytest.mark.parametrize("kind", ["trials", "history", "controls"])
def test_the_metadata_describe_every_column_family(config: StudyConfig, records: Records, kind: str) -> None:
    records.write(finished(config, 0, {"shape": "round", "x": 0.5}))
    records.merge()
    described = json.loads(pq.read_schema(config.output / f"{kind}.parquet").metadata[b"study"])
    assert (described["schema_version"], described["kind"]) == (SCHEMA_VERSION, kind)
    assert described["study"] == config.name
    assert described["objectives"]["quality"]["direction"] == "maximise"
    assert [item["searched"] for item in described["objectives"].values()] == [True, False]
    assert described["constraints"]["leak"] == {
        "bound": "leak <= baseline + 0.05",
        "metric": "leak",
        "sense": "<=",
        "scale": 0.05,
    }
    assert described["parameters"]["x"]["low"] == 0.0
    assert described["parameters"]["shape"]["values"] == ["round", "square"]
    assert described["strata"] == ["shape"]


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([1, 2], pa.int64(), 2),
        ([1, 2.5], pa.float64(), 2.5),
        ([True, False], pa.bool_(), False),
        (["a", "b"], pa.string(), "b"),
        ([1, "none"], pa.string(), "none"),
        ([True, 3], pa.string(), "3"),
    ],
)
def test_parameters_keep_their_type_and_mixed_ones_become_text(
    make_config: MakeConfig, values: list[Any], kind: pa.DataType, stored: object
) -> None:
    space = {
        "parameters": [
            {"name": "y", "kind": "categorical", "values": values, "role": "nuisance", "unit": "1", "reason": "test"}
        ]
    }
    config = make_config(edit=lambda composed: composed.update(space=space))
    result = unmeasured(config.objective, Outcome.DIVERGED)
    trial = FinishedTrial(0, {"y": values[-1]}, 0, result, {"quality": Measurement(1.0, 1.0, 1.0)}, (), (), 0.0, 0.0)
    table = pq.read_table(Records(config, EXPERIMENT.metrics).write(trial))
    assert table.schema.field("param.y").type == kind
    assert table["param.y"].to_pylist() == [stored]
