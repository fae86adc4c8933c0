"""Machines on this machine: Linux namespaces with an address, processes, a host name and mounts of their own.

Ray believes each to be a computer of its own, and ``ray stop`` on one ends nothing on another. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

NETWORK = "10.213.77"
BRIDGE = "studybridge"


def available() -> bool:
    """Return whether this system lets us make such machines."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "ip", "link", "add", "probe", "type", "bridge"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


class Machine:
    """One of them."""

    def __init__(self, number: int) -> None:
        """Make it, with one network card at the bridge."""
        self.name, self.address = f"studynode{number}", f"{NETWORK}.{10 + number}"
        card = f"studycard{number}"
        _ip("netns", "add", self.name)
        _ip("link", "add", card, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", card, "master", BRIDGE, "up")
        for arguments in (("addr", "add", f"{self.address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            _ip("-n", self.name, *arguments)
        _ip("-n", self.name, "link", "set", "lo", "up")

    def command(self, *command: str, before: str = ":") -> list[str]:
        """Return a command line that runs ``command`` on this machine, after the shell command ``before``."""
        # bash stays: as the first process it collects those that end.
        prepare = (
            f"mount --make-rprivate / && hostname {self.name} && mkdir -p /tmp/ray && mount -t tmpfs ray /tmp/ray && "
            "mount -t tmpfs shm /dev/shm && "
            f"echo '127.0.0.1 localhost\n{self.address} {self.name}' > /tmp/ray/hosts && "
            f'mount --bind /tmp/ray/hosts /etc/hosts && {before} || exit 125; "$@"; exit $?'
        )
        apart = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
        return ["ip", "netns", "exec", self.name, *apart, "bash", "-c", prepare, "machine", *command]

    def start(self, *command: str, before: str = ":", env: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start ``command`` on this machine; its output is one stream."""
        return subprocess.Popen(
            self.command(*command, before=before),
            env=dict(env),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@contextlib.contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """Make machines with a network between them, and take them away again."""
    _remove(count)
    _ip("link", "add", BRIDGE, "type", "bridge")
    try:
        _ip("link", "set", BRIDGE, "up")
        yield [Machine(number) for number in range(1, count + 1)]
    finally:
        _remove(count)


def _remove(count: int) -> None:
    for number in range(1, count + 1):
        for what in (("netns", "delete", f"studynode{number}"), ("link", "delete", f"studycard{number}")):
            subprocess.run(["ip", *what], capture_output=True, check=False)
    subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def write_executable(path: Path, text: str) -> None:
    """Write a script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
