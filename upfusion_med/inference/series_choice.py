"""Which series of a mixed DICOM study is the MRI, and which the functional one, where nobody says so."""

from __future__ import annotations

from pathlib import Path

from upfusion_med.io import FileKind, describe_kind, list_series

#: DICOM modalities by role, the likelier one first.
MRI_TYPES = (("MR",),)
FUNCTIONAL_TYPES = (("PT", "NM"), ("CT",))


def choose_series(path: Path, types: tuple[tuple[str, ...], ...]) -> str | None:
    """The key of the one series that can play the role.

    Args:
        path: File, folder or archive.
        types: Groups of DICOM modalities; the first group of which the study holds anything decides.

    Returns:
        The key for ``load_volume(series=…)``; None where there is nothing to choose (no DICOM study, one series) or
        where the choice is not clear: ``load_volume`` then refuses and lists the candidates.
    """
    if path.is_file() or describe_kind(path) is not FileKind.DICOM:
        return None
    usable = [series for series in list_series(path) if not series.problem]
    if len(usable) < 2:
        return None
    for group in types:
        candidates = [series for series in usable if series.modality in group]
        if candidates:
            return candidates[0].key if len(candidates) == 1 else None
    return None
