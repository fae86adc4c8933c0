"""Everything about a cluster that would make trials fail, found out before anything is spent, and all of it at once.

Each node is asked by a task of its own that takes none of its resources (``study.node_check``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.cluster import ClusterConfig, token_problems
from study.config import ConfigError, StudyConfig
from study.memory import share_problem
from study.node_check import DRIVER_FILE, PROBE, Answer, Question, look
from study.packing import Node
from study.remote import RemoteFolder, is_remote
from study.resources import Plan, plan_nodes

ANSWER_SECONDS = 120.0
"""Time that nodes get to answer, at least: the first task on a node starts a process, which imports this project."""


def unreachable(cluster: ClusterConfig) -> str | None:
    """Return why nothing listens at the address of the head node, None if something does or the address is "auto".

    Ray itself would try for minutes.
    """
    host, _, port = cluster.address.rpartition(":")
    if cluster.address == "auto":
        return None
    if not host or not port.isdigit():
        return f"cluster.address={cluster.address!r} must be host:port of the head node, such as 10.0.0.1:6379, or auto"
    deadline = time.monotonic() + cluster.wait_seconds
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=cluster.wait_seconds):
                return None
        except OSError as error:
            reason = error.strerror or str(error)
        if time.monotonic() >= deadline:
            return (
                f"cluster.address={cluster.address}: nothing answers there for {cluster.wait_seconds:g} s ({reason}); "
                "is Ray started on the head node (ray status), and is the port open from here?"
            )
        time.sleep(min(1.0, cluster.wait_seconds / 10))


def preflight(config: StudyConfig) -> Plan:
    """Make sure that every node of the joined cluster can run trials, and return how trials share it.

    Raises:
        ConfigError: If anything is wrong; names every problem of every node.
    """
    nodes = wait_for_nodes(config.cluster)
    if problems := token_problems([node["NodeManagerAddress"] for node in nodes], os.environ):
        raise ConfigError(problems)  # and ask nothing of such a cluster
    if len(nodes) < config.cluster.nodes:
        problems.append(
            f"cluster.nodes={config.cluster.nodes}, but after {config.cluster.wait_seconds:g} s there are {len(nodes)}"
            "; start the others (ray start --address=...), or give cluster.nodes or cluster.wait_seconds"
        )
    share = None
    try:
        share = plan_nodes(config.resources, [(node.cpus, node.gpus) for node in offers(nodes)])
    except ValueError as error:
        problems.append(str(error))
    problems.extend(node_problems(config, nodes))
    if "runtime_resources" in config.output.parts:
        problems.append(
            f"output={config.output} lies in Ray's own folder, where it would be lost; give an absolute output="
        )
    if problems or share is None:
        raise ConfigError(problems)
    return share


def alive_nodes() -> list[dict[str, Any]]:
    """Return Ray's descriptions of the nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]


