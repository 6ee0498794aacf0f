"""What a slice view shows, taken from Slicer's own pipeline."""

from __future__ import annotations

import numpy as np


def picture_of(logic) -> np.ndarray:
    """(height, width, 3) of a view's slice logic, first row at the top."""
    from vtk.util import numpy_support

    logic.UpdatePipeline()
    producer = logic.GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    width, height, _ = image.GetDimensions()
    pixels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    return np.flipud(pixels[..., :3])
