from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import InputError, Modality, Volume


def test_integers_become_float_and_the_array_is_read_only():
    volume = Volume(np.arange(24).reshape(2, 3, 4), np.eye(4))
    assert np.issubdtype(volume.array.dtype, np.floating)
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


def test_a_new_volume_leaves_the_old_one_as_it_was():
    volume = Volume(np.zeros((2, 3, 4), np.float32), np.eye(4), modality=Modality.MR)
    other = volume.with_array(np.ones((2, 3, 4), np.float32), units="SUVbw")
    assert volume.array.sum() == 0
    assert volume.units == "grey levels"
    assert (other.units, other.modality) == ("SUVbw", Modality.MR)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4, 2), (2, 3, 4, 3, 1), (0, 3, 4)])
def test_shapes_that_are_no_image_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        Volume(np.zeros(shape, np.float32), np.eye(4))


def test_colour_has_its_own_last_axis():
    volume = Volume(np.zeros((2, 3, 4, 3), np.float32), np.eye(4))
    assert volume.is_rgb
    assert volume.geometry.shape == (2, 3, 4)
