"""The command on a Ray cluster of several nodes on this machine: a node is killed, a node joins, preflight refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from study.records import read_parts
from study.storage import open_storage

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 3}
ENVIRONMENT = {**os.environ, **TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}


class Nodes:
    """A cluster that ``tests.study.cluster_nodes`` keeps."""

    def __init__(self, folder: Path, *cpus: int) -> None:
        command = [sys.executable, "-m", "tests.study.cluster_nodes", *map(str, cpus)]
        log = (folder / "nodes.txt").open("w")
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        self.address = self._answer()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Return two nodes of two CPUs beside a head without any; all at this machine's own address, so with a token."""
    nodes = Nodes(tmp_path_factory.mktemp("cluster"), 2, 2)
    yield nodes
    nodes.end()


def study(folder: Path, nodes: Nodes, *overrides: str, **environment: str) -> subprocess.Popen[str]:
    given = ["experiment=empty", "name=c", f"output={folder}/study", f"cache={folder}/cache", "cluster=address"]
    return subprocess.Popen(
        [sys.executable, "-m", "study", *given, f"cluster.address={nodes.address}", *overrides],
        cwd=ROOT,
        env={**ENVIRONMENT, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)


def test_what_a_cluster_lacks_is_told_at_once_and_nothing_is_left_behind(tmp_path: Path, nodes: Nodes) -> None:
    process = study(
        tmp_path, nodes, "cluster.nodes=4", "cluster.wait_seconds=1", "resources.cpus_per_trial=3", "budget.trials=2"
    )
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 2
    assert "cluster.nodes=4, but after 1 s there are 3" in printed
    assert "resources.cpus_per_trial=3, but there are 2 CPUs on one node" in printed  # though there are four in all
    assert not list(tmp_path.iterdir())


def test_a_node_killed_in_the_middle_and_another_added_cost_no_trial(tmp_path: Path, nodes: Nodes) -> None:
    trials, folder = 24, tmp_path / "study"
    settings = (f"budget.trials={trials}", "trial.epochs=4", "trial.seconds=0.4", "checkpoint_every=1")
    process = study(tmp_path, nodes, "cluster.nodes=3", *settings)
    wait_until(lambda: len(read_parts(folder)) >= 4, process)
    nodes.tell("kill")
    wait_until(lambda: len(read_parts(folder)) >= 8, process)
    nodes.tell("add 3")
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 0, printed
    assert "4 at a time" in printed
    assert "lost nodes" in printed
    assert "room for 5 trials at a time now" in printed
    assert "trials will fail" not in printed

    rows = read_parts(folder)
    told = optuna.load_study(study_name="c", storage=open_storage("", folder)).get_trials()
    assert len(rows) == len(told) == trials
    assert all(row["outcome"] in ("ok", "infeasible") for row in rows), [row["outcome"] for row in rows]
    assert all(trial.state is TrialState.COMPLETE for trial in told)
    assert all([epoch["epoch"] for epoch in row["history"]] == [1, 2, 3, 4] for row in rows)
    assert not list(folder.glob(".preflight*"))
