"""Starting or joining Ray, and asking before anything starts whether it has what the run needs."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from ..config import ConfigError, TrainConfig, local_cpus


@contextmanager
def ray_session(config: TrainConfig) -> Iterator[str]:
    """Ray for the time of a run: started here (`cluster=local`), or joined. Yields a line that describes it.

    Raises:
        ConfigError: if nobody answers at the address, or the cluster has fewer CPUs or GPUs than the run asks for.
    """
    needed = config.actors.cpus * (1 if config.actors.auto else config.actors.num)
    inside = ray.is_initialized()  # in a task of Hydra's Ray launcher, or in an earlier job of a sweep
    if not inside:
        if config.cluster == "local":
            _require(needed, local_cpus(), "this machine has")
            _start(config)
        else:
            join(config.cluster)
    try:
        total = ray.cluster_resources()
        _require(needed, total.get("CPU", 0.0), "the cluster has")
        if config.learner.device == "cuda" and total.get("GPU", 0.0) < 1:
            raise ConfigError("learner.device=cuda was asked for, but no node of the cluster has a GPU")
        if config.cluster != "local":
            _wait_for_free_cpus(needed, config.ray.wait_s)
        yield f"Ray on {len(ray.nodes())} node(s), {total.get('CPU', 0):g} CPUs, {total.get('GPU', 0):g} GPUs"
    finally:
        if not inside:
            ray.shutdown()


def _require(needed: float, available: float, whose: str) -> None:
    if needed > available:
        raise ConfigError(
            f"the run asks for {needed:g} CPUs (actors.num x actors.cpus), {whose} {available:g}: "
            "lower actors.num, or lower actors.cpus to let actors share a CPU"
        )


QUIET = {
    "RAY_event_stats": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_memory_monitor_refresh_ms": "1000",
}
"""For a Ray without a dashboard: its daemons measure themselves and look at the machine's memory four times a second.
Without a call they take some 57 CPU-ms a second, with these 37. What the user has set stays."""


def _start(config: TrainConfig) -> None:
    if not config.ray.dashboard:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
    ray.init(
        address="local",
        num_cpus=local_cpus(),
        include_dashboard=config.ray.dashboard,
        dashboard_host="127.0.0.1",
        object_store_memory=config.ray.object_store_mb * 2**20,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )


def join(address: str) -> None:
    """Join the Ray at an address, or the running one (`auto`).

    Raises:
        ConfigError: if nobody answers there.
    """
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(
                f"cluster={address} is not known; use none, local, auto or an address such as 10.0.0.1:6379"
            )
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            raise ConfigError(
                f"no Ray answers at {address} ({error}); `ray status --address {address}` tells more, "
                "`ray start --head` starts one"
            ) from error
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except ConnectionError as error:
        raise ConfigError(
            f"cluster={address}: no running Ray was found ({error}); start one with `ray start --head`, or use "
            "cluster=local; a cluster with another token wants RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        ) from error


def _wait_for_free_cpus(needed: float, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while (free := ray.available_resources().get("CPU", 0.0)) < needed:
        if time.monotonic() > deadline:
            raise ConfigError(
                f"the run asks for {needed:g} CPUs, but only {free:g} of the cluster's "
                f"{ray.cluster_resources().get('CPU', 0):g} are free after {wait_s:g} s; wait for other jobs, lower "
                "actors.num or actors.cpus, or raise ray.wait_s"
            )
        time.sleep(0.5)
