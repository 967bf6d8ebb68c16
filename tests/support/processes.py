"""Processes that the tests of this worker have started, and theirs."""

from __future__ import annotations

import psutil


def processes(title):
    """Ids of those with a word in their command line, the newest last."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if title in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process.create_time(), process.pid))
        except psutil.NoSuchProcess:
            continue
    return [pid for _, pid in sorted(found)]


def left_running(folder):
    """Command lines of what runs in a folder."""
    found = psutil.process_iter(["cmdline", "cwd"])
    return [process.info["cmdline"] for process in found if process.info["cwd"] == str(folder)]
