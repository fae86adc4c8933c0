"""The benchmark's results file: what is kept of a run, and the table made of it. Needs none of the peers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import search
from benchmarks.search_runs import ResultFile


def row(value: float) -> dict[str, object]:
    return {"hypervolume": [0.0, 0.0, 0.0, value], "feasible": 3, "milliseconds_asking": 2.0}


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    ran = []

    def run(method: str, problem: str, seed: int) -> dict[str, object]:
        ran.append((method, problem, seed))
        return row(0.5)

    results = ResultFile(tmp_path / "results.json")
    results.keep("random/srn/0", row(0.7))
    results.complete(run, ["random", "ax"], ["srn"], [0, 1], minutes=1.0)
    assert ran == [("ax", "srn", 0), ("random", "srn", 1), ("ax", "srn", 1)]
    results.complete(run, ["random", "ax"], ["srn"], [0, 1], minutes=1.0)
    assert len(ran) == 3
    assert json.loads(results.path.read_text())["random/srn/0"] == row(0.7)


def test_nothing_is_begun_after_the_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = ResultFile(tmp_path / "results.json")
    results.complete(lambda *_: row(0.5), ["random"], ["srn"], [0], minutes=-1.0)
    assert results.load() == {}
    assert "the same command continues" in capsys.readouterr().out


def test_the_table_states_median_quartiles_and_the_number_of_seeds() -> None:
    results = {f"random/srn/{seed}": row(0.1 * seed) for seed in range(10)} | {"study_tpe/srn/0": row(0.9)}
    lines = search.table(results, ["srn", "bnh"]).splitlines()
    assert lines[2] == "| study_tpe | n=1: 0.900 (0.900 to 0.900) |  | 2.0 |"
    assert lines[3] == "| random | 0.450 (0.225 to 0.675) |  | 2.0 |"


def test_seeds_that_nothing_was_tuned_on_have_a_row_of_their_own() -> None:
    results = {f"study_bayesian/srn/{seed}": row(0.1 if seed < 10 else 0.7) for seed in range(12)}
    lines = search.table(results, ["srn"]).splitlines()
    assert lines[2] == "| study_bayesian | 0.100 (0.100 to 0.100) | 2.0 |"
    assert lines[3] == "| study_bayesian, fresh seeds | n=2: 0.700 (0.700 to 0.700) | 2.0 |"


def test_the_committed_results_are_small_and_whole() -> None:
    assert search.RESULTS.path.stat().st_size < 200_000
    for name, result in search.RESULTS.load().items():
        method, problem, seed = name.split("/")
        assert method
        assert problem in ("bnh", "srn", "c2dtlz2", "mw1", "mw2")
        assert 0 <= int(seed) < 100
        assert len(result["hypervolume"]) == len(search.STAGES)
        assert all(0.0 <= value < 1.1 for value in result["hypervolume"])
