"""What only the real application can show; run by ctest, or by the command in the extension's README.

With a Python that has the package in the variable UPFUSION_PYTHON the whole way is run; without it, all but the run.
"""

import os
import time

import numpy as np
import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest


class UPFusionApplicationTest(ScriptedLoadableModuleTest):
    """The module in Slicer, from the panel to the views."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("UPFusion")
        self.widget = slicer.modules.UPFusionWidget

    def runTest(self):
        """Run every test."""
        for test in (
            self.test_bindings_work_both_ways,
            self.test_a_scene_that_is_closed_empties_the_panel,
            self.test_the_layout_with_three_rows_has_nine_views,
            self.test_the_sample_data_is_registered,
            self.test_a_run_from_the_panel_to_the_views,
        ):
            self.setUp()
            test()

    def choose_study(self):
        """An MRI and a PET of a sphere."""
        k, j, i = np.mgrid[0:12, 0:24, 0:24]
        ball = (i - 12) ** 2 + (j - 12) ** 2 + 4 * (k - 6) ** 2 < 100
        node = self.widget.logic.getParameterNode()
        node.mri = slicer.util.addVolumeFromArray((ball * (300 + 20 * (i % 5))).astype(np.int16), name="MRI")
        node.functional = slicer.util.addVolumeFromArray((ball * (1.0 + (j > 12))).astype(np.float32), name="PET")
        return node

    def test_bindings_work_both_ways(self):
        """Lists, boxes and selectors follow the parameter node, and the reverse."""
        node = self.choose_study()
        ui = self.widget.ui
        self.assertIs(ui.mriSelector.currentNode(), node.mri)
        self.assertTrue(ui.applyButton.enabled)
        ui.deviceBox.currentIndex = 1
        self.assertEqual(node.device.name, "CPU")
        node.window_automatic = False
        self.assertFalse(ui.windowAutomaticBox.checked)
        self.assertTrue(ui.windowLowBox.enabled)
        ui.functionalSelector.setCurrentNode(None)
        self.assertFalse(ui.applyButton.enabled)

    def test_a_scene_that_is_closed_empties_the_panel(self):
        """Closing the scene leaves an idle panel that works on the next one."""
        self.choose_study()
        slicer.mrmlScene.Clear()
        self.assertFalse(self.widget.ui.applyButton.enabled)
        self.choose_study()
        self.assertTrue(self.widget.ui.applyButton.enabled)

    def test_the_layout_with_three_rows_has_nine_views(self):
        """Slicer accepts the layout's description."""
        from UPFusionLib.compare_layout import LAYOUT_ID, register_layout

        register_layout()
        slicer.app.layoutManager().setLayout(LAYOUT_ID)
        names = [name for name in slicer.app.layoutManager().sliceViewNames() if name.startswith("UPFusion")]
        self.assertEqual(len(names), 9)
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_the_sample_data_is_registered(self):
        """Sample Data offers the study."""
        import SampleData

        names = [source.sampleName for source in slicer.modules.sampleDataSources["UP-Fusion"]]
        self.assertIn("MRI with simulated PET", names)
        self.assertTrue(callable(SampleData.SampleDataLogic().downloadSamples))

    def test_a_run_from_the_panel_to_the_views(self):
        """Apply, and the fused volume lies in the background of the views, as it is."""
        python = os.environ.get("UPFUSION_PYTHON")
        if not python:
            self.delayDisplay("UPFUSION_PYTHON is not set: the run itself is left out")
            return
        node = self.choose_study()
        self.widget.ui.externalPythonEdit.currentPath = python
        self.widget.ui.externalPythonButton.checked = True
        self.widget.apply()
        end = time.monotonic() + 300
        while self.widget.state.name in ("CHECKING", "RUNNING"):
            self.assertLess(time.monotonic(), end)
            qt.QApplication.processEvents()
            time.sleep(0.05)
        self.assertEqual(self.widget.state.name, "DONE", self.widget.ui.statusLabel.text)
        self.assertEqual(node.fused.GetImageData().GetDimensions(), node.mri.GetImageData().GetDimensions())
        self.assertFalse(node.fused.GetDisplayNode().GetAutoWindowLevel())
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        self.assertEqual(red.GetBackgroundVolumeID(), node.fused.GetID())
