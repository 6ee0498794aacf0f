"""Errors of this package told plainly where MONAI wraps them ("Failed to evaluate", "Failed to instantiate")."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

from upfusion_med.core import InputError, UpFusionError

log = logging.getLogger(__name__)


def tell_errors_plainly() -> None:
    """From now on, an uncaught error of this package ends the process with its message and its exit code.

    Bundles call it when a workflow begins. Other errors keep their traceback, but for weights that are not there; that
    of ours is logged at level DEBUG.
    """
    before = sys.excepthook
    if getattr(before, "tells_plainly", False):
        return

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        behind = _told(error)
        if behind is None:
            before(kind, error, trace)
            return
        log.debug("The error's traceback.", exc_info=(kind, error, trace))
        print(f"Error: {behind}", file=sys.stderr)  # noqa: T201 (the answer of a command)
        raise SystemExit(behind.exit_code)

    hook.tells_plainly = True  # type: ignore[attr-defined]
    sys.excepthook = hook


def _told(error: BaseException) -> UpFusionError | None:
    """The error of this package that lies behind MONAI's."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, UpFusionError):
            return behind
        if isinstance(behind, FileNotFoundError) and str(behind.filename).endswith(".pt"):
            return InputError(
                f"There are no weights {behind.filename}. Those of a bundle are written by: upfusion weights bundle "
                "BUNDLE; others are named by --ckpt_path FILE."
            )
        behind = behind.__cause__
    return None
