"""The notebook of the Python API runs as it stands and shows what it showed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient


def shown(notebook: Any) -> list[str]:
    """The text of what every cell puts out, however many pieces it comes in."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [[out["text"] if "text" in out else out["data"]["text/plain"] for out in cell.outputs] for cell in cells]
    return ["".join(pieces) for pieces in texts]


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_shows_the_same(project_root: Path) -> None:
    written = nbformat.read(project_root / "results" / "example" / "python_api.ipynb", as_version=4)
    again = copy.deepcopy(written)
    NotebookClient(again, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(project_root)}}).execute()
    assert shown(again) == shown(written)
    assert "0.828  [0.757, 0.881]" in "".join(shown(written))
