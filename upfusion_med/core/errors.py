"""The errors this package raises, by who has to act.

Every message has three parts: what was found (with the file and the tag or field), what was expected, and what to do.
The command line prints the message without a traceback and leaves with ``exit_code``.
"""

from __future__ import annotations


class UpFusionError(Exception):
    """Base of all errors raised on purpose by this package."""

    exit_code = 4


class UsageError(UpFusionError, ValueError):
    """The call is wrong: an unknown name, a contradiction between options, a folder that is in the way."""

    exit_code = 2


class InputError(UpFusionError, ValueError):
    """The file or the study is wrong: unreadable, truncated, without geometry, constant, not finite."""

    exit_code = 3


class RuntimeFailure(UpFusionError, RuntimeError):
    """The machine is wrong: memory, disk, device, a missing package."""

    exit_code = 4


class MissingPackageError(RuntimeFailure):
    """An optional package is not installed.

    Args:
        package: Name of the package on the package index.
        extra: Extra of ``upfusion-med`` that brings it.
        purpose: What it is needed for, as the rest of the sentence "… is needed to".
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"The package '{package}' is not installed; it is needed to {purpose}. "
            f"Install it with: pip install 'upfusion-med[{extra}]'"
        )
        self.package = package
