"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared data folder: $UPFUSION_SHARED, or ``shared`` beside the checkout; skips where it is absent."""
    folder = Path(os.environ.get("UPFUSION_SHARED", CHECKOUT.parent / "shared"))
    if not (folder / "refs").is_dir():
        pytest.skip(f"the shared data folder is not here ({folder}); set UPFUSION_SHARED to its place")
    return folder
