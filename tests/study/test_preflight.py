"""What is asked of the nodes of a cluster, and what is said of the answers; no Ray."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from study.cluster import ClusterConfig
from study.config import ConfigError, StudyConfig
from study.node_check import DRIVER_FILE, Answer, Question, code_hash, look
from study.packing import Node
from study.preflight import differences, offers, unreachable
from study.resources import ResourceConfig, concurrent, plan_nodes

MakeConfig = Callable[..., StudyConfig]
AUTO = ResourceConfig(None, None, None)
HERE = Answer("head", "c0de", {"python": "3.11.7", "ray": "2.60.0"}, "d1", {})
FIELDS = {"/shared/study/.preflight-1": "output", "/shared/cache/.preflight-1": "cache"}


def source(root: Path) -> Path:
    for name in ("study/a.py", "models/deep/b.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


def test_the_code_hash_sees_content_and_names_of_sources_and_nothing_else(tmp_path: Path) -> None:
    first = code_hash(source(tmp_path / "here"))
    other = source(tmp_path / "there")
    (other / "notes.txt").write_text("not imported")
    (other / "studies").mkdir()
    assert code_hash(other) == first
    (other / "models" / "deep" / "b.py").write_text("# changed\n")
    assert code_hash(other) != first
    renamed = source(tmp_path / "renamed")
    (renamed / "study" / "a.py").rename(renamed / "study" / "c.py")
    assert code_hash(renamed) != first


def test_a_node_that_sees_the_drivers_file_writes_its_own(tmp_path: Path) -> None:
    (tmp_path / DRIVER_FILE).write_text("w")
    answer = look(Question((str(tmp_path),), "w", {}), "0")
    assert answer["folders"] == {}
    assert (tmp_path / "0").read_text() == "w"
    assert answer["data"] is None


def test_a_folder_that_is_not_there_or_another_is_not_shared(tmp_path: Path) -> None:
    absent, other = tmp_path / "absent", tmp_path / "other"
    other.mkdir()
    (other / DRIVER_FILE).write_text("of an earlier study")
    faults = look(Question((str(absent), str(other)), "w", {}), "0")["folders"]
    assert "is not the folder that the driver sees" in faults[str(absent)]
    assert "holds something else" in faults[str(other)]
    assert not (other / "0").exists()


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / DRIVER_FILE).write_text("w")

    def refuse(path: Path, text: str) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert "cannot be written (Permission denied)" in str(look(Question((str(tmp_path),), "w", {}), "0")["folders"])


def test_data_that_a_node_lacks_have_another_digest(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"123")
    with_data = look(Question((), "w", {"root": str(tmp_path / "images")}), "0")["data"]
    assert with_data != look(Question((), "w", {"root": str(tmp_path / "none")}), "0")["data"]


def test_a_node_like_the_drivers_has_no_problems() -> None:
    assert differences(HERE, replace(HERE, host="other"), FIELDS) == []


def test_every_difference_of_a_node_is_named_with_what_to_do() -> None:
    there = Answer(
        "worker",
        "0ther",
        {"python": "3.12.1", "ray": "2.60.0"},
        "d2",
        {"/shared/cache/.preflight-1": "is not the folder that the driver sees"},
    )
    problems = differences(HERE, there, FIELDS)
    assert len(problems) == 4
    for words in (
        "launch/submit.sh",
        "python 3.12.1 (here 3.11.7)",
        "data.root",
        "cache=/shared/cache is not the folder",
    ):
        assert any(words in problem for problem in problems), words
    assert not any("ray 2.60" in problem for problem in problems)


def test_a_package_that_a_node_lacks_is_named() -> None:
    there = replace(HERE, versions={"python": "3.11.7", "ray": None})
    assert "ray none (here 2.60.0)" in differences(HERE, there, FIELDS)[0]


@pytest.mark.parametrize("address", ["10.0.0.1", ":6379", "head:port", "10.0.0.1:"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    assert "must be host:port" in str(unreachable(ClusterConfig(address, 1, 0.1)))


def test_a_port_where_nothing_listens_is_unreachable_and_one_where_something_does_is_not() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        assert "nothing answers there" in str(unreachable(ClusterConfig(address, 1, 0.1)))
        listening.listen()
        assert unreachable(ClusterConfig(address, 1, 0.1)) is None
    assert unreachable(ClusterConfig("auto", 1, 0.1)) is None


@pytest.mark.parametrize(
    ("config", "nodes", "expected"),
    [
        (AUTO, [(0, 0), (2, 0), (3, 0)], (1.0, 0.0, 5)),
        (AUTO, [(64, 0), (8, 4)], (1.0, 0.25, 8)),  # the head's CPUs are no use where its trials need GPUs
        (AUTO, [(16, 1), (16, 1)], (4.0, 0.25, 8)),
        (AUTO, [(16, 1), (8, 1)], (2.0, 0.25, 8)),
        (ResourceConfig(2, None, None), [(3, 0), (3, 0)], (2, 0.0, 2)),  # three would fit on six CPUs of one node
        (ResourceConfig(None, None, 3), [(2, 0), (2, 0)], (1.0, 0.0, 3)),
        (ResourceConfig(None, 2, None), [(8, 1), (8, 3)], (8.0, 2, 1)),
    ],
)
def test_a_trial_has_to_fit_on_one_node(
    config: ResourceConfig, nodes: list[tuple[float, float]], expected: tuple[float, float, int]
) -> None:
    share = plan_nodes(config, nodes)
    assert (share.cpus, share.gpus, share.concurrent) == expected


def test_what_fits_on_the_cluster_but_on_no_node_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 2 CPUs on one node"):
        plan_nodes(ResourceConfig(3, None, None), [(2, 0), (2, 0)])
    with pytest.raises(ValueError, match="1 GPUs were found that torch can use on one node"):
        plan_nodes(ResourceConfig(None, 2, None), [(8, 1), (8, 1)])


def test_a_cluster_that_lost_its_nodes_still_asks_for_one_trial() -> None:
    assert concurrent(AUTO, [(0, 0)], 1.0, 0.0) == 1


def test_a_node_offers_what_ray_says_of_it() -> None:
    nodes = [{"Resources": {"CPU": 4.0, "GPU": 1.0, "memory": 1e9}}, {"Resources": {"memory": 1e9}}]
    assert offers(nodes) == [Node(4.0, 1.0, 1e9), Node(0.0, 0.0, 1e9)]


def test_slurm_and_kuberay_wait_for_the_nodes_of_their_job(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "3")
    monkeypatch.setenv("STUDY_NODES", "5")
    assert make_config("cluster=slurm").cluster == ClusterConfig("auto", 3, 300.0)
    assert make_config("cluster=kuberay").cluster == ClusterConfig("auto", 5, 900.0)


def test_wrong_numbers_of_nodes_are_told_together(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config("cluster=address", "cluster.nodes=0", "cluster.wait_seconds=soon")
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError, match="cluster=local is this machine alone"):
        make_config("+cluster.nodes=2")
