"""How much of a machine each trial asks for, once trials like it have been measured; so that as many run as fit.

A study's own trials are the probe: the peak memory of each is recorded, and a trial is expected to take what the
largest finished one of its stratum took. Until there is one, it takes the share that ``resources`` says. Sizes are
powers of two: workers are reused only by trials of the same size. Knows nothing of Ray.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.memory import CONTEXT_BYTES, MemoryUse
from study.nested import flatten
from study.parameter import comparable
from study.resources import Plan, ResourceConfig, concurrent

MARGIN = 1.25
"""Memory asked for, in units of the largest that was measured: a stratum's next trial may be larger."""

SMALLEST_SHARE = 1 / 32
"""Smallest share of a GPU that a trial asks for."""


@dataclass(frozen=True)
class Node:
    """What Ray offers of a node."""

    cpus: float
    gpus: float
    memory: float
    """Bytes."""


@dataclass(frozen=True)
class Request:
    """What one trial asks for, all on one node."""

    cpus: float
    gpus: float
    memory: int
    """Bytes of the node's memory; 0 where it cannot become short."""

    def bundle(self) -> dict[str, float]:
        """Return the request under Ray's names."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": float(self.memory)}
        return {name: amount for name, amount in named.items() if amount}


class Packing:
    """Says what each trial of one study asks for."""

    def __init__(self, config: ResourceConfig, share: Plan, nodes: Sequence[Node], strata: Sequence[str]) -> None:
        """Begin without measurements.

        Args:
            config: What the user said.
            share: What a trial takes that is like none before.
            nodes: The nodes there are, at least one.
            strata: Names of the parameters by which trials are alike.
        """
        self._config, self._share, self._strata = config, share, strata
        self.nodes = nodes
        """The nodes there are; set anew when they change."""
        self._largest: dict[tuple[Hashable, ...], MemoryUse] = {}

    def note(self, trial: Mapping[str, Any], use: MemoryUse) -> None:
        """Take the measurement of a trial that did not run out of memory.

        Args:
            trial: Its complete nested configuration.
            use: What it took.
        """
        self._take(flatten(trial), use)

    def restore(self, row: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        """Take the measurement of a recorded trial; records of earlier versions have none.

        Args:
            row: As ``study.records.read_parts`` returns it.
            defaults: The study's nested trial configuration.
        """
        if row.get("memory_bytes") and row.get("memory_capacity_bytes") and row["outcome"] != "out_of_memory":
            known = {name: row[f"param.{name}"] for name in self._strata if row.get(f"param.{name}") is not None}
            use = MemoryUse(row["memory_bytes"], row["memory_capacity_bytes"])
            self._take({**flatten(defaults), **known}, use)

    def request(self, trial: Mapping[str, Any], *, alone: bool = False) -> Request:
        """Return what a trial asks for.

        Args:
            trial: Its complete nested configuration.
            alone: Whether it ran out of memory before, and so gets a GPU, or the largest node, to itself.
        """
        share = self._share
        if alone:
            cpus = share.cpus if share.gpus else max(node.cpus for node in self.nodes)
            return Request(cpus, max(1.0, share.gpus) if share.gpus else 0.0, 0)
        use = self._largest.get(self._stratum(flatten(trial)))
        if use is None:
            return Request(share.cpus, share.gpus, 0)
        if not share.gpus:
            return Request(share.cpus, 0.0, self._memory(use))
        if self._config.gpus_per_trial is not None:
            return Request(share.cpus, share.gpus, 0)
        return self._on_gpu(use)

    @property
    def concurrent(self) -> int:
        """How many trials fit side by side if all were as small as the smallest known stratum, >= 1."""
        requests = [Request(self._share.cpus, self._share.gpus, 0)]
        if self._share.gpus and self._config.gpus_per_trial is None:
            requests = [self._on_gpu(use) for use in self._largest.values()] or requests
        nodes = [(node.cpus, node.gpus) for node in self.nodes]
        return max(concurrent(self._config, nodes, request.cpus, request.gpus) for request in requests)

    def _on_gpu(self, use: MemoryUse) -> Request:
        """Return the smallest power of two of a GPU that holds the trial, and as large a share of the CPUs."""
        needed = (MARGIN * use.peak + CONTEXT_BYTES) / use.capacity
        gpus = min(1.0, max(SMALLEST_SHARE, 2.0 ** math.ceil(math.log2(needed))))
        cpus = self._share.cpus
        if self._config.cpus_per_trial is None:
            cpus = max(1.0, cpus * gpus // self._share.gpus)
        return Request(cpus, gpus, 0)

    def _memory(self, use: MemoryUse) -> int:
        """Return the memory of a node that a trial on CPUs asks for; 0 where even the CPUs' number of them fits."""
        needed = 2 ** math.ceil(math.log2(MARGIN * use.peak))
        fitting = [node for node in self.nodes if node.cpus >= self._share.cpus]
        if all(needed * (node.cpus // self._share.cpus) <= node.memory for node in fitting):
            return 0
        return min(needed, int(max((node.memory for node in fitting), default=needed)))

    def _take(self, values: Mapping[str, Any], use: MemoryUse) -> None:
        stratum = self._stratum(values)
        known = self._largest.get(stratum)
        if known is None or use.peak / use.capacity > known.peak / known.capacity:
            self._largest[stratum] = use

    def _stratum(self, values: Mapping[str, Any]) -> tuple[Hashable, ...]:
        return tuple(comparable(values.get(name)) for name in self._strata)
