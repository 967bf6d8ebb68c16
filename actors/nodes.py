"""What the pool asks of the cluster: its size, and which of its nodes are there."""

from __future__ import annotations

import socket
import sys

import ray

ANSWER_WITHIN_S = 1.0


def room_for(cpus: float) -> int:
    """Actors of so many CPUs each that the cluster could hold if nothing else ran on it."""
    total = ray.cluster_resources().get("CPU", 0.0)
    return int((total + 1e-6) / cpus) if cpus else sys.maxsize


def alive_nodes() -> set[str]:
    """Ray's ids of the nodes that it takes for alive."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def answers(node_id: str) -> bool:
    """Whether a node is reached. Ray itself takes a minute to declare one dead that has become silent."""
    for node in ray.nodes():
        if node["NodeID"] == node_id and node["Alive"]:
            try:
                address = (node["NodeManagerAddress"], node["NodeManagerPort"])
                socket.create_connection(address, timeout=ANSWER_WITHIN_S).close()
            except OSError:
                return False
            return True
    return False
