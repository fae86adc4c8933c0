"""The surrogate of recorded trials and the choice made on it, with nearest neighbours in place of forests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import own_trials, search_own
from benchmarks.own_surrogate import INACTIVE, Answer, Surrogate, accuracy, encode, leave_each_out
from benchmarks.own_trials import MEASURED, OwnTrials, Trial, make_trial
from benchmarks.search_own import Judge, choose, dominated, hypervolume, paired
from benchmarks.space_records import Record, RecordFile, record_key
from models.measurement import Measurement
from study.compose import compose_config
from study.config import StudyConfig
from study.empty import EXPERIMENT as EMPTY
from study.evaluation import Context
from study.objective import Score, score, unmeasured
from study.outcomes import Outcome
from study.parameter import CATEGORICAL, FLOAT, Parameter
from study.records import FinishedTrial, Records


class Nearest:
    """Predicts the value of the nearest point."""

    def fit(self, points: np.ndarray, values: Any) -> None:
        self._points, self._values = points, values

    def predict(self, points: np.ndarray) -> Any:
        return self._values[np.abs(points[:, None] - self._points).sum(axis=2).argmin(axis=1)]


@cache
def make_studies() -> OwnTrials:
    """Return recorded trials of the experiment without models: feasible up to x = 0.55; above 0.9 it diverges."""
    composed = compose_config(["experiment=empty"]).values
    settings = {name: composed.get(name) for name in own_trials.KEPT} | {"bounds": composed["checks"]["bounds"]}
    trials = []
    for x in np.linspace(0.0, 1.0, 21):
        values = {"quality": 1 - (x - 0.7) ** 2, "leak": 0.2 + max(0.0, x - 0.5)}
        values |= {"margin.leak": min(3.0, 20 * (max(0.0, x - 0.5) - 0.05)), "margin.detectability": -0.5}
        parameters = {"shape": "round", "x": float(x)}
        trials.append(Trial(parameters, MEASURED, values) if x <= 0.9 else Trial(parameters, "diverged", {}))
    return OwnTrials(settings, tuple(trials))


@pytest.fixture(scope="module")
def config() -> StudyConfig:
    return make_studies().config()


@pytest.fixture(scope="module")
def trials(config: StudyConfig) -> tuple[Trial, ...]:
    return leave_each_out(config.space.parameters, make_studies().trials, Nearest, Nearest)


@pytest.fixture(scope="module")
def surrogate(config: StudyConfig, trials: tuple[Trial, ...]) -> Surrogate:
    return Surrogate(config.space.parameters, trials, Nearest, Nearest)


def test_a_trial_keeps_what_was_measured_and_faults_are_left_out(config: StudyConfig) -> None:
    objectives, verdicts = {"quality": 0.9, "leak": math.nan}, {"leak": "missing", "detectability": "pass"}
    missing = Score(objectives, {"leak": 3.0, "detectability": -0.5}, verdicts, Outcome.CHECK_MISSING)
    assert make_trial({"x": 0.5}, missing) == Trial(
        {"x": 0.5}, "without leak", {"quality": 0.9, "margin.detectability": -0.5}
    )
    diverged = unmeasured(config.objective, Outcome.DIVERGED)
    assert make_trial({"x": 0.5}, diverged) == Trial({"x": 0.5}, "diverged", {})
    assert make_trial({"x": 0.5}, unmeasured(config.objective, Outcome.CRASHED)) is None


def measure(x: float, folder: Path) -> Mapping[str, Measurement]:
    trial = {**EMPTY.defaults(), "x": x, "epochs": 1}
    return EMPTY.start(trial, 0, Context({}, {}, folder, folder, "cpu")).step().metrics


def test_a_study_folder_is_read_while_it_runs(config: StudyConfig, tmp_path: Path) -> None:
    metrics = measure(0.52, tmp_path)
    result = score(config.objective, EMPTY.metrics, metrics)
    records = Records(replace(config, output=tmp_path), EMPTY.metrics)
    (tmp_path / "parts").mkdir()
    records.write(FinishedTrial(0, {"shape": "round", "x": 0.52}, 0, result, metrics, (), (), 1.0, 2.0))
    (trial,) = own_trials.read_rows(tmp_path, config)
    assert trial is not None
    assert trial.parameters == {"shape": "round", "x": 0.52}
    assert trial.values["margin.leak"] == pytest.approx(-0.6)
    assert trial.values["quality"] == pytest.approx(1 - 0.18**2)


def test_a_fixed_design_gives_what_was_measured_alike_and_lies_in_the_space(
    config: StudyConfig, tmp_path: Path
) -> None:
    bounds = [(bound.check, bound.text, bound.scale) for bound in config.objective.bounds]
    metrics = measure(0.25, tmp_path)

    def add(values: dict[str, Any], seed: int = 0, adversaries: Any = config.adversaries, outcome: str = "ok") -> None:
        checks = {"adversaries": adversaries, "bounds": bounds}
        key = record_key(config.trial | values, seed, config.data, checks)
        measured = metrics if outcome == "ok" else {}
        RecordFile(tmp_path / "records.jsonl").append(Record(key, values, seed, outcome, None, measured))

    add({"x": 0.25})
    add({"x": 0.3}, seed=1)
    add({"x": 0.4}, adversaries={"other": 1})
    add({"epochs": 7})
    add({"x": 1.5})
    add({"x": 0.6}, outcome="refused")
    add({"x": 0.7}, outcome="diverged")
    found = own_trials.read_design(tmp_path / "records.jsonl", config)
    assert found[1:] == [Trial({"shape": "round", "x": 0.7}, "diverged", {})]
    assert found[0] is not None
    assert found[0].parameters == {"shape": "round", "x": 0.25}
    assert found[0].values["margin.leak"] < 0


def test_studies_under_other_bounds_are_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dict.fromkeys(own_trials.KEPT) | {"checks": {"bounds": {"leak": 1}}}
    other = settings | {"checks": {"bounds": {"leak": 2}}}
    saved = {Path("a"): settings, Path("b"): other}
    monkeypatch.setattr(own_trials, "saved_config", lambda folder: saved[folder])
    with pytest.raises(ValueError, match="b differs from a in bounds"):
        own_trials.read_studies([Path("a"), Path("b")])


def test_the_data_file_returns_what_was_written(trials: tuple[Trial, ...], tmp_path: Path) -> None:
    studies = OwnTrials(make_studies().settings, trials)
    own_trials.save(studies, tmp_path / "data.json")
    assert own_trials.load(tmp_path / "data.json") == studies


def test_inactive_parameters_and_categories_have_places_of_their_own() -> None:
    parameters = [
        Parameter("shape", CATEGORICAL, "nuisance", "1", "", values=("round", "square")),
        Parameter("bits", CATEGORICAL, "nuisance", "1", "", values=(64, 16, 32)),
        Parameter("w", FLOAT, "nuisance", "1", "", low=0.01, high=1.0, log=True),
    ]
    rows = encode(parameters, [{"shape": "square", "bits": 32, "w": 0.1}, {"shape": "round"}])
    assert rows.tolist() == [[0.0, 1.0, 0.5, pytest.approx(0.5)], [1.0, 0.0, INACTIVE, INACTIVE]]


def test_a_trial_is_predicted_without_itself(trials: tuple[Trial, ...]) -> None:
    for trial in trials:
        assert trial.left_out.get("quality", 0.0) != trial.values.get("quality", 1.0)
    lines = accuracy(trials).splitlines()
    assert any(line.startswith("| quality | 19 | 0.9") for line in lines)
    assert "| margin.detectability | 19 | constant | 0.000 |" in lines
    assert lines[-1] == "Ending: 21 of 21 right, 19 are of the most frequent one."


def test_the_truth_is_the_fit_and_measurements_scatter_around_it(surrogate: Surrogate) -> None:
    (truth,) = surrogate.truth([{"shape": "round", "x": 0.5}])
    assert truth.values["quality"] == pytest.approx(0.96)
    rng = np.random.default_rng(0)
    measured = [surrogate.measure({"shape": "round", "x": 0.5}, truth, rng).values["quality"] for _ in range(40)]
    assert len(set(measured)) > 3
    assert np.abs(np.array(measured) - 0.96).max() < 0.1


def test_failures_and_missing_checks_are_told_as_a_study_would(config: StudyConfig, surrogate: Surrogate) -> None:
    objective = config.objective
    (diverged,) = surrogate.truth([{"shape": "round", "x": 1.0}])
    score = diverged.score(objective)
    assert (score.outcome, score.margins["leak"]) == (Outcome.DIVERGED, 3.0)
    values = {"quality": 0.9, "leak": 0.2, "margin.leak": -0.2, "margin.detectability": -0.5}
    assert Answer(MEASURED, values).score(objective).feasible
    missing = Answer("without leak", values).score(objective)
    assert (missing.outcome, missing.margins) == (Outcome.CHECK_MISSING, {"leak": 3.0, "detectability": -0.5})
    assert Answer(MEASURED, values | {"margin.leak": 0.1}).score(objective).outcome is Outcome.INFEASIBLE


def test_a_report_is_judged_by_the_truth(config: StudyConfig, surrogate: Surrogate) -> None:
    judge = Judge(config, make_studies().trials, surrogate, count=20)
    good = {"quality": 0.95, "leak": 0.2, "margin.leak": -0.2, "margin.detectability": -0.5}
    lucky = good | {"quality": 1.0}
    truth = [Answer(MEASURED, good), Answer(MEASURED, lucky | {"margin.leak": 0.3})]
    measured = [Answer(MEASURED, good), Answer(MEASURED, lucky)]
    assert judge.reported(measured) == [1, 0]
    assert judge.report(measured, truth) == judge.report(measured[:1], truth[:1]) > 0.0
    assert judge.report(measured[1:], truth[1:]) == 0.0
    many = [Answer(MEASURED, good | {"quality": 0.5 + 0.01 * n}) for n in range(8)]
    assert judge.reported(many) == [7, 6, 5, 4, 3]


def test_the_hypervolume_of_boxes_is_their_union() -> None:
    assert hypervolume(np.array([[0.25]])) == 0.75
    assert hypervolume(np.array([[0.5, 0.0], [0.0, 0.5], [0.6, 0.6]])) == pytest.approx(0.75)
    assert hypervolume(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [2.0, 0.0, 0.0]])) == pytest.approx(0.375)
    corners = np.random.default_rng(0).random((6, 3))
    inside = (np.random.default_rng(1).random((40000, 1, 3)) >= corners).all(axis=2).any(axis=1).mean()
    assert hypervolume(corners[~dominated(corners)]) == pytest.approx(inside, abs=0.01)


def test_a_run_asks_as_a_study_does(
    config: StudyConfig, trials: tuple[Trial, ...], surrogate: Surrogate, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(config, trials, surrogate, count=20)
    studies = OwnTrials(make_studies().settings, trials)
    monkeypatch.setattr(search_own, "_bench", lambda objective: (studies, surrogate, judge))
    monkeypatch.setattr(search_own, "STAGES", (4, 12))
    result = search_own.run("tpe", "empty", 3)
    assert 0 < result["feasible"] <= 12
    assert 0.0 <= result["worth"][0] <= result["worth"][1] <= 1.1
    assert 0.0 < result["found"][0] <= result["found"][1]
    assert search_own.run("tpe", "empty", 3)["worth"] == result["worth"]


def row(worth: float, spent: float = 10.0) -> dict[str, object]:
    return {"worth": [worth, worth], "found": [worth, 1.0], "feasible": 3, "milliseconds_asking": spent}


def test_the_table_says_what_was_reported_found_and_by_how_much_it_differs() -> None:
    lines = search_own.table(results(0.1, 10), "constrained").splitlines()
    assert lines[0].startswith("| searcher | seeds | reported, 40 trials | reported, 100 trials | found, 40 trials |")
    assert lines[2].startswith("| tpe | 10 | 0.545 (0.029) | 0.545 (0.029) | 0.545 (0.029) | 1.000 (0.000) |  |")
    assert "| +0.100 (+0.100 to +0.101), n=10 | 10 |" in lines[3]


def results(gain: float, seeds: int, spent: float = 10.0, front: float = 0.0) -> dict[str, Any]:
    found = {}
    for seed in range(seeds):
        base = 0.5 + 0.01 * seed
        noise = 0.001 * (seed % 2)
        found |= {f"tpe/constrained/{seed}": row(base), f"gp/constrained/{seed}": row(base + gain + noise, spent)}
        found |= {f"tpe/pareto/{seed}": row(base), f"gp/pareto/{seed}": row(base + front + noise, spent)}
    return found


def test_a_challenger_must_be_better_by_its_interval() -> None:
    assert choose(results(0.1, 10)) == "gp"
    assert choose(results(0.0, 10)) == "tpe"
    assert choose(results(0.1, 4)) == "tpe"
    assert choose(results(0.1, 10, spent=5000.0)) == "tpe"
    assert choose(results(0.1, 10, front=-0.2)) == "tpe"
    count, mean, low, high = paired(results(0.1, 10), "gp", "constrained")
    assert (count, mean) == (10, pytest.approx(0.1005))
    assert low < 0.1005 < high
