"""Folders that are filled whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from upfusion_med.core import RuntimeFailure, UsageError

#: Parts of a hidden folder: what is being written, and what it replaces.
_NEW, _OLD = "new", "old"


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A hidden folder to write into; what it holds is in ``path`` when the block ends without an error.

    Args:
        path: Where the files shall be in the end; it may exist when it is empty. Its parent is made if need be.

    Yields:
        The hidden folder.

    Raises:
        UsageError: ``path`` is a file, or a folder that holds something.
        RuntimeFailure: the folder cannot be written (rights, disk full).
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise UsageError(f"The output {path} is a file; expected a folder that is empty or does not exist.")
    if target.is_dir() and folder_contents(target):
        raise UsageError(f"The output folder {path} is not empty; choose another one, or empty it first.")
    with moved_into(target) as new:
        yield new


@contextmanager
def moved_into(path: Path, replaced: Iterable[Path] = (), last: str = "") -> Iterator[Path]:
    """A hidden folder whose files and folders are moved into ``path`` when the block ends without an error.

    It lies in ``path`` where that exists (which may be a mount point, or the only place that can be written), otherwise
    beside it. After an error, ``path`` is as it was. What killed runs left hidden is removed.

    Args:
        path: The folder, or where it shall be.
        replaced: What lies in it and goes.
        last: The name that goes first and comes last: where it lies, everything does.

    Yields:
        The hidden folder.

    Raises:
        RuntimeFailure: the folder cannot be written (rights, disk full).
    """
    target = path.resolve()  # "." has no name to call the hidden folder after
    is_there = target.is_dir()
    hidden = (target if is_there else target.parent) / _hidden_name(target)
    new, old = hidden / _NEW, hidden / _OLD
    begun = False
    try:
        new.mkdir(parents=True)
        begun = True
        for other in _hidden_folders(target):
            if other != hidden:
                # Out of the way first: a run that was not killed, but still writes, must not find half of it.
                with suppress(OSError):
                    shutil.rmtree(other.replace(other.with_name(_hidden_name(target))))
        yield new
        if not is_there:
            new.replace(target)
            return
        old.mkdir()
        with ExitStack() as undo:
            for one in sorted(replaced, key=lambda p: (p.name != last, p.name)):
                _move(one, old / one.name, undo)
            for one in sorted(new.iterdir(), key=lambda p: (p.name == last, p.name)):
                _move(one, target / one.name, undo)
            undo.pop_all()
    except OSError as error:
        if begun and not hidden.exists():
            raise RuntimeFailure(
                f"What was being written into {path} is gone: another run writes there, or somebody removed it. Give "
                "each run a folder of its own."
            ) from error
        reason = error.strerror or type(error).__name__
        raise RuntimeFailure(
            f"The folder {path} could not be written ({reason}). Check its rights and the free space, or choose "
            "another folder."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _hidden_name(target: Path) -> str:
    return f".{target.name}.{secrets.token_hex(4)}.part"


def folder_contents(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, without what killed runs left hidden."""
    hidden = {path.name for path in _hidden_folders(folder)}
    return sorted(path for path in folder.iterdir() if path.name not in hidden)


def was_cut_short(folder: Path) -> bool:
    """Whether a run was killed while it moved files into this folder."""
    return any((hidden / _OLD).is_dir() for hidden in _hidden_folders(folder))


def _hidden_folders(folder: Path) -> list[Path]:
    target, found = folder.resolve(), list[Path]()
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.part")
    for place in (target, target.parent):
        with suppress(OSError):
            found += [path for path in place.iterdir() if name.fullmatch(path.name)]
    return found


def _move(source: Path, target: Path, undo: ExitStack) -> None:
    source.replace(target)
    undo.callback(target.replace, source)
