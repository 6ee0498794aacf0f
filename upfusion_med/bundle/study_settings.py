"""Settings of a fusion as configurations write them: JSON values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, get_type_hints

from upfusion_med.core import FuseSettings, UsageError

#: Settings that a bundle decides elsewhere, and where.
_ELSEWHERE = {
    "model": "network_def and ckpt_path",
    "device": "--device",
    "batch_size": "--batch_size",
    "blend": "upfusion fuse --blend",
    "alpha": "upfusion fuse --alpha",
}


def fuse_settings(values: Mapping[str, Any]) -> FuseSettings:
    """Settings from JSON values: enums by their words, pairs as lists; None keeps a default.

    Raises:
        UsageError: an unknown setting or word, a value of another kind, or a setting that a bundle decides elsewhere.
    """
    kinds = get_type_hints(FuseSettings)
    given = {name: value for name, value in values.items() if value is not None}
    unknown = sorted(set(given) - set(kinds))
    if unknown:
        known = ", ".join(name for name in kinds if name not in _ELSEWHERE)
        raise UsageError(f"There is no setting {', '.join(unknown)}; expected some of {known}.")
    for name in given:
        if name in _ELSEWHERE:
            raise UsageError(f"The setting {name} was given to a bundle; there, {_ELSEWHERE[name]} decides it.")
    try:
        return FuseSettings(**{name: _converted(name, value, kinds[name]) for name, value in given.items()})
    except TypeError as error:
        raise UsageError(f"A setting has a value of the wrong kind: {error}.") from error


def _converted(name: str, value: Any, kind: Any) -> Any:
    if kind is bool:
        return as_bool(name, value)
    if kind in (str, str | None):
        return _as_text(name, value)
    if name in ("mri_frame", "functional_frame") and isinstance(value, str) and value.isdecimal():
        return int(value)
    return tuple(value) if isinstance(value, list) else value


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f"The setting {name} is {value!r}; expected a text.")
    return str(value)  # MONAI reads the number of a series, --settings#mri_series 5, as a number


def as_bool(name: str, value: Any) -> bool:
    """A truth value as configurations and command lines give it: itself, or the words true and false.

    Raises:
        UsageError: anything else, so that no word counts as true because it is there.
    """
    if isinstance(value, bool):
        return value
    words = {"true": True, "false": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise UsageError(f"The setting {name} is {value!r}; expected True or False.")


def as_count(name: str, value: Any, least: int) -> int:
    """A whole number as configurations and command lines give it.

    Raises:
        UsageError: something else, or less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"The setting {name} is {value!r}; expected a whole number of {least} or more.")
    return value


def as_path(value: Any) -> str:
    """A path as configurations and command lines give it, or an empty text; MONAI's reads 20240501 as a number.

    Raises:
        UsageError: something else than a text or a whole number.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | os.PathLike):
        raise UsageError(f"A path is {value!r}; expected a text. Write ./ before a name that looks like a number.")
    return str(value)
