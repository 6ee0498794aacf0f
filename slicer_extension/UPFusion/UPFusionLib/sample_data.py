"""The demonstration study in Slicer's Sample Data module: a template MRI and a PET that is simulated from it.

The files are what ``upfusion demo --inputs FOLDER`` writes.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

CATEGORY = "UP-Fusion"
SAMPLE = "MRI with simulated PET"
BASE = "https://github.com/upfusion-med/SlicerUPFusion/releases/download/SampleData"
FILES = ("mri.nii.gz", "simulated_pet.nii.gz")
NODE_NAMES = ("MRI (MNI152 template)", "PET (simulated)")
CHECKSUMS = (
    "SHA256:d5cde0ebfc09b7d72b62537c8d30541cc4de00924940052e8a8cbe15200e3a20",
    "SHA256:de0ac0d9b33a8f0bfa28fc2df09003b4dd6794a1ddea332a95e3a87813b3bffb",
)


def register_sample_data(thumbnail: str | None = None, base: str = BASE) -> None:
    """Add the study to Sample Data; it is downloaded when the user asks for it, and checked.

    Args:
        thumbnail: Picture for the button.
        base: Address of the files; tests give a local one.
    """
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE,
        uris=[f"{base}/{name}" for name in FILES],
        fileNames=list(FILES),
        nodeNames=list(NODE_NAMES),
        checksums=list(CHECKSUMS),
        thumbnailFileName=thumbnail,
        loadFileType="VolumeFile",
    )


def load_sample_data() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Download (once) and load the study: MRI and PET, the latter marked as what it is.

    Raises:
        RuntimeError: it could not be loaded.
    """
    import SampleData

    nodes = SampleData.SampleDataLogic().downloadSamples(SAMPLE)
    if not nodes or len(nodes) != len(FILES):
        raise RuntimeError(_("The sample data could not be loaded. Check the network."))
    nodes[0].SetAttribute("UPFusion.Modality", "MR")
    nodes[1].SetAttribute("UPFusion.Modality", "PT")
    nodes[1].SetAttribute("UPFusion.Units", "simulated SUV")
    return list(nodes)
