"""What several tests share: the tests' own modules on the path of Ray workers too, and one Ray for all of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ray_session():
    """One Ray with four (logical) CPUs for the whole session; starting it takes seconds."""
    import logging

    import ray

    os.environ |= {"RAY_worker_niceness": "0", "RAY_IGNORE_UNHANDLED_ERRORS": "1"}
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=256 * 2**20,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    yield ray
    ray.shutdown()
