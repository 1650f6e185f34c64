"""Whether a finished run can be read, without reading its rows."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import StoreError
from harness.store.record import read_record
from harness.store.samples import check_samples


def fault_of(folder: Path) -> str | None:
    """What is wrong with a run's record or with the footer of its samples, ``"run.json is damaged: …"``; None: nothing."""
    try:
        read_record(folder)
        check_samples(folder)
    except StoreError as error:
        return str(error).removeprefix(f"{folder}{os.sep}").removeprefix(f"{folder} ")
    return None
