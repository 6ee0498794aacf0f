"""Why a run failed, in plain words, and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from slicer.i18n import tr as _

#: How many of the last lines are shown with the reason.
LAST_LINES = 12
#: Windows: the process was ended for want of memory, or by an access violation.
_NO_MEMORY_CODES = (0xC0000017, 0xC000012D, 137)


@dataclass(frozen=True)
class Failure:
    """A failed run.

    Attributes:
        reason: What happened, one or two sentences.
        advice: What to do.
        lines: The last lines of the log.
        was_cancelled: The user ended it: no error.
    """

    reason: str
    advice: str
    lines: tuple[str, ...] = ()
    was_cancelled: bool = False


def explain(code: int, log: Sequence[str], *, cancelled: bool = False) -> Failure:
    """The failure behind an exit code other than 0 and the lines before it.

    Args:
        code: Of the process; negative: ended by that signal.
        log: Everything it said.
        cancelled: Whether the user ended it.
    """
    lines = tuple(log[-LAST_LINES:])
    if cancelled:
        return Failure(_("Cancelled. Nothing was changed."), "", lines, was_cancelled=True)
    message = _message(log)
    text = message or "\n".join(log)  # libraries warn of what they do without: that is no reason beside a stated one
    for known in (_missing_package, _disk, _memory):
        found = known(code, text)
        if found is not None:
            return Failure(*found, lines)
    if code == 2:
        return Failure(
            message or _("The settings do not fit together."), _("Change the settings and try again."), lines
        )
    if code == 3:
        return Failure(message or _("An image cannot be used."), _("Choose other volumes or repair these."), lines)
    if code < 0:
        name = signal.Signals(-code).name if -code in [s.value for s in signal.Signals] else str(-code)
        return Failure(
            _("The computation stopped unexpectedly ({signal}).").format(signal=name),
            _("Slicer and your data are unharmed. Try again; if it happens again, copy the log and report it."),
            lines,
        )
    return Failure(
        message or _("The computation ended with code {code}.").format(code=code),
        _("See the last lines of the log; copy it when you report the problem."),
        lines,
    )


def _message(log: Sequence[str]) -> str:
    """What the command itself says is wrong, from its last line that begins with ``Error:``."""
    for number in range(len(log) - 1, -1, -1):
        if log[number].startswith("Error: "):
            return " ".join([log[number].removeprefix("Error: "), *log[number + 1 :]]).strip()
    return ""


def _missing_package(_code: int, text: str) -> tuple[str, str] | None:
    advice = _("Open the tab Environment: install what is missing there, or choose a Python that has it.")
    missing = re.search(r"No module named '?([A-Za-z0-9_]+)", text)
    if missing is None:
        missing = re.search(r"The package '([^']+)' is not installed", text)
    if missing is None:
        return None
    return _("The Python package '{name}' is missing in the chosen environment.").format(name=missing.group(1)), advice


def _disk(_code: int, text: str) -> tuple[str, str] | None:
    # Some writers only say that they failed; the command then speaks of rights and free space.
    words = r"No space left on device|not enough space on the disk|Disk quota exceeded|could not be written.*free space"
    if not re.search(words, text):
        return None
    return (
        _("The disk is full, or its folder may not be written: images or result could not be stored."),
        _("Free some space, or choose another folder for temporary files in Edit / Application Settings."),
    )


def _memory(code: int, text: str) -> tuple[str, str] | None:
    if re.search(r"CUDA out of memory|Out of memory on cuda", text):
        return (
            _("The memory of the graphics card is not enough."),
            _("Choose the device CPU under Advanced, or close other programs that use the graphics card."),
        )
    killed = code == -getattr(signal, "SIGKILL", 9) or code % (1 << 32) in _NO_MEMORY_CODES
    words = r"MemoryError|not enough memory|bad_alloc|Cannot allocate memory|Out of memory on cpu"
    if not killed and not re.search(words, text):
        return None
    return (
        _("The system ended the computation, most likely because memory ran out. Slicer and your data are unharmed."),
        _("Close other programs, crop or resample the MRI, and try again."),
    )
