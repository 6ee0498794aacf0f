"""The sentence that stands on every output."""

from __future__ import annotations

NOT_FOR_DIAGNOSTIC_USE = "Not for diagnostic use"
