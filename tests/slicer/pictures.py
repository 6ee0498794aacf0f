"""Makes the pictures of the extension's tutorial: ``python -m tests.slicer.pictures slicer_extension/Screenshots``.

Slice views are drawn by Slicer's own pipeline, panels by PySide6 with stand-ins for the widgets of Slicer and CTK.
Takes some minutes: the demonstration study is fused, exported and shown.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

import numpy as np

PLACES = {"Axial": (0, 0, 20), "Coronal": (0, -10, 20), "Sagittal": (20, 0, 0)}
MAIN_VIEWS = {"Axial": "Red", "Coronal": "Green", "Sagittal": "Yellow"}
#: Pixels of a view that are cut off above and below.
_MARGIN = 20


class Pictures:
    """A panel over the demonstration study, and where its pictures go."""

    def __init__(self, output: Path, work: Path) -> None:
        import slicer
        from PySide6 import QtGui, QtWidgets

        from tests.slicer.standin import application, widget_facade

        self.output, self.work, self.slicer = output, work, slicer
        self.application = QtWidgets.QApplication([])
        self.application.setStyle("Fusion")
        font = QtGui.QFont("DejaVu Sans")
        font.setPixelSize(12)
        self.application.setFont(font)
        application.install()
        application.new_scene(work)
        slicer.util.loadUI = widget_facade.load_ui
        slicer.util.childWidgetVariables = widget_facade.child_widget_variables
        self._add_launcher()
        from UPFusionLib.widget import UPFusionWidget

        self.panel = UPFusionWidget()
        self.panel.setup()
        self.panel.panel.widget.resize(470, 700)
        self.panel.panel.widget.show()

    def make(self) -> None:
        """Every picture."""
        from UPFusionLib.widget import State

        panel = self.panel
        self._load_study()
        panel.apply()
        self._wait(lambda: panel.ui.progressBar.value > 550 or panel.state in (State.DONE, State.FAILED))
        self._grab("panel")
        self._wait(lambda: panel.state in (State.DONE, State.FAILED))
        assert panel.state is State.DONE, panel.ui.statusLabel.text
        self._draw_views()
        panel.ui.tabs.currentIndex = 1
        self.slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCursorPositionRAS([27.0, 30.0, 20.0])
        panel.ui.exportButton.click()
        self._wait(lambda: not panel.logic.is_running)
        self._grab("look")
        self._draw_environment()
        self._draw_batch()
        panel.ui.tabs.currentIndex = 0
        functional = panel.logic.getParameterNode().functional
        self.slicer.util.arrayFromVolume(functional)[:] = 0
        self.slicer.util.arrayFromVolumeModified(functional)
        panel.apply()
        self._wait(lambda: panel.state is State.FAILED)
        self._grab("failed")

    def _add_launcher(self) -> None:
        launcher = self.work / "bin" / "PythonSlicer"
        launcher.parent.mkdir()
        launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        launcher.chmod(launcher.stat().st_mode | stat.S_IEXEC)
        os.environ["PATH"] = f"{launcher.parent}{os.pathsep}{os.environ['PATH']}"

    def _load_study(self) -> None:
        from UPFusionLib import sample_data

        from tests.slicer.standin.application import load_volume
        from upfusion_med.cli.demo import _save_inputs
        from upfusion_med.inference.demo_study import demo_study

        _save_inputs(demo_study(), self.work / "sample")
        node = self.panel.logic.getParameterNode()
        files = zip(sample_data.FILES, sample_data.NODE_NAMES, strict=True)
        node.mri, node.functional = (load_volume(self.work / "sample" / file, name) for file, name in files)
        node.functional.SetAttribute("UPFusion.Modality", "PT")
        node.functional.SetAttribute("UPFusion.Units", "simulated SUV")
        node.functional = node.functional
        self.panel._update()
        display = node.functional.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0, 9)

    def _wait(self, condition) -> None:
        from tests.slicer.standin.event_loop import LOOP

        LOOP.run_until(condition, 600)

    def _grab(self, name: str) -> None:
        for _ in range(5):
            self.application.processEvents()
        self.panel.panel.widget.grab().save(str(self.output / f"{name}.png"))

    def _draw_views(self) -> None:
        from UPFusionLib.compare_layout import ROWS, leave_rows, show_rows
        from UPFusionLib.parameters import CompareMode
        from UPFusionLib.slice_layers import SliceLayers

        fused = self.panel.logic.getParameterNode().fused
        layers = SliceLayers()
        self._jump(MAIN_VIEWS)
        rows = []
        for mode, position in ((CompareMode.BLEND, 0.5), (CompareMode.WIPE, 0.5), (CompareMode.WIPE, 1.5)):
            layers.show(fused, mode, position)
            rows.append(self._row(MAIN_VIEWS))
        self._save(rows, ("Blend, half MRI and half fused", "Wipe, MRI and fused", "Wipe, fused and PET"), "compare")
        layers.show(fused, CompareMode.BLEND, 1.0)
        layers.close()
        show_rows(fused)
        rows = []
        for row in ROWS:
            views = {plane: f"UPFusion{row}{plane}" for plane in PLACES}
            self._jump(views)
            rows.append(self._row(views))
        self._save(rows, ("MRI (MNI152 template)", "PET (simulated)", "Fused"), "slices")
        leave_rows()

    def _jump(self, views: dict[str, str]) -> None:
        for plane, name in views.items():
            self.slicer.app.manager.slices[name].GetSliceNode().JumpSlice(*PLACES[plane])

    def _row(self, views: dict[str, str]) -> np.ndarray:
        from tests.slicer.views import picture_of

        slices = self.slicer.app.manager.slices
        return np.concatenate([picture_of(slices[name])[_MARGIN:-_MARGIN] for name in views.values()], axis=1)

    def _save(self, rows: list[np.ndarray], titles: tuple[str, ...], name: str) -> None:
        from PIL import Image, ImageDraw, ImageFont

        image = Image.fromarray(np.concatenate(rows, axis=0))
        draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
        for number, title in enumerate(titles):
            draw.text((8, number * rows[0].shape[0] + 6), title, fill="white", font=font)
        small = image.resize((image.width * 7 // 10, image.height * 7 // 10), Image.Resampling.LANCZOS)
        small.save(self.output / f"{name}.png", optimize=True)

    def _draw_environment(self) -> None:
        ui = self.panel.ui
        ui.tabs.currentIndex = 3
        place = self.work / "env" / "bin" / "python"
        place.parent.mkdir(parents=True)
        place.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
        place.chmod(place.stat().st_mode | stat.S_IEXEC)
        ui.externalPythonButton.checked = True
        ui.externalPythonEdit.currentPath = str(place)
        ui.checkButton.click()
        self._wait(lambda: ui.checkLabel.text.startswith("Not ready"))
        # The path of the machine that makes the picture is nobody's business.
        item = ui.checkTable.item(0, 2)
        item.setText(item.text().replace(sys.executable, str(place)))
        self._grab("environment")
        ui.ownPythonButton.checked = True

    def _draw_batch(self) -> None:
        from UPFusionLib.parameters import BatchSource

        from upfusion_med.io import load_volume, save_scalar_nifti

        studies = self.work / "studies"
        mri = load_volume(self.work / "sample" / "mri.nii.gz")
        for name in ("anna", "bert", "carl"):
            (studies / name).mkdir(parents=True)
            save_scalar_nifti(
                studies / name / "T1.nii.gz", mri.array[:, :, 90:94].copy(), self._shifted(mri.affine, 90)
            )
        shutil.copy(self.work / "sample" / "simulated_pet.nii.gz", studies / "anna" / "FDG_PET.nii.gz")
        (studies / "bert" / "FDG_PET.nii.gz").write_bytes(b"broken")
        node, ui = self.panel.logic.getParameterNode(), self.panel.ui
        ui.tabs.currentIndex = 2
        node.batch_source, node.batch_input, node.batch_output = BatchSource.FOLDER, studies, self.work / "results"
        ui.batchFindButton.click()
        ui.batchStartButton.click()
        self._wait(lambda: self.panel.batch.is_running)
        self._wait(lambda: not self.panel.batch.is_running)
        self._grab("batch")

    @staticmethod
    def _shifted(affine: np.ndarray, slices: int) -> np.ndarray:
        step = np.eye(4)
        step[2, 3] = slices
        return affine @ step


def main(output: Path) -> None:
    """Make every picture."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    output.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.gettempdir()) / "upfusion"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    Pictures(output, work).make()
    shutil.rmtree(work, ignore_errors=True)
    os._exit(0)  # VTK and Qt do not agree about who goes first


if __name__ == "__main__":
    main(Path(sys.argv[1]))
