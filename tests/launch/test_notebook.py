"""Notebooks: the one of the documentation runs to its end, Ctrl-C leaves a run that goes on."""

from __future__ import annotations

import time
from pathlib import Path

import nbformat
import prefrontal
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from program import wait_until

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


@pytest.fixture
def kernel(tmp_path):
    """A kernel that works in a folder of its own, and who talks to it."""
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_notebook_of_the_documentation(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = "ENV_STEPS, EPISODES = 20_000, 20"
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = [output for cell in notebook.cells for output in cell.get("outputs", ()) if _is_picture(output)]
    assert len(pictures) == 5
    assert len(prefrontal.runs(tmp_path)) == 1


def test_the_notebook_is_shown_as_it_came_out():
    """With outputs, of cells that ran in their order without an error, and no larger than a page may be."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum(map(_is_picture, outputs)) == 5
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert NOTEBOOK.stat().st_size < 500_000


def _is_picture(output):
    return "image/png" in output.get("data", {})


def test_ctrl_c_in_a_notebook(kernel, tmp_path):
    manager, client = kernel
    client.execute(
        "import prefrontal\n"
        "often = ['run.log_points=50000000']\n"
        "prefrontal.train('two_step', env_steps=10**9, cluster='none', folder='run', settings=often)"
    )
    wait_until((tmp_path / "run" / "metrics.csv").is_file)
    time.sleep(0.5)  # there is progress to be shown
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=60)["content"]
    assert (reply["status"], reply["ename"]) == ("error", "Stopped"), reply
    assert "prefrontal.train(resume=" in reply["evalue"]
    shown = []
    while not shown or shown[-1]["msg_type"] != "error":
        shown.append(client.get_iopub_msg(timeout=60))
    lines = [message["content"]["data"]["text/plain"] for message in shown if "display_data" in message["msg_type"]]
    assert lines
    assert all("steps/s" in line for line in lines)
    steps = prefrontal.load(tmp_path / "run").history["env_steps"].iloc[-1]
    client.execute(
        f"run = prefrontal.train(resume='run', env_steps={int(steps) + 10_000}, evaluate={{'episodes': 10}})\n"
        f"assert run.results['env_steps'] > {int(steps)}"
    )
    reply = client.get_shell_msg(timeout=120)["content"]
    assert reply["status"] == "ok", reply
