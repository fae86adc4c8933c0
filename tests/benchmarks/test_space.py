"""The fixed design over families and channels: its points, its records, and running and resuming it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benchmarks import space
from benchmarks.space_design import Point, design, runs
from benchmarks.space_figures import draw_effects, write_figures
from benchmarks.space_records import REFUSED, Record, RecordFile, flat_row, record_key, write_table
from benchmarks.space_run import Bench, Task, evaluate
from benchmarks.space_setting import read_setting
from benchmarks.space_summary import Result, effects, mean, worst
from benchmarks.space_tables import print_tables
from models.measurement import Measurement
from study.bounds import parse_bound

EMPTY = [
    Point("families", "good", {"x": 0.5}),
    Point("families", "leaky", {"x": 0.9}),
    Point("families", "refused", {"x": 1.5}),
    Point("families", "crash", {"fault": "crash"}),
    Point("families", "diverge", {"fault": "diverge"}),
]
"""Points for the experiment without models."""


def make_record(**changes: Any) -> Record:
    values = {"channel": "png", "subversion.family": "keyed", "subversion.secret": "image"}
    metrics = {
        "reconstruction_ssim": Measurement(0.7, 0.68, 0.72, baseline=0.2),
        "secret_accuracy": Measurement(0.9, 0.88, 0.92),
        "strong_identity_accuracy.plain": Measurement(0.3, 0.27, 0.33, 0.2, 0.18, 0.22),
        "strong_identity_accuracy.high_pass": Measurement(0.35, 0.32, 0.38, 0.34, 0.32, 0.36),
        "strong_identity_accuracy.bit_plane": Measurement(0.9, 0.88, 0.92, 0.2, 0.18, 0.22, votes=False),
        "steganalysis_auc.high_pass": Measurement(0.55, 0.53, 0.57, chance=0.5),
    }
    fields = {"key": "k", "values": values, "seed": 0, "outcome": "ok", "reason": None, "metrics": metrics}
    return Record(**(fields | {"margins": {"steganalysis": -0.5}, "verdicts": {"steganalysis": "pass"}} | changes))


def test_every_point_is_named_once_and_compared_with_one_that_exists() -> None:
    names = [(point.group, point.name) for point in design()]
    assert len(set(names)) == len(names)
    assert {(point.group, point.base) for point in design() if point.base} <= set(names)


def test_the_design_covers_every_family_secret_and_channel() -> None:
    found = {
        (p.values["subversion.family"], p.values["subversion.secret"], p.values["channel"])
        for p in design()
        if p.group == "families"
    }
    families, secrets = ("keyed", "learned", "sampled"), ("identity", "image")
    assert found == set(product(families, secrets, ("png", "jpeg95", "jpeg75", "noise", "blur", "resize")))


def test_all_but_images_in_sampling_noise_can_be_run_and_they_are_few(tmp_path: Path) -> None:
    bench = Bench(read_setting([], tmp_path), tmp_path)
    refused = [run for run in runs(design()) if bench.refusal(run)]
    assert {(run.values["subversion.family"], run.values["subversion.secret"]) for run in refused} == {
        ("sampled", "image")
    }
    assert len(refused) == 6
    assert len(runs(design())) - len(refused) <= 112


def test_slices_vary_one_parameter_and_have_two_seeds() -> None:
    slices = [point for point in design() if point.group == "slices"]
    for channel in ("noise", "jpeg90"):
        for varied in ("subversion.strength", "subversion.keyed.carrier_share"):
            own = [p.values for p in slices if p.values["channel"] == channel and p.varied == varied]
            assert len({values[varied] for values in own}) == len(own) >= 4
            assert len({tuple(sorted({**values, varied: None}.items(), key=str)) for values in own}) == 1
    assert all(point.seeds >= 2 for point in slices)


def test_an_effect_differs_from_its_base_in_the_varied_parameter_alone() -> None:
    points = {point.name: point for point in design() if point.group == "discriminators"}
    for point in points.values():
        if point.base:
            base = points[point.base].values
            assert {name for name in point.values if point.values[name] != base.get(name)} == {point.varied}


def test_a_configuration_of_two_groups_is_run_once_and_first_seeds_come_first() -> None:
    points = [Point("a", "one", {"x": 1}, seeds=2), Point("b", "same", {"x": 1}), Point("b", "other", {"x": 2})]
    planned = runs(points)
    assert [(run.values["x"], run.seed) for run in planned] == [(1, 0), (2, 0), (1, 1)]
    assert [point.name for point in planned[0].points] == ["one", "same"]
    assert len(runs(points, seeds=3)) == 6


def test_the_key_stands_for_what_was_asked() -> None:
    base = record_key({"a": 1}, 0, {"size": 32}, {})
    assert base == record_key({"a": 1}, 0, {"size": 32}, {})
    others = {record_key({"a": 2}, 0, {"size": 32}, {}), record_key({"a": 1}, 1, {"size": 32}, {})}
    others |= {record_key({"a": 1}, 0, {"size": 64}, {}), record_key({"a": 1}, 0, {"size": 32}, {"bound": 1})}
    assert len(others | {base}) == 5


def test_records_survive_a_line_cut_short(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "records.jsonl")
    assert file.read() == {}
    first = make_record(metrics={"steganalysis_auc.high_pass": Measurement.not_measured()})
    file.append(first)
    whole = (tmp_path / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(whole + whole[:50])  # as a crash while writing leaves it
    file.append(make_record(key="second"))
    found = file.read()
    assert set(found) == {"k", "second"}
    assert found["second"] == make_record(key="second")
    assert math.isnan(found["k"].metrics["steganalysis_auc.high_pass"].value)


def test_the_last_record_of_a_key_counts(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "records.jsonl")
    file.append(make_record(outcome="crashed", reason="disk full"))
    file.append(make_record())
    assert file.read()["k"].outcome == "ok"


def test_columns_of_mixed_kinds_become_text_and_missing_ones_empty(tmp_path: Path) -> None:
    rows = [flat_row(make_record(), ["families"], ["a"]), flat_row(make_record(values={"n": 3}), ["slices"], ["b"])]
    rows[0]["param.n"] = "none"
    write_table(tmp_path / "results.parquet", rows)
    table = pq.read_table(tmp_path / "results.parquet")
    assert table["param.n"].to_pylist() == ["none", "3"]
    assert table["param.channel"].to_pylist() == ["png", None]
    assert table["metric.steganalysis_auc.high_pass.low"].to_pylist() == [0.53, 0.53]
    assert table["metric.strong_identity_accuracy.bit_plane.votes"].to_pylist() == [False, False]


def test_the_worst_adversary_is_the_one_furthest_above_its_baseline_that_may_vote() -> None:
    found = worst(make_record(), "strong_identity_accuracy")
    assert found is not None
    assert (found.value, found.baseline) == (0.3, 0.2)
    assert worst(make_record(), "steganalysis_auc_100") is None
    result = Result(Point("g", "p", {}), (make_record(),))
    excess = result.excess("strong_identity_accuracy")
    assert excess is not None
    assert excess.value == pytest.approx(0.1)
    assert (excess.low, excess.high) == pytest.approx((0.1 - math.hypot(0.03, 0.02), 0.1 + math.hypot(0.03, 0.02)))


def test_the_mean_of_two_seeds_is_narrower_by_the_square_root_of_two() -> None:
    found = mean([Measurement(0.5, 0.4, 0.6), Measurement(0.7, 0.6, 0.8)])
    assert found is not None
    assert found.value == pytest.approx(0.6)
    assert found.high - found.value == pytest.approx(0.1 / math.sqrt(2))
    assert found.seeds == (0.5, 0.7)
    assert mean([]) is None


def test_an_effect_is_the_difference_to_the_base_of_the_same_seed() -> None:
    base = Point("discriminators", "base", {})
    other = Point("discriminators", "other", {}, varied="stage_one.critic", base="base")

    def auc(value: float) -> dict[str, Measurement]:
        return {"steganalysis_auc.high_pass": Measurement(value, value - 0.03, value + 0.04)}

    found = [
        Result(base, (make_record(metrics=auc(0.5), seed=0), make_record(metrics=auc(0.9), seed=1))),
        Result(other, (make_record(metrics=auc(0.6), seed=0),)),
    ]
    (effect,) = effects(found)
    change = effect.differences["steganalysis_auc"]
    assert change is not None
    assert change.value == pytest.approx(0.1)
    assert (change.low, change.high) == pytest.approx((0.05, 0.15))
    assert effect.differences["secret_accuracy"] is None


def test_every_outcome_is_told_in_words() -> None:
    point = Point("families", "p", {})
    margins = {"steganalysis": 0.4, "weak_identity": -1.0}
    assert Result(point, ()).outcome() == "not run"
    assert Result(point, (make_record(),)).outcome() == "within every bound"
    stopped = make_record(outcome="infeasible", margins=margins)
    assert Result(point, (stopped,)).outcome() == "stopped by steganalysis"
    assert Result(point, (stopped, make_record(seed=1))).outcome() == "stopped by steganalysis (1 of 2 seeds)"
    refused = make_record(outcome=REFUSED, reason="too many bits", metrics={}, margins={})
    assert Result(point, (refused,)).outcome() == "refused: too many bits"
    assert not Result(point, (refused,)).feasible


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench of the experiment without models."""
    return Bench(read_setting(["experiment=empty"], tmp_path / "cache"), tmp_path / "space")


