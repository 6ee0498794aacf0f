"""The tab Look: what the slice views show, the original values under the cursor, the report, the export."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from .compare_layout import fill_rows, leave_rows, match_views, show_rows
from .export import ExportJob, import_series
from .interpreter import NoInterpreterError, chosen_interpreter
from .job import JobError, Outcome
from .logic import UPFusionLogic
from .modality import units_of
from .parameters import UPFusionParameterNode
from .readout import CursorReadout, Reading
from .result import FUNCTIONAL_ROLE, report_of
from .slice_layers import SliceLayers, link_views


class LookPanel:
    """Binds the tab's widgets.

    Args:
        ui: Widgets by name.
        logic: Runs the export.
        on_change: Called when an export starts or ends.
    """

    def __init__(self, ui, logic: UPFusionLogic, on_change: Callable[[], None]) -> None:
        self._ui, self._logic, self._on_change = ui, logic, on_change
        self._node: UPFusionParameterNode | None = None
        self._shown: tuple | None = None
        self._layers = SliceLayers()
        self._readout = CursorReadout(self._read)
        ui.rowsButton.connect("toggled(bool)", self._rows)
        ui.fitButton.connect("clicked()", self.show_result)
        ui.exportButton.connect("clicked()", self._export)

    def follow(self, node: UPFusionParameterNode | None) -> None:
        """Show what the parameter node says, whenever it changed."""
        self._node = node
        fused = node.fused if node is not None else None
        has_result = bool(report_of(fused))
        functional = fused.GetNodeReference(FUNCTIONAL_ROLE) if has_result else None
        units = units_of(functional) if functional is not None else ""
        self._readout.watch(fused if has_result else None)
        for widget in (self._ui.positionSlider, self._ui.compareModeBox, self._ui.rowsButton, self._ui.fitButton):
            widget.enabled = has_result
        self._ui.exportButton.enabled = has_result and not self._logic.is_running
        self._ui.reportLabel.text = report_text(report_of(fused), units) if has_result else _("There is no result yet.")
        if not has_result:
            self._shown = None
            self._layers.close()
            return
        self._layers.forget_removed()
        state = (fused.GetID(), node.compare_mode, node.compare_position)
        if self._shown is not None and self._shown != state:
            self._layers.show(fused, node.compare_mode, node.compare_position)
        self._shown = state

    def show_result(self) -> None:
        """Put the result into all views, linked and fitted."""
        node = self._node
        if node is None or not report_of(node.fused):
            return
        self._layers.show(node.fused, node.compare_mode, node.compare_position)
        if self._ui.rowsButton.checked:
            fill_rows(node.fused)
        link_views()
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.resetSliceViews()
        if self._ui.rowsButton.checked:
            match_views()
        self.follow(node)

    def close(self) -> None:
        """Remove what was made for showing."""
        self._readout.close()
        self._layers.close()

    def _rows(self, wanted: bool) -> None:
        if wanted and self._node is not None and report_of(self._node.fused):
            show_rows(self._node.fused)
            link_views()
        elif not wanted:
            leave_rows()

    def _read(self, reading: Reading | None) -> None:
        self._ui.readoutLabel.text = reading.text() if reading is not None else _("Move the mouse over a slice view.")

    def _export(self) -> None:
        label = self._ui.exportLabel
        try:
            job = ExportJob(self._node.fused, chosen_interpreter(), self._ui.deidentifyBox.checked)
            self._logic.run(job, lambda _job: None, lambda outcome: self._exported(job, outcome))
        except (JobError, NoInterpreterError) as error:
            label.text = str(error)
            return
        label.text = _("Writing the DICOM series …")
        self._on_change()

    def _exported(self, job: ExportJob, outcome: Outcome) -> None:
        label = self._ui.exportLabel
        try:
            if outcome.failure is not None:
                label.text = f"{outcome.failure.reason} {outcome.failure.advice}"
                return
            count = len(list(job.series.glob("*.dcm")))
            import_series(job.series)
            where = _("in the study of the MRI") if job.is_in_study else _("in a study of its own")
            label.text = _("{count} images are in the DICOM database, {where}.").format(count=count, where=where)
        except RuntimeError as error:
            label.text = str(error)
        finally:
            job.clean()
            self._on_change()


def report_text(report: dict, units: str = "") -> str:
    """The report in a few lines.

    Args:
        report: Of a fused volume.
        units: Of the functional volume, where the scene knows them; the command did not see them in the file.
    """
    window = report.get("windows", {}).get("functional") or {}
    modality = report.get("modality", {})
    lines = [
        _("Kind: {kind} ({how})").format(kind=modality.get("value", "").upper(), how=modality.get("how", "")),
        _("Alignment: {how}").format(how=report.get("alignment", {}).get("how", "")),
        _("Network: {model}").format(model=report.get("network", {}).get("model", "")),
        _("Colour: {colour}").format(colour=report.get("colour", "")),
    ]
    if window:
        lines.append(
            _("Window: {low:.4g} to {high:.4g} {units} ({rule})").format(**window | {"units": units or window["units"]})
        )
    lines += [_("Warning: {text}").format(text=text) for text in report.get("warnings", [])]
    return "\n".join(lines)
