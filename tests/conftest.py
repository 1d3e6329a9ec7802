"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and goldens that the environment variable FGFA_SHARED names."""
    folder = os.environ.get("FGFA_SHARED")
    if not folder:
        pytest.skip("FGFA_SHARED does not name the folder of real data and goldens")
    return Path(folder)
