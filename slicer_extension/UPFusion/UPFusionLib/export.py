"""The fused volume as a DICOM series in Slicer's database, in the study of the MRI where that came from DICOM."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from .grid import ijk_to_ras, is_part, local_to_world
from .interpreter import Interpreter
from .job import FolderJob
from .result import MRI_ROLE, REPORT
from .volume_file import file_space, write_volume

_POSITION_TAG, _ORIENTATION_TAG, _SPACING_TAG = "0020,0032", "0020,0037", "0028,0030"
_ROWS_TAG, _COLUMNS_TAG = "0028,0010", "0028,0011"


class ExportJob(FolderJob):
    """Writes a fused volume as RGB Secondary Capture, one file a slice.

    Args:
        fused: The result.
        interpreter: Runs the command.
        deidentify: Remove what identifies the patient.

    Attributes:
        is_in_study: Whether the series joins the study of the MRI.
    """

    def __init__(
        self, fused: slicer.vtkMRMLVectorVolumeNode, interpreter: Interpreter, deidentify: bool = False
    ) -> None:
        super().__init__(interpreter, [])
        self._fused, self._deidentify = fused, deidentify
        self.is_in_study = False

    @property
    def series(self) -> Path:
        """Folder of the written files."""
        return self.folder / "series"

    def _write(self) -> list[str]:
        volume = self.folder / "fused_rgb.nrrd"
        # DICOM positions are those of the files: without parent transforms.
        write_volume(self._fused, volume, file_space(self._fused))
        call = ["dicom", str(volume), "--output", str(self.series)]
        report = self._fused.GetAttribute(REPORT)
        if report:
            (self.folder / "report.json").write_text(json.dumps(json.loads(report)), encoding="utf-8")
            call += ["--report", str(self.folder / "report.json")]
        files = source_files(self._fused.GetNodeReference(MRI_ROLE))
        if files and lies_on_source(self._fused):
            call += ["--study", str(gathered(files, self.folder / "study"))]
            self.is_in_study = True
        if self._deidentify:
            call.append("--deidentify")
        return call


def import_series(folder: Path) -> None:
    """Copy the files of a folder into Slicer's DICOM database.

    Raises:
        RuntimeError: there is no database, or it does not take them.
    """
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise RuntimeError(_("There is no DICOM database: open the DICOM module once and choose a place for it."))
    from DICOMLib import DICOMUtils

    if not DICOMUtils.importDicom(os.fspath(folder), copyFiles=True):
        raise RuntimeError(_("The DICOM database did not take the series; see Slicer's log."))


def source_files(mri: slicer.vtkMRMLScalarVolumeNode | None) -> list[str]:
    """The DICOM files that a volume was loaded from, as far as the database has them."""
    database = getattr(slicer, "dicomDatabase", None)
    if mri is None or database is None or not database.isOpen:
        return []
    uids = (mri.GetAttribute("DICOM.instanceUIDs") or "").split()
    files = [database.fileForInstance(uid) for uid in uids]
    return [file for file in files if file]


def lies_on_source(fused: slicer.vtkMRMLVectorVolumeNode) -> bool:
    """Whether the fused voxels are those of the MRI's files, or a part of them: not moved, turned, resampled or bent.

    Positions are those of the files: without linear parent transforms. Those that bend are applied to the voxels.
    """
    mri = fused.GetNodeReference(MRI_ROLE)
    if local_to_world(fused) is None or local_to_world(mri) is None:
        return False
    source = source_grid(mri)
    return source is not None and is_part(ijk_to_ras(fused), fused.GetImageData().GetDimensions(), *source)


def source_grid(mri: slicer.vtkMRMLScalarVolumeNode) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    """(4, 4) from (column, row, slice) of the MRI's files to RAS millimetres, and how many there are of each.

    None where single files do not say where they lie, as multi-frame files do not.
    """
    uids = (mri.GetAttribute("DICOM.instanceUIDs") or "").split()
    positions = [_numbers(uid, _POSITION_TAG) for uid in uids]
    if len(uids) < 2 or any(len(position) != 3 for position in positions):
        return None
    cosines, spacing, columns, rows = (
        _numbers(uids[0], tag) for tag in (_ORIENTATION_TAG, _SPACING_TAG, _COLUMNS_TAG, _ROWS_TAG)
    )
    if (len(cosines), len(spacing), len(columns), len(rows)) != (6, 2, 1, 1):
        return None
    normal = np.cross(cosines[:3], cosines[3:])
    first, *_others, last = sorted(map(np.array, positions), key=lambda position: float(normal @ position))
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = np.multiply(cosines[:3], spacing[1]), np.multiply(cosines[3:], spacing[0])
    lps[:3, 2], lps[:3, 3] = (last - first) / (len(uids) - 1), first
    if not abs(np.linalg.det(lps)) > 0:
        return None
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps, (int(columns[0]), int(rows[0]), len(uids))


def _numbers(uid: str, tag: str) -> list[float]:
    text = slicer.dicomDatabase.instanceValue(uid, tag)
    try:
        return [float(number) for number in text.split("\\")] if text else []
    except ValueError:
        return []


def gathered(files: list[str], folder: Path) -> Path:
    """A folder that holds these files and no others, as links where the disk allows it."""
    folder.mkdir()
    for number, file in enumerate(files):
        place = folder / f"{number:05d}.dcm"
        try:
            os.link(file, place)
        except OSError:
            shutil.copyfile(file, place)
    return folder
