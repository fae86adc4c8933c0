"""How trials share a machine, and which clusters may be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.cluster import has_token, token_problems
from study.resources import ResourceConfig, detect_cpus, plan

AUTO = ResourceConfig(None, None, None)


@pytest.mark.parametrize(
    ("config", "cpus", "gpus", "expected"),
    [
        (AUTO, 2, 0, (1.0, 0.0, 2)),
        (AUTO, 16, 1, (4.0, 0.25, 4)),
        (AUTO, 2, 1, (1.0, 0.25, 2)),  # four would fit on the GPU, two on the CPUs
        (AUTO, 64, 4, (4.0, 0.25, 16)),
        (ResourceConfig(2, None, None), 8, 0, (2, 0.0, 4)),
        (ResourceConfig(None, 0.1, None), 20, 1, (2.0, 0.1, 10)),
        (ResourceConfig(None, 1, None), 16, 2, (8.0, 1, 2)),
        (ResourceConfig(None, 2, None), 16, 4, (8.0, 2, 2)),
        (ResourceConfig(None, 0, None), 16, 4, (1.0, 0, 16)),
        (ResourceConfig(None, None, 1), 8, 0, (1.0, 0.0, 1)),
        (ResourceConfig(None, None, 99), 8, 0, (1.0, 0.0, 8)),
        (ResourceConfig(0.5, None, None), 2, 0, (0.5, 0.0, 4)),
    ],
)
def test_trials_take_a_share_of_a_gpu_where_there_is_one_and_cpus_otherwise(
    config: ResourceConfig, cpus: float, gpus: float, expected: tuple[float, float, int]
) -> None:
    result = plan(config, cpus, gpus)
    assert (result.cpus, result.gpus, result.concurrent) == expected
    assert result.device == ("cuda" if expected[1] else "cpu")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ResourceConfig(None, 0.5, None), "gpus_per_trial=0.5, but 0 GPUs"),
        (ResourceConfig(4, None, None), "cpus_per_trial=4, but there are 2"),
    ],
)
def test_a_trial_that_does_not_fit_is_refused(config: ResourceConfig, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(config, cpus=2, gpus=0)


def test_at_least_one_cpu_is_found() -> None:
    assert detect_cpus() >= 1


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["localhost"], ["::1"], ["[::1]"], ["127.0.0.1", "127.8.8.8"], []])
def test_this_machine_needs_no_token(hosts: list[str]) -> None:
    assert token_problems(hosts, {}) == []


@pytest.mark.parametrize("host", ["10.0.0.7", "head.example.org", "192.168.1.1", "0.0.0.0"])
def test_a_cluster_beyond_this_machine_needs_a_token(host: str, tmp_path: Path) -> None:
    assert host in token_problems(["127.0.0.1", host], {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")})[0]
    assert token_problems([host], {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}) == []


def test_a_token_without_the_mode_or_the_mode_without_a_token_does_not_count(tmp_path: Path) -> None:
    absent, present = tmp_path / "absent", tmp_path / "present"
    present.write_text("secret")
    assert not has_token({"RAY_AUTH_TOKEN": "secret"})
    assert not has_token({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(absent)})
    assert has_token({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(present)})
