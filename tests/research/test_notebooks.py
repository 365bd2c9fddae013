"""Every notebook of the docs runs from top to bottom on a small project; none holds what a run leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.research.conftest import SETTINGS
from trading_assets.research import Project
from trading_assets.settings import PROJECT_ROOT

NOTEBOOKS = sorted((PROJECT_ROOT / "docs" / "notebooks").glob("*.ipynb"))
ABSOLUTE = re.compile(r"(?<![\w.:/])(/(home|root|tmp|usr|var|mnt|work|Users)/|[A-Z]:\\)")
PATIENCE_S = 300


def code_of(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def kernel() -> Iterator[AsyncKernelManager]:
    """One process for all notebooks, emptied between them: to start one takes longer than most of them."""
    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    if manager.has_kernel:
        NotebookClient(nbformat.v4.new_notebook(), km=manager)._cleanup_kernel()


def run(notebook: NotebookNode, kernel: AsyncKernelManager, folder: Path) -> None:
    NotebookClient(notebook, km=kernel, timeout=PATIENCE_S, resources={"metadata": {"path": folder}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, project: Project, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    notebook = nbformat.read(path, as_version=4)
    place = {"TRADING_SETTINGS": str(SETTINGS), "TRADING_DATA_DIR": str(project.settings.data_dir)}
    first = nbformat.v4.new_code_cell(f"%reset -f\nimport os\nos.environ |= {place!r}\ndel os")
    notebook.cells.insert(0, first)
    run(notebook, kernel, tmp_path)
    shown = code_of(notebook)[1:]
    assert all(cell.execution_count for cell in shown)
    assert any("image/png" in output.get("data", {}) for cell in shown for output in cell.outputs) or "plot" not in str(
        shown
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_outputs_and_no_place_of_one_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not ABSOLUTE.search(path.read_text())
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.metadata
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            assert "count_trial=False" not in cell.source, "what a reader copies counts"


def test_there_is_a_notebook_for_each_job_and_the_page_names_them_all() -> None:
    page = (PROJECT_ROOT / "docs" / "how-to" / "research-in-python.md").read_text()
    assert len(NOTEBOOKS) >= 5
    for path in NOTEBOOKS:
        assert f"../notebooks/{path.name}" in page
