"""The errors this package raises, by who has to act.

Every message has three parts: what was found (with the file and the tag or field), what was expected, and what to do.
The command line prints the message without a traceback and leaves with ``exit_code``.
"""

from __future__ import annotations

from typing import Any


class UpFusionError(Exception):
    """Base of all errors raised on purpose by this package."""

    exit_code = 4

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors come back from other processes; Python would call the class with the message alone."""
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[UpFusionError], args: tuple[Any, ...], attributes: dict[str, Any]) -> UpFusionError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


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


def package_failure(error: ImportError | OSError, package: str, extra: str, purpose: str) -> RuntimeFailure:
    """What to raise where an optional package could not be imported: it is missing, or it is there and broken.

    Args:
        error: From the import. If it says that another package was not found, that one is missing.
        package: What was imported.
        extra: See `MissingPackageError`.
        purpose: See `MissingPackageError`.
    """
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and "." not in missing:
        return MissingPackageError(missing, extra, purpose)
    return RuntimeFailure(
        f"The package '{package}' is installed, and it cannot be loaded ({' '.join(str(error).split())}); it is needed "
        f"to {purpose}. Free memory, or install it again."
    )
