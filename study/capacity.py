"""How many trials run side by side as a study goes: nodes are lost or join, trials turn out smaller than expected."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.search import ConcurrencyLimiter

from study.config import StudyConfig
from study.packing import Packing
from study.preflight import alive_nodes, node_problems, offers

LOOK_SECONDS = 5.0
"""How often the nodes are counted."""


class CapacityCallback(tune.Callback):
    """Lets as many trials run side by side as the nodes of the moment hold.

    A trial on a node that is lost goes on elsewhere from its last checkpoint (``study.outcomes.WORKER_RESTARTS``).
    """

    def __init__(
        self, config: StudyConfig, packing: Packing, limiter: ConcurrencyLimiter, say: Callable[[str], None]
    ) -> None:
        """Keep the parts; the nodes that are alive now have passed the preflight."""
        self._config, self._packing, self._limiter, self._say = config, packing, limiter, say
        self._known = {node["NodeID"]: node["NodeManagerAddress"] for node in alive_nodes()}
        self._looked = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Count the nodes now and then, and let as many trials run as fit."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        if self._config.cluster.address:
            self._look()
        before, fit = self._limiter.max_concurrent, self._packing.concurrent
        if fit != before:
            self._limiter.set_max_concurrency(fit)
            self._say(f"room for {fit} trials at a time now; before, {before}")
        self._looked = time.monotonic()

    def _look(self) -> None:
        nodes = alive_nodes()
        found = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes}
        if found.keys() == self._known.keys() or not nodes:
            return
        new = [node for node in nodes if node["NodeID"] not in self._known]
        lost = sorted(address for name, address in self._known.items() if name not in found)
        self._known, self._packing.nodes = found, offers(nodes)
        if lost:
            self._say(f"warning: the cluster lost nodes: {', '.join(lost)}; their trials go on elsewhere")
        if new:
            self._say(f"nodes joined: {', '.join(node['NodeManagerAddress'] for node in new)}")
        for problem in node_problems(self._config, new):
            self._say(f"warning: trials will fail on it: {problem}")