def measure(bench: Bench, points: Sequence[Point], until: float = math.inf) -> list[str]:
    planned = runs(points)
    done: list[str] = []
    bench.run(bench.pending(planned), workers=1, until=until, report=lambda run, _: done.append(run.points[0].name))
    return done


@pytest.mark.slow
def test_what_has_a_record_is_not_run_again_but_a_crash_is_last(bench: Bench) -> None:
    assert measure(bench, EMPTY) == ["good", "leaky", "crash", "diverge"]
    found = {record.values.get("x", record.values.get("fault")): record for record in bench.file.read().values()}
    assert [found[x].outcome for x in (0.5, 0.9, 1.5)] == ["ok", "infeasible", REFUSED]
    assert found[1.5].reason is not None
    assert "trial.x=1.5" in found[1.5].reason
    assert (found["crash"].outcome, found["diverge"].outcome) == ("crashed", "diverged")
    assert found["crash"].reason == "RuntimeError: asked to crash"
    assert found[0.9].margins["leak"] > 0
    assert [run.points[0].name for run in bench.pending(runs([*EMPTY, Point("a", "new", {"x": 0.1})]))] == [
        "new",
        "crash",
    ]


def test_nothing_is_started_after_the_budget(bench: Bench) -> None:
    assert measure(bench, EMPTY, until=time.monotonic() - 1) == []


