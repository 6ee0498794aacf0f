"""Rigid registration of two images of one patient by mutual information, which knows when it failed.

Mutual information rewards a wrong answer as readily as a right one where a body is cut by the field of view, or bent
differently in both images. So every result is held against the alignment that the files state, and is refused, with
the reasons, when it is not plainly better, not plausible, or not the same for both halves of the body.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from upfusion_med.core import InputError, Progress, SilentProgress, UsageError, Volume
from upfusion_med.transforms.colour import luma
from upfusion_med.transforms.registration_pair import COARSE, Matrix, RegistrationPair

#: A result that moves or turns the body by more than this is not believed.
MOST_TRANSLATION_MM, MOST_ROTATION_DEG = 50.0, 30.0
#: Mutual information must grow by this part, or nothing better was found than what the files state.
LEAST_GAIN = 0.01
#: Below this (in nats) the images say nothing about each other. Brains and limbs have 0.2 to 1.0.
LEAST_INFORMATION = 0.02
#: The part of the fixed body that lies in the moving body may fall by this much: the masks are no finer.
OVERLAP_TOLERANCE = 0.01
#: Halves of the body, registered alone, may put its corners this far apart on average. Measured: 1.3 to 2.5 mm on a
#: simulated brain study (also with half the field of view, thick slices, noise), 22 mm and more on limbs that were bent
#: differently, 6 mm and more on images that do not belong together. Colour pictures of PET and SPECT of two brains,
#: published as aligned, have 11 and 29 mm: they are left as they are.
MOST_DISAGREEMENT_MM = 5.0

#: Values outside these percentiles are clipped, or a single hot lesion takes most of the bins of the histogram.
_CLIPPED_PERCENTILES = (0.5, 99.5)
#: Voxels along each axis, at least.
_LEAST_VOXELS = 8
_HALVES = 6
DEFAULT_SEED = 20240117

FROM_FILES, FROM_CENTRES = "positions in the files", "centres of the images"


@dataclass(frozen=True, eq=False)
class Registration:
    """What came out of a registration.

    Attributes:
        matrix: (4, 4) that maps points of the fixed image's space to the moving image's space, RAS+ millimetres, as
            `resample_to` takes it: the result where it was accepted, otherwise the identity, which is the alignment
            that the files state.
        proposed: The same for the optimiser's result, whether it was accepted or not.
        rotation_deg: Angle by which the result turns the initial alignment.
        translation_mm: Distance by which the result moves the centre of the fixed body from the initial alignment.
        metric_before: Mutual information (nats, larger is better) of the initial alignment; 0 without overlap.
        metric_after: The same of the result.
        overlap_before: Part of the fixed body that lies in the moving body, initial alignment; in [0, 1].
        overlap_after: The same of the result.
        disagreement_mm: How far apart the two halves of the body, registered alone, put its corners on average; the
            largest over three ways of halving it. NaN where the result was refused for other reasons before.
        initial: The alignment that the result is held against: ``"positions in the files"``, or ``"centres of the
            images"`` where the bodies do not overlap at those positions.
        accepted: Whether the result is to be used.
        reasons: Why not, in plain words; empty when it was accepted.
        seconds: Time it took.
    """

    matrix: Matrix
    proposed: Matrix
    rotation_deg: float
    translation_mm: float
    metric_before: float
    metric_after: float
    overlap_before: float
    overlap_after: float
    disagreement_mm: float
    initial: str
    accepted: bool
    reasons: tuple[str, ...]
    seconds: float


def register_rigid(
    fixed: Volume, moving: Volume, *, seed: int = DEFAULT_SEED, progress: Progress | None = None
) -> Registration:
    """Find the rotation and translation that bring two images of one body together, or say why there is none.

    Mattes mutual information (32 bins, random 10 % of the points) on grids of 4 and then 2 mm, regular step gradient
    descent, from up to three starts: the positions in the files, the centres of the grids, and the centres of the
    bodies. The best start goes on to the finer grid. One thread and a fixed seed: the same result every time on one
    machine.

    The result is refused when it moves the body by more than 50 mm or turns it by more than 30° from the initial
    alignment, when less of the fixed body lies in the moving body than before, when mutual information grew by less
    than 1 %, or when the two halves of the body (cut across each axis in turn), registered alone, disagree by more
    than 5 mm: then no rigid transform explains the images, or the images do not determine it.

    Args:
        fixed: Scalar or colour volume (colours count by their luma); the grid of the study, usually the MRI.
        moving: The other one.
        seed: Of the random points; 1 or more.
        progress: Told about every run of the optimiser.

    Raises:
        InputError: a picture, fewer than 8 voxels along an axis, values that are not finite, a constant image.
        UsageError: the seed is below 1.

    Source: Mattes et al., IEEE Trans. Med. Imaging 22 (2003) 120; settings and limits from trials on a brain template
    with simulated PET and on two sarcoma studies.
    """
    begin = time.perf_counter()
    if seed < 1:
        raise UsageError(f"The seed is {seed}; expected 1 or more (0 would be another one every time).")
    progress = progress or SilentProgress()
    pair = RegistrationPair.of(_grey(fixed, "fixed image (MRI)"), _grey(moving, "moving image (functional)"), seed)
    starts = list(pair.starts())
    progress.stage("registering", len(starts) + 1 + _HALVES)

    initial, initial_name = np.eye(4), FROM_FILES
    if pair.overlap(initial) == 0:
        initial, initial_name = pair.centring(), FROM_CENTRES
    found = []
    for start in starts:
        end = pair.descended(start, COARSE)
        found += [end] if end is not None else []
        progress.advance()
    # A start that ended somewhere implausible may have the larger metric: plausible ones go first.
    best = max(found, key=lambda m: (not objections(pair, initial, m), pair.information(m, COARSE)), default=initial)
    end = pair.settled(best)
    progress.advance()
    proposed = best if end is None else end

    before, after = pair.information(initial), pair.information(proposed)
    reasons = [*objections(pair, initial, proposed), *_uninformative(before, after)]
    if end is None:
        reasons.append("the images slid apart")
    disagreement = float("nan")
    if not reasons:
        disagreement = _disagreement_mm(pair, proposed, progress)
        if disagreement > MOST_DISAGREEMENT_MM:
            told = (
                f"the two halves of the body, registered alone, disagree by {disagreement:.1f} mm (at most "
                f"{MOST_DISAGREEMENT_MM:g} mm is accepted)"
                if np.isfinite(disagreement)
                else "a half of the body, registered alone, slides out of the other image"
            )
            reasons.append(f"{told}: the images do not determine one rigid transform")
    else:
        progress.advance(_HALVES)
    return Registration(
        matrix=np.eye(4) if reasons else proposed,
        proposed=proposed,
        rotation_deg=rotation_deg(proposed @ np.linalg.inv(initial)),
        translation_mm=_moved_mm(pair, initial, proposed),
        metric_before=before,
        metric_after=after,
        overlap_before=pair.overlap(initial),
        overlap_after=pair.overlap(proposed),
        disagreement_mm=disagreement,
        initial=initial_name,
        accepted=not reasons,
        reasons=tuple(reasons),
        seconds=time.perf_counter() - begin,
    )


def rotation_deg(matrix: Matrix) -> float:
    """Angle of the rotation in a rigid (4, 4) matrix, in degrees, 0 to 180."""
    return float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1.0, 1.0))))


def _moved_mm(pair: RegistrationPair, initial: Matrix, matrix: Matrix) -> float:
    return float(np.linalg.norm(((matrix - initial) @ [*pair.centre, 1.0])[:3]))


def objections(pair: RegistrationPair, initial: Matrix, matrix: Matrix) -> list[str]:
    """What speaks against a result before its metric is looked at."""
    reasons = []
    moved, turned = _moved_mm(pair, initial, matrix), rotation_deg(matrix @ np.linalg.inv(initial))
    if moved > MOST_TRANSLATION_MM:
        reasons.append(f"it moves the body by {moved:.0f} mm, more than {MOST_TRANSLATION_MM:g} mm")
    if turned > MOST_ROTATION_DEG:
        reasons.append(f"it turns the body by {turned:.0f}°, more than {MOST_ROTATION_DEG:g}°")
    before, after = pair.overlap(initial), pair.overlap(matrix)
    if after < before - OVERLAP_TOLERANCE:
        reasons.append(
            f"the part of the body that both images show falls from {before:.0%} to {after:.0%}: one slides out of the "
            "field of view of the other"
        )
    return reasons


def _uninformative(before: float, after: float) -> list[str]:
    if after < LEAST_INFORMATION:
        return [
            f"the images have next to nothing in common (mutual information {after:.4f}, expected {LEAST_INFORMATION:g}"
            " or more)"
        ]
    if after < before * (1 + LEAST_GAIN):
        return [
            f"mutual information went from {before:.3f} to {after:.3f}, not up by {LEAST_GAIN:.0%}: nothing better "
            "than the alignment in the files was found"
        ]
    return []


def _disagreement_mm(pair: RegistrationPair, matrix: Matrix, progress: Progress) -> float:
    """The largest distance between what two halves of the body find, begun from a result; infinite where one fails."""
    largest = 0.0
    for halves in pair.halves():
        ends = []
        for half in halves:
            ends.append(pair.descended(matrix, COARSE, part=half, step_mm=0.25))
            progress.advance()
        one, other = ends
        largest = max(largest, float("inf") if one is None or other is None else pair.distance_mm(one, other))
    return largest


def _grey(volume: Volume, name: str) -> Volume:
    """The volume as one finite channel, clipped to its robust range."""
    if volume.is_picture or min(volume.array.shape[:3]) < _LEAST_VOXELS:
        raise InputError(
            f"The {name} has {' x '.join(str(n) for n in volume.array.shape[:3])} voxels; expected a volume of at "
            f"least {_LEAST_VOXELS} along each axis to register. Give a transform instead, or do not register them."
        )
    values = luma(volume.array) if volume.is_rgb else volume.array.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise InputError(
            f"The {name} holds values that are not finite; expected numbers. Replace them before registering."
        )
    low, high = np.percentile(values, _CLIPPED_PERCENTILES)
    if not low < high:
        raise InputError(
            f"The {name} is nearly constant (99 % of its values are {low:g}); expected an image with content. Check "
            "that the right file was given."
        )
    return volume.with_array(np.clip(values, low, high))
