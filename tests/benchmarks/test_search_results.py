"""The benchmark's results file: what is kept of a run, and the table made of it. Needs none of the peers."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Return ``benchmarks/search.py`` with its results in ``tmp_path``."""
    spec = importlib.util.spec_from_file_location("benchmark_search", BENCHMARKS / "search.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "benchmark_search", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results.json")
    return module


def row(value: float) -> dict[str, object]:
    return {"hypervolume": [0.0, 0.0, 0.0, value], "feasible": 3, "milliseconds_asking": 2.0}


def test_what_is_finished_is_not_run_again(search: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(search, "run", lambda *names: ran.append(names) or row(0.5))
    search.keep("random/srn/0", row(0.7))
    search.run_all(["random", "ax"], ["srn"], seeds=2, minutes=1.0)
    assert ran == [("ax", "srn", 0), ("random", "srn", 1), ("ax", "srn", 1)]
    search.run_all(["random", "ax"], ["srn"], seeds=2, minutes=1.0)
    assert len(ran) == 3
    assert json.loads(search.RESULTS.read_text())["random/srn/0"] == row(0.7)


def test_the_table_states_median_quartiles_and_the_number_of_seeds(search: ModuleType) -> None:
    results = {f"random/srn/{seed}": row(0.1 * seed) for seed in range(10)} | {"study_tpe/srn/0": row(0.9)}
    lines = search.table(results, ["srn", "bnh"]).splitlines()
    assert lines[2] == "| study_tpe | n=1: 0.900 (0.900 to 0.900) |  | 2.0 |"
    assert lines[3] == "| random | 0.450 (0.225 to 0.675) |  | 2.0 |"


def test_the_committed_results_are_small_and_whole(search: ModuleType) -> None:
    path = BENCHMARKS / "search_results.json"
    assert path.stat().st_size < 200_000
    for name, result in json.loads(path.read_text()).items():
        method, problem, seed = name.split("/")
        assert method
        assert problem in ("bnh", "srn", "c2dtlz2", "mw1", "mw2")
        assert int(seed) < 10
        assert len(result["hypervolume"]) == len(search.STAGES)
        assert all(0.0 <= value < 1.1 for value in result["hypervolume"])