def test_a_value_that_is_the_default_anyway_is_the_same_configuration(bench: Bench) -> None:
    same = [Point("a", "default", {}), Point("a", "stated", {"x": bench.setting.trial["x"]})]
    assert len(bench.pending(runs(same))) == 1


def test_a_replication_has_a_sanitiser_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    class Watched:
        def start(self, trial: Any, seed: int, context: Any) -> Any:
            seeds.append((seed, context.shared_seed))
            raise MemoryError

    monkeypatch.setattr("benchmarks.space_run.load_experiment", lambda name: Watched())
    for seed in (0, 1):
        answer = evaluate(Task("any", {}, seed, {}, {}, str(tmp_path), str(tmp_path / "artifacts")))
        assert str(answer.fault) == "out_of_memory"
    assert [shared for _, shared in seeds] == [0, 1]
    assert seeds[0][0] != seeds[1][0]


def test_tables_and_figures_show_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    values = dict(make_record().values)
    shown = Result(Point("families", "shown", values), (make_record(),))
    sliced = {**values, "channel": "noise", "subversion.strength": 3}
    along = Result(Point("slices", "at 3", sliced, varied="subversion.strength"), (make_record(), make_record(seed=1)))
    absent = Result(Point("families", "absent", {**values, "channel": "blur"}), ())
    text = print_tables([shown, along, absent])
    assert "### Channel `png`" in text
    assert "| shown | 0.700 [0.680, 0.720] |" in text
    assert "+0.100" in text
    assert "absent" not in text
    assert "### Slice along `subversion.strength` under `noise`" in text
    assert "(0.550 to 0.550)" in text
    write_figures([shown, along], [parse_bound("steganalysis", "steganalysis_auc <= 0.6", 0.1)], tmp_path / "f.html")
    html = (tmp_path / "f.html").read_text()
    assert html.count('class="plotly-graph-div"') == 2
    assert 'src="https' not in html
    assert draw_effects([shown]) is None


@pytest.mark.slow
def test_the_command_measures_resumes_and_summarises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(space, "design", lambda: EMPTY[:3])
    monkeypatch.setattr(space, "write_figures", lambda found, bounds, path: path.touch())
    given = [str(tmp_path / "out"), "experiment=empty", "--cache", str(tmp_path / "cache"), "--workers", "1"]
    assert space.main([*given, "--only", "GOOD"]) == 0
    assert "1 configurations, 1 to run" in capsys.readouterr().out
    assert space.main([*given, "--list"]) == 0
    listed = capsys.readouterr().out
    assert "families/good: ok" in listed
    assert "families/leaky: to run" in listed
    assert "families/refused: refused: trial.x=1.5" in listed
    assert space.main(given) == 0
    assert "3 configurations, 1 to run" in capsys.readouterr().out
    assert space.main([*given, "--summary"]) == 0
    assert "3 of 3 configurations recorded, 1 of them refused" in capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines) == 3
    assert pq.read_table(tmp_path / "out" / "results.parquet").num_rows == 3
    assert space.main([*given, "--only", "nothing of the kind"]) == space.BAD_CONFIGURATION
