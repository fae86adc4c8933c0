"""Keep a Ray cluster of several nodes on this machine, and change it as lines on standard input say.

    python -m tests.study.cluster_nodes CPUS...      # nodes beside a head that has no CPUs

``add CPUS`` starts a node, ``kill`` ends the first one at once, the end of the input ends the cluster. Each line is
answered, and the start by the head's address. A process of its own: what Ray authenticates by is settled at its import.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

OBJECT_STORE_BYTES = 80 * 1024**2


def main() -> None:
    """Start the nodes, then obey."""
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=int(cpus), object_store_memory=OBJECT_STORE_BYTES) for cpus in sys.argv[1:]]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.startswith("add"):
            nodes.append(cluster.add_node(num_cpus=int(line.split()[1]), object_store_memory=OBJECT_STORE_BYTES))
        else:
            cluster.remove_node(nodes.pop(0), allow_graceful=False)
        print("done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
