"""UP-Fusion: fuses an MRI with a PET, SPECT or CT volume into one colour volume. Not for diagnostic use.

The four classes of fixed names that Slicer looks for; what they do stands in UPFusionLib.
"""

from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest
from UPFusionLib.logic import UPFusionLogic
from UPFusionLib.widget import UPFusionWidget

__all__ = ["UPFusion", "UPFusionLogic", "UPFusionTest", "UPFusionWidget"]


class UPFusion(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("UP-Fusion")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Nuclear Medicine")]
        self.parent.dependencies = []
        self.parent.contributors = ["The UP-Fusion Med developers"]
        self.parent.helpText = _(
            "Fuses an MRI with a PET, SPECT or CT volume into one colour volume on the MRI's geometry: choose the two "
            "volumes and press Apply. The computation runs in a process of its own and can be cancelled. The fused "
            "image is a help for the eye; measure on the originals. <b>Not for diagnostic use.</b> "
            '<a href="https://github.com/upfusion-med/SlicerUPFusion">Tutorial and documentation</a>'
        )
        self.parent.acknowledgementText = _(
            "After UP-Fusion (Li, Li and Jiang, AAAI 2026, arXiv 2511.12432). The sample data is the MNI152 template "
            "with a PET that is simulated from its tissue maps."
        )
        slicer.app.connect("startupCompleted()", _register)


def _register():
    from UPFusionLib.compare_layout import register_layout
    from UPFusionLib.sample_data import register_sample_data

    register_layout()
    register_sample_data(str(Path(__file__).parent / "Resources" / "Icons" / "UPFusion.png"))


class UPFusionTest(ScriptedLoadableModuleTest):
    """The tests that need the real application; see Testing/Python."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run every test."""
        self.setUp()
        self.test_the_panel_follows_the_scene()

    def test_the_panel_follows_the_scene(self):
        """Apply is possible only with two volumes."""
        import numpy as np

        slicer.util.selectModule("UPFusion")
        widget = slicer.modules.UPFusionWidget
        self.assertFalse(widget.ui.applyButton.enabled)
        node = widget.logic.getParameterNode()
        node.mri, node.functional = (
            slicer.util.addVolumeFromArray(np.ones((4, 4, 4), np.int16), name=name) for name in ("MRI", "PET")
        )
        self.assertTrue(widget.ui.applyButton.enabled)
