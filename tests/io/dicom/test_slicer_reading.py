"""The readers of 3D Slicer find a fused series at the place of the MRI, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from tests.io.dicom import fused_phantom as fused
from upfusion_med.io import load_volume, read_source_study, save_colour_multiframe, save_colour_series

pytestmark = pytest.mark.slicer


def read_by_slicer(files):
    """Colours (I, J, K, 3) and affine (RAS) of what Slicer's volume reader makes of some files."""
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    from vtk import vtkMatrix4x4
    from vtk.util.numpy_support import vtk_to_numpy

    scene, node = slicer.vtkMRMLScene(), slicer.vtkMRMLVectorVolumeNode()
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    scene.AddNode(storage)
    scene.AddNode(node)
    storage.SetFileName(str(files[0]))
    storage.SetSingleFile(len(files) == 1)
    if len(files) > 1:
        for file in files:
            storage.AddFileName(str(file))
    assert storage.ReadData(node)
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine = np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])
    image = node.GetImageData()
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    return values.reshape(*image.GetDimensions()[::-1], 3).transpose(2, 1, 0, 3), affine


@pytest.mark.parametrize("name", fused.STACKS)
@pytest.mark.parametrize("save", [save_colour_series, save_colour_multiframe])
def test_slicer_reads_the_fused_colours_where_the_mri_lies(tmp_path, name, save):
    mri = load_volume(fused.mri_series(tmp_path / "mri", name))
    rgb = fused.colours(mri.array.shape)
    place = tmp_path / ("out" if save is save_colour_series else "out.dcm")
    save(place, rgb, mri.affine, study=read_source_study(tmp_path / "mri"))
    values, affine = read_by_slicer(sorted(place.iterdir()) if place.is_dir() else [place])
    np.testing.assert_allclose(affine, mri.affine, atol=1e-4)
    np.testing.assert_array_equal(values, rgb)
