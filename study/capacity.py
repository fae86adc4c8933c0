"""A cluster that changes while a study runs: nodes are lost or join, and as many trials run as fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.search import ConcurrencyLimiter

from study.config import StudyConfig
from study.preflight import alive_nodes, capacities, node_problems
from study.resources import Plan, concurrent

LOOK_SECONDS = 5.0
"""How often the nodes are counted."""


class CapacityCallback(tune.Callback):
    """Lets as many trials run side by side as the nodes of the moment hold.

    A trial on a node that is lost goes on elsewhere from its last checkpoint (``study.outcomes.WORKER_RESTARTS``).
    """

    def __init__(
        self, config: StudyConfig, share: Plan, limiter: ConcurrencyLimiter, say: Callable[[str], None]
    ) -> None:
        """Keep the parts; the nodes that are alive now have passed the preflight."""
        self._config, self._share, self._limiter, self._say = config, share, limiter, say
        self._known = {node["NodeID"]: node["NodeManagerAddress"] for node in alive_nodes()}
        self._looked = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Count the nodes now and then."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()
            self._looked = time.monotonic()

    def _look(self) -> None:
        nodes = alive_nodes()
        found = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes}
        if found.keys() == self._known.keys():
            return
        new = [node for node in nodes if node["NodeID"] not in self._known]
        lost = sorted(address for name, address in self._known.items() if name not in found)
        self._known = found
        if lost:
            self._say(f"warning: the cluster lost nodes: {', '.join(lost)}; their trials go on elsewhere")
        for problem in node_problems(self._config, new):
            self._say(f"warning: a node joined on which trials will fail: {problem}")
        fit = concurrent(self._config.resources, capacities(nodes), self._share.cpus, self._share.gpus)
        self._limiter.set_max_concurrency(fit)
        self._say(f"the cluster has {len(nodes)} nodes now, for {fit} trials at a time")
