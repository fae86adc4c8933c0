"""Where Ray runs, and the rule that nothing beyond this machine is used without a token.

Anybody who reaches a Ray cluster without token authentication runs code on it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.sections import Section


@dataclass(frozen=True)
class ClusterConfig:
    """The ``cluster`` group, resolved."""

    address: str
    """Address of a running Ray cluster, "auto" for the one this machine belongs to, empty to start Ray here."""
    nodes: int = 1
    """Nodes to wait for before anything is checked or started, >= 1."""
    wait_seconds: float = 60.0
    """Seconds that the cluster gets to answer, and to have so many nodes."""


def read_cluster(group: Any, problems: list[str]) -> ClusterConfig:
    """Read the ``cluster`` group; what is wrong with it is added to ``problems``."""
    section = Section("cluster", group, problems)
    section.text("description", optional=True)
    address = section.text("address", optional=True)
    # Neither is in the folders of studies that were started before there were clusters of several nodes.
    nodes = ClusterConfig.nodes if section.raw("nodes") is None else section.integer("nodes", 1)
    wait = ClusterConfig.wait_seconds if section.raw("wait_seconds") is None else section.number("wait_seconds", 1.0)
    section.close()
    if nodes > 1 and not address:
        problems.append(f"cluster.nodes={nodes}, but cluster=local is this machine alone; choose cluster=address")
    if address.startswith("ray://"):
        problems.append(
            f"cluster.address={address!r} is the address of Ray Client, over which Tune's driver would run elsewhere; "
            "give the head node's address as host:6379, or submit the command with `ray job submit`"
        )
    elif address not in ("", "auto"):
        problems.extend(token_problems([address.rsplit(":", 1)[0]], os.environ))
    return ClusterConfig(address, nodes, wait)


def token_problems(hosts: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Return why these hosts must not be used: one is beyond loopback, and there is no token authentication."""
    beyond = sorted({host for host in hosts if not _is_loopback(host)})
    if not beyond or has_token(environment):
        return []
    return [
        f"cluster.address leads to {', '.join(beyond)}, beyond this machine, without token authentication: whoever can "
        "reach that cluster can run code on it; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH on every node before "
        "Ray is started there, and here"
    ]


def has_token(environment: Mapping[str, str]) -> bool:
    """Return whether Ray is told to authenticate by token and has one."""
    if environment.get("RAY_AUTH_MODE") != "token":
        return False
    path = Path(environment.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    return bool(environment.get("RAY_AUTH_TOKEN")) or path.is_file()


def _is_loopback(host: str) -> bool:
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
