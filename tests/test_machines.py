"""launch/slurm.sh and preflight on two machines with addresses of their own; Slurm itself is played by two scripts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.records import read_parts
from tests.machines import Machine, available, machines, write_executable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not available(), reason="needs root and Linux namespaces"),
]
ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
}
TOKEN = "0123456789abcdef" * 3


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Machine]]:
    with machines(2) as made:
        yield made


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text(TOKEN)
    return {**ENVIRONMENT, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}


def test_the_slurm_script_runs_a_study_on_both_nodes_of_its_job(
    tmp_path: Path, pair: list[Machine], environment: dict[str, str]
) -> None:
    first, second = pair
    write_executable(tmp_path / "bin" / "scontrol", f"#!/bin/sh\necho {first.name}\necho {second.name}\n")
    on = [shlex.join(machine.command()) for machine in pair]
    srun = f"""#!/bin/bash
    command=("$@"); while [[ ${{command[0]}} == --* ]]; do command=("${{command[@]:1}}"); done
    [[ $* == *--nodelist=* ]] && exec {on[0]} "${{command[@]}}"
    {on[1]} "${{command[@]}}" > /dev/null 2>&1 & other=$!
    {on[0]} "${{command[@]}}"; code=$?
    kill -9 $other; exit $code
    """
    write_executable(tmp_path / "bin" / "srun", srun)
    job = {
        "SLURM_SUBMIT_DIR": str(ROOT),
        "SLURM_JOB_NODELIST": "studynode[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "7",
    }
    settings = ["experiment=empty", "budget.trials=8", "cluster.wait_seconds=500", f"output={tmp_path}/study"]
    result = subprocess.run(
        ["bash", ROOT / "launch" / "slurm.sh", *settings, f"cache={tmp_path}/cache"],
        env={**environment, **job, "SLURM_CPUS_ON_NODE": "2", "PATH": f"{tmp_path}/bin:{environment['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 at a time" in result.stdout  # two CPUs here and two there
    assert len(read_parts(tmp_path / "study")) == 8


def test_every_fault_of_every_node_is_told_before_anything_is_spent(
    tmp_path: Path, pair: list[Machine], environment: dict[str, str]
) -> None:
    (tmp_path / "shared").mkdir()
    shutil.copytree(ROOT / "study", tmp_path / "other" / "study")
    (tmp_path / "other" / "study" / "empty.py").write_text("# of another revision\n")
    first, second = pair
    ray = ["ray", "symmetric-run", "--address", f"{first.address}:6379", "--min-nodes", "2", "--num-cpus=2", "--"]
    settings = [
        "experiment=empty",
        "cluster.wait_seconds=500",
        f"output={tmp_path}/shared/study",
        f"cache={tmp_path}/cache",
    ]
    command = [*ray, "env", "-C", str(ROOT), "python", "-m", "study", "cluster=address", *settings]
    apart = f"mount --bind {tmp_path}/other/study {ROOT}/study && mount -t tmpfs tmpfs {tmp_path}/shared"
    with second.start(*command, before=apart, env=environment) as other:
        with first.start(*command, env=environment) as driver:
            printed = driver.communicate(timeout=600)[0]
        other.kill()
    node = f"node {second.address} ({second.name})"
    assert "2 problems" in printed
    assert f"{node}: has other code of this project" in printed
    assert f"{node}: output={tmp_path}/shared/study is not the folder that the driver sees" in printed
    assert first.name not in printed.partition("problems in")[2].partition("=====")[0]
    assert not list((tmp_path / "shared").iterdir())


def test_a_cluster_with_another_token_is_not_joined(
    tmp_path: Path, pair: list[Machine], environment: dict[str, str]
) -> None:
    other = {**environment, "RAY_AUTH_TOKEN": "fedcba9876543210" * 3}
    settings = f"experiment=empty budget.trials=2 output={tmp_path}/study cache={tmp_path}/cache cluster=address"
    # The head starts with one token, the study comes with another.
    script = (
        f"ray start --head --num-cpus=1 > /dev/null && cd {ROOT} && RAY_AUTH_TOKEN={TOKEN} python -m study {settings}"
    )
    with pair[0].start("bash", "-c", script, env=other) as driver:
        printed = driver.communicate(timeout=600)[0]
    assert driver.returncode == 2, printed
    assert "cannot be joined" in printed
    assert not (tmp_path / "study").exists()
