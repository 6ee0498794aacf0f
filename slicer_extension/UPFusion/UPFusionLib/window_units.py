"""The unit that the window on the panel is in: a window holds for values in that unit only."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from .modality import HOUNSFIELD, SUV, functional_modalities, units_of
from .parameters import BatchSource, UPFusionParameterNode
from .studies import PairStudy


def units_on_panel(node: UPFusionParameterNode) -> str:
    """The unit in which a window is typed: that of the chosen volume; without one, that of a batch of files."""
    if node.functional is not None:
        return units_of(node.functional)
    return SUV if node.batch_source is BatchSource.FOLDER else node.window_units


def units_of_files(study: PairStudy, modality: str) -> str:
    """The unit that the command takes the values of files for: HU of a CT, SUV of anything else.

    Args:
        study: Its images are files, or one DICOM folder.
        modality: What the user says that they are, as ``upfusion fuse --modality``.
    """
    if modality == "auto" and not study.is_folder:
        is_ct = functional_modalities(Path(study.functional).name) == {"CT"}
    else:
        is_ct = modality == "ct"
    return HOUNSFIELD if is_ct else SUV


def follow_units(node: UPFusionParameterNode) -> str:
    """Note the unit, and give up a window that was set for another one.

    Returns:
        What the user has to be told; empty where no window was lost.
    """
    old, new = node.window_units, units_on_panel(node)
    if old == new:
        return ""
    node.window_units = new
    if node.window_automatic:
        return ""
    node.window_automatic = True
    text = _("The window was set for values in {old}; now they are in {new}. It is taken from the values again.")
    return text.format(old=old or _("an unknown unit"), new=new or _("an unknown unit"))