def offers(nodes: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Return what each node offers to trials."""
    named = [node["Resources"] for node in nodes]
    return [Node(each.get("CPU", 0.0), each.get("GPU", 0.0), each.get("memory", 0.0)) for each in named]


def wait_for_nodes(cluster: ClusterConfig) -> list[dict[str, Any]]:
    """Return the nodes that are alive once there are ``cluster.nodes``, or when the time for that is over."""
    deadline = time.monotonic() + cluster.wait_seconds
    while len(nodes := alive_nodes()) < cluster.nodes and time.monotonic() < deadline:
        time.sleep(0.5)
    return nodes


def node_problems(config: StudyConfig, nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why trials would fail on these nodes, or give other results there than on the driver's.

    Args:
        config: The study; its output and cache folders are made if there are none, and removed again if empty.
        nodes: Ray's descriptions of nodes.
    """
    problems: list[str] = []
    word = uuid.uuid4().hex
    with contextlib.ExitStack() as stack:
        folders = {}
        shared = [] if config.remote else [("output", config.output), ("cache", config.cache)]
        for field, folder in shared:
            try:
                probe = stack.enter_context(_probe(folder, word))
            except OSError as error:
                problems.append(f"{field}={folder} cannot be written here ({error.strerror}); choose another folder")
            else:
                folders[str(probe)] = field
        if config.remote:
            try:
                stack.enter_context(_remote_probe(config.remote, word))
            except OSError as error:
                problems.append(f"output={config.remote} cannot be written here: {' '.join(str(error).split())[:200]}")
        question = Question(tuple(folders), word, config.data, config.remote)
        here = Answer(**look(question, "here"))
        for name, (node, answer) in enumerate(_ask(question, nodes, max(ANSWER_SECONDS, config.cluster.wait_seconds))):
            where = f"node {node['NodeManagerAddress']}"
            if isinstance(answer, str):
                problems.append(f"{where}: {answer}")
                continue
            problems.extend(f"{where} ({answer.host}): {problem}" for problem in differences(here, answer, folders))
            if problem := share_problem(config.resources.gpus_per_trial, answer.gpu_memory):
                problems.append(f"{where} ({answer.host}): {problem}")
            for probe_folder, field in folders.items():
                if probe_folder not in answer.folders and not (Path(probe_folder) / str(name)).exists():
                    problems.append(
                        f"{where} ({answer.host}): what it wrote into {field}={Path(probe_folder).parent} does not "
                        "arrive here; nodes must share that folder"
                    )
    return problems


def differences(here: Answer, there: Answer, fields: Mapping[str, str]) -> list[str]:
    """Return in what a node differs from the driver's.

    Args:
        here: What the driver's node has.
        there: What the other has.
        fields: Configuration field of each probe folder, by its path.
    """
    problems = []
    if there.code != here.code:
        problems.append(
            "has other code of this project (study/, models/) than the driver; ship it with `ray job submit` "
            "(launch/submit.sh), or bring the node's copy to the driver's revision"
        )
    others = {
        name: there.versions.get(name) for name in here.versions if there.versions.get(name) != here.versions[name]
    }
    if others:
        listed = ", ".join(f"{name} {found or 'none'} (here {here.versions[name]})" for name, found in others.items())
        problems.append(f"has other versions: {listed}; install constraints.txt on every node")
    if there.data != here.data:
        problems.append("data.root holds other images or labels than here, or none; copy or mount the same folder")
    for folder, fault in there.folders.items():
        if is_remote(folder):
            problems.append(f"output={folder} {fault}")
            continue
        problems.append(
            f"{fields.get(folder, 'output')}={Path(folder).parent} {fault}; put it where all nodes share it"
        )
    return problems


@contextlib.contextmanager
def _probe(folder: Path, word: str) -> Iterator[Path]:
    """Make a probe folder with the driver's file in it; remove it afterwards, with folders made for it."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    probe = folder / f"{PROBE}-{word}"
    try:
        probe.mkdir(parents=True)
        (probe / DRIVER_FILE).write_text(word)
        yield probe
    finally:
        shutil.rmtree(probe, ignore_errors=True)
        for path in made:
            with contextlib.suppress(OSError):  # something else is in it by now
                path.rmdir()


@contextlib.contextmanager
def _remote_probe(uri: str, word: str) -> Iterator[None]:
    """Make a probe folder in a store with the driver's object in it; remove it afterwards."""
    remote = RemoteFolder.at(uri)
    remote.write(f"{PROBE}-{word}/{DRIVER_FILE}", word.encode())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            remote.remove(f"{PROBE}-{word}")


def _ask(
    question: Question, nodes: Sequence[Mapping[str, Any]], seconds: float
) -> Iterator[tuple[Mapping[str, Any], Answer | str]]:
    """Yield each node with its answer, or with the reason why it has none."""
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            question, str(name)
        )
        for name, node in enumerate(nodes)
    ]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=seconds)
    for node, reference in zip(nodes, asked, strict=True):
        if reference not in answered:
            ray.cancel(reference, force=True)
            yield node, f"does not answer within {seconds:g} s; see `ray status` and the node's logs"
            continue
        try:
            yield node, Answer(**ray.get(reference))
        except Exception as error:
            cause = " ".join(str(getattr(error, "cause", None) or error).split())[-200:]
            yield node, f"cannot run this project's code ({cause}); ship it with launch/submit.sh, or install it there"
