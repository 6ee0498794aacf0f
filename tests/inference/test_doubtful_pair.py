from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.core import FuseSettings, Modality, Volume
from upfusion_med.inference import fuse
from upfusion_med.inference.doubtful_pair import pair_doubts

LEVELS = np.arange(1.0, 61.0, dtype=np.float32).reshape(5, 4, 3)
GREY, OTHER = Volume(LEVELS, np.eye(4)), Volume(LEVELS[::-1].copy(), np.eye(4))
MASK = Volume((LEVELS > 30).astype(np.float32), np.eye(4))
COLOURS = Volume(np.stack([LEVELS, LEVELS, 255 - LEVELS], axis=-1), np.eye(4), "RGB")


@pytest.mark.parametrize(
    ("first", "second", "modality", "doubt"),
    [
        (GREY, OTHER, Modality.PET, None),
        (GREY, MASK, Modality.PET, "The second image has two values only, 0 and 1"),
        (MASK, OTHER, Modality.CT, "The first image has two values only, 0 and 1"),
        (GREY, GREY, Modality.PET, "one image was given twice"),
        (COLOURS, COLOURS, Modality.PET, "one image was given twice"),
        (COLOURS, GREY, Modality.UNKNOWN, "The first image has colours, which are not shown"),
        (COLOURS, GREY, Modality.INFRARED, None),
        (GREY, COLOURS, Modality.PET, None),
    ],
)
def test_a_pair_that_looks_wrong_is_doubted(first, second, modality, doubt):
    said = pair_doubts(first, second, modality)
    assert len(said) == (doubt is not None) and all(doubt in sentence for sentence in said)


def test_the_report_holds_the_doubt():
    report = fuse(GREY, MASK, FuseSettings(modality=Modality.PET, blend="alpha")).report
    assert [w for w in report["warnings"] if "as a mask has" in w]
