"""A project to make runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compare.projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
