"""Find the pairs of a published set in the folders it is downloaded as, with its splits and patients."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from upfusion_med.core import InputError, UsageError
from upfusion_med.evaluation.datasets import SPLIT_FIELD, DataSet, PairGroup
from upfusion_med.evaluation.pairs import EVERYTHING, Failure, Pair, PairList, match_folders


def find_pairs(data: DataSet, root: Path, split: str | None = None) -> PairList:
    """The pairs of a set below its root folder.

    Args:
        data: The set.
        root: The folder that was downloaded or unpacked.
        split: A split's name, ``"all"``, or None: the set's first split where it is marked, otherwise all.

    Raises:
        InputError: no folder, none of the known layouts, only one side of a pair, one name in two splits, or no pair.
        UsageError: the split is unknown.
    """
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; expected the root folder of {data.title}.")
    known = (*data.splits, EVERYTHING)
    if split is not None and split not in known:
        raise UsageError(f"{data.title} has no split '{split}'; expected one of {', '.join(known)}.")
    rows = _read_table(root / data.table) if data.table and (root / data.table).is_file() else {}
    pairs: list[Pair] = []
    failures: list[Failure] = []
    notes: list[str] = []
    parts = data.splits or (EVERYTHING,)
    if split != EVERYTHING:
        parts = (split or parts[0],)
    marked = bool(rows)
    for group in data.groups:
        folders, by_split = _folders_of(root, group, parts)
        if not folders:
            notes.append(f"{group.name}: no folders below {root}; left out.")
        marked = marked or by_split
        for a, b in folders:
            some, alone = match_folders(a, b, group, data)
            pairs += some
            failures += alone
    _refuse_names_of_two_splits(pairs)
    if not pairs and not failures:
        tried = "; or ".join(f"{x} and {y}" for group in data.groups for x, y in group.layouts)
        tried = tried.replace(SPLIT_FIELD, parts[0])
        raise InputError(f"{root} does not look like {data.title}; expected the folders {tried} in it.")
    wanted = split or (data.splits[0] if marked and data.splits else EVERYTHING)
    if split not in (None, EVERYTHING) and not marked:
        raise UsageError(
            f"The folder {root} does not say which pairs belong to the split '{split}' (no {data.table or 'folder'} "
            f"for it); use --split {EVERYTHING}, or put the split's folders or table there."
        )
    if rows:
        pairs, failures, more = _apply_table(rows, pairs, failures, wanted, root / data.table)
        notes += more
    if not pairs:
        raise InputError(f"There is no pair of {data.title} in {root} (split: {wanted}).")
    return PairList(data, wanted, tuple(pairs), tuple(failures), tuple(notes), root)


def _folders_of(root: Path, group: PairGroup, splits: Sequence[str]) -> tuple[list[tuple[Path, Path]], bool]:
    """Folders of A and B in the first layout that is there, for each split; and whether the split is in their path."""
    half: tuple[Path, str] | None = None
    for layout in group.layouts:
        by_split = SPLIT_FIELD in layout[0]
        whole: list[tuple[Path, Path]] = []
        alone: list[tuple[Path, str]] = []
        for split in splits if by_split else splits[:1]:
            of_a, of_b = (path.replace(SPLIT_FIELD, split) for path in layout)
            a, b = _below(root, of_a), _below(root, of_b)
            if a is not None and b is not None:
                whole.append((a, b))
            elif a is not None:
                alone.append((a, of_b))
        if whole and not alone:
            return whole, by_split
        half = half or next(iter(alone), None)
    if half is not None:
        raise InputError(f"{half[0]} is there, but not its partner {half[1]} below {root}; expected both folders.")
    return [], False


def _refuse_names_of_two_splits(pairs: Sequence[Pair]) -> None:
    seen: dict[str, Pair] = {}
    for pair in pairs:
        other = seen.setdefault(pair.id, pair)
        if other is not pair:
            raise InputError(
                f"The pair {pair.id} is in two splits ({other.a} and {pair.a}); expected names that occur once. "
                "Choose a split, or rename one."
            )


def _below(root: Path, path: str) -> Path | None:
    """A folder below the root, letter case ignored."""
    folder = root
    for part in path.split("/"):
        exact = folder / part
        if exact.is_dir():
            folder = exact
            continue
        alike = sorted(d for d in folder.iterdir() if d.is_dir() and d.name.casefold() == part.casefold())
        if not alike:
            return None
        folder = alike[0]
    return folder


def _read_table(path: Path) -> dict[tuple[str, str], Mapping[str, str]]:
    needed = {"modality", "name", "split"}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if needed <= set(reader.fieldnames or ()):
                return {(row["modality"], Path(row["name"]).stem): row for row in reader}
    except (UnicodeDecodeError, TypeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); expected a whole table in UTF-8.") from error
    raise InputError(
        f"{path} has the columns {', '.join(reader.fieldnames or ())}; expected at least {', '.join(sorted(needed))}."
    )


def _apply_table(
    rows: Mapping[tuple[str, str], Mapping[str, str]],
    pairs: list[Pair],
    failures: list[Failure],
    split: str,
    path: Path,
) -> tuple[list[Pair], list[Failure], list[str]]:
    """Pairs of the split with their patients; pairs the table lists but the folders lack become failures."""
    chosen, unlisted = [], []
    for pair in pairs:
        row = rows.get((pair.group, pair.name))
        if row is None:
            unlisted.append(pair.id)
            if split != EVERYTHING:
                continue
        elif split not in (EVERYTHING, row["split"]):
            continue
        chosen.append(replace(pair, case=row["patient"]) if row and row.get("patient") else pair)
    alone = [
        f for f in failures if split == EVERYTHING or rows.get((f.group, f.name), {"split": split})["split"] == split
    ]
    there = {(p.group, p.name) for p in pairs} | {(f.group, f.name) for f in failures}
    groups = {p.group for p in pairs}
    alone += [
        Failure(group, name, "", f"{path.name} lists {row['name']}, and there is no such picture in {group}")
        for (group, name), row in rows.items()
        if group in groups and (group, name) not in there and split in (EVERYTHING, row["split"])
    ]
    notes = [f"{len(unlisted)} pairs are not in {path.name} (such as {unlisted[0]})."] if unlisted else []
    return chosen, alone, notes
