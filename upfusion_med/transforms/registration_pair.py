"""Two images of one body on coarse and fine grids, and what can be asked about a rigid transform between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import RAS_FROM_LPS, Geometry, InputError, Volume
from upfusion_med.transforms.body_mask import body_mask
from upfusion_med.transforms.itk_image import itk_image, linearised
from upfusion_med.transforms.resample import resample_to

if TYPE_CHECKING:
    import SimpleITK

Matrix = NDArray[np.float64]

#: Grids on which the images are compared, in millimetres; the images are smoothed by a Gaussian of as much first.
LEVELS_MM = (4.0, 2.0)
COARSE, FINE = 0, 1
_BINS = 32
_SAMPLED_PART, _LEAST_SAMPLES = 0.10, 20_000
_FIRST_STEP_MM, _LAST_STEP_MM, _STEPS, _RELAXATION = 0.5, 0.01, 100, 0.6
_MOST_RESTARTS, _SETTLED_MM = 5, 0.3
#: Starts that lie closer together than this are one.
_SAME_START_MM = 5.0
#: How much of the air around the body belongs to its halves.
_SURROUNDINGS_MM = 10.0


@dataclass(frozen=True, eq=False)
class RegistrationPair:
    """A fixed and a moving image, on both levels. All transforms are (4, 4) RAS+ mm, fixed to moving points.

    Attributes:
        fixed: Scalar volumes, one a level.
        moving: The same.
        seed: Of the random points at which the images are compared; not 0.
    """

    fixed: tuple[Volume, ...]
    moving: tuple[Volume, ...]
    seed: int

    @classmethod
    def of(cls, fixed: Volume, moving: Volume, seed: int) -> RegistrationPair:
        """The pair of two finite scalar volumes, at any resolution."""
        return cls(
            tuple(_at_scale(fixed, mm) for mm in LEVELS_MM), tuple(_at_scale(moving, mm) for mm in LEVELS_MM), seed
        )

    @cached_property
    def fixed_body(self) -> NDArray[np.bool_]:
        """The body in the fixed image, on its coarse grid."""
        return body_mask(self.fixed[COARSE].array)

    @cached_property
    def moving_body(self) -> Volume:
        """The body in the moving image, 0 and 1, on its coarse grid."""
        return self.moving[COARSE].with_array(body_mask(self.moving[COARSE].array))

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """Centre of the fixed body, (3,) RAS+ millimetres."""
        return _centroid(self.fixed_body, self.fixed[COARSE].geometry)

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """(27, 4) corners, edge and face middles and the centre of the fixed body, homogeneous RAS+ millimetres."""
        index = np.argwhere(self.fixed_body)
        ends = np.stack([index.min(axis=0), index.mean(axis=0), index.max(axis=0)])
        grid = np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(-1, 3)
        return np.asarray(np.column_stack([grid, np.ones(len(grid))]) @ self.fixed[COARSE].affine.T)

    def centring(self) -> Matrix:
        """The shift that brings the middles of the two grids together."""
        return _shift(_middle(self.moving[COARSE].geometry) - _middle(self.fixed[COARSE].geometry))

    def starts(self) -> Iterator[Matrix]:
        """Transforms to begin with, at least 5 mm apart: the identity, centred grids, centred bodies."""
        bodies = _shift(_centroid(self.moving_body.array > 0, self.moving_body.geometry) - self.centre)
        taken: list[Matrix] = []
        for start in (np.eye(4), self.centring(), bodies):
            if self.overlap(start) > 0 and all(self.distance_mm(start, t) > _SAME_START_MM for t in taken):
                taken.append(start)
                yield start
        if not taken:
            yield bodies

    def distance_mm(self, one: Matrix, other: Matrix) -> float:
        """Mean distance over the corners of the body between where two transforms put them."""
        return float(np.linalg.norm(self.corners @ (one - other)[:3].T, axis=1).mean())

    def overlap(self, matrix: Matrix) -> float:
        """Part of the fixed body that lies in the moving body, [0, 1]."""
        try:
            covered, _ = resample_to(
                self.moving_body, self.fixed[COARSE].geometry, interpolation="nearest", transform=matrix
            )
        except InputError:  # No common field of view.
            return 0.0
        return float((covered.array[self.fixed_body] > 0).mean())

    def information(self, matrix: Matrix, level: int = FINE) -> float:
        """Mattes mutual information in nats; 0 where the images do not overlap."""
        method = self._method(level)
        method.SetInitialTransform(self._transform(matrix))
        try:
            return -float(method.MetricEvaluate(*self._images(level)))
        except RuntimeError:  # Too few points of the fixed image fall into the moving one.
            return 0.0

    def descended(
        self, start: Matrix, level: int, part: NDArray[np.bool_] | None = None, step_mm: float = _FIRST_STEP_MM
    ) -> Matrix | None:
        """Where gradient descent on the (negative) mutual information ends.

        Args:
            start: Where it begins.
            level: Index into ``LEVELS_MM``.
            part: Part of the fixed image that is looked at, on the coarse grid; None: all of it.
            step_mm: First step.

        Returns:
            The transform, or None where the images slid apart.
        """
        method = self._method(level)
        if part is not None:
            method.SetMetricFixedMask(itk_image(part.astype(np.uint8), self.fixed[COARSE].geometry))
        method.SetOptimizerAsRegularStepGradientDescent(
            step_mm, _LAST_STEP_MM, _STEPS, relaxationFactor=_RELAXATION, estimateLearningRate=method.Never
        )
        # One radian weighs as many millimetres as it moves the body on average. With the scales that ITK estimates from
        # the corners of the grid, some runs ended a degree short (1.7 mm on the simulated study instead of 0.25).
        method.SetOptimizerScales([self._turning_mm2] * 3 + [1.0] * 3)
        transform = self._transform(start)
        method.SetInitialTransform(transform, inPlace=True)
        try:
            method.Execute(*self._images(level))
        except RuntimeError:
            return None
        return linearised(transform, self.centre)

    def settled(self, start: Matrix) -> Matrix | None:
        """Where descent on the fine grid ends, begun anew until it stays: its steps may shrink too early."""
        for _ in range(_MOST_RESTARTS):
            end = self.descended(start, FINE)
            if end is None or self.distance_mm(start, end) < _SETTLED_MM:
                return end
            start = end
        return start

    def halves(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """The fixed body with some air around it, cut in two through its centre: across each grid axis in turn."""
        from scipy.ndimage import distance_transform_edt

        outside_mm = distance_transform_edt(~self.fixed_body, sampling=self.fixed[COARSE].geometry.spacing_mm)
        body = np.asarray(outside_mm < _SURROUNDINGS_MM)
        for axis in range(3):
            cut = round(float(np.argwhere(self.fixed_body)[:, axis].mean()))
            below = np.arange(body.shape[axis]).reshape([-1 if k == axis else 1 for k in range(3)]) < cut
            yield body & below, body & ~below

    @cached_property
    def _turning_mm2(self) -> float:
        """Mean square of how far a voxel of the body moves when the body turns by one radian about its centre."""
        points = np.argwhere(self.fixed_body) @ self.fixed[COARSE].affine[:3, :3].T
        return float(2 / 3 * np.square(points - points.mean(axis=0)).sum(axis=1).mean())

    def _images(self, level: int) -> tuple[SimpleITK.Image, SimpleITK.Image]:
        fixed, moving = (itk_image(v.array, v.geometry) for v in (self.fixed[level], self.moving[level]))
        return fixed, moving

    def _transform(self, matrix: Matrix) -> SimpleITK.Euler3DTransform:
        """The same transform in ITK's terms, as a rotation about the centre of the fixed body and a shift."""
        import SimpleITK as sitk

        lps = RAS_FROM_LPS @ matrix @ RAS_FROM_LPS
        centre = RAS_FROM_LPS[:3, :3] @ self.centre
        transform = sitk.Euler3DTransform()
        transform.SetCenter(tuple(float(x) for x in centre))
        transform.SetMatrix(tuple(float(x) for x in lps[:3, :3].ravel()), 1e-6)
        transform.SetTranslation(tuple(float(x) for x in lps[:3, :3] @ centre + lps[:3, 3] - centre))
        return transform

    def _method(self, level: int) -> SimpleITK.ImageRegistrationMethod:
        import SimpleITK as sitk

        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetNumberOfWorkUnits(1)
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        part = max(_SAMPLED_PART, _LEAST_SAMPLES / self.fixed[level].array.size)
        method.SetMetricSamplingPercentage(min(1.0, part), self.seed)
        method.SetInterpolator(sitk.sitkLinear)
        # The levels are our own: ITK would thin out 5 mm slices as much as 1 mm pixels.
        method.SetShrinkFactorsPerLevel([1])
        method.SetSmoothingSigmasPerLevel([0.0])
        return method


def _at_scale(volume: Volume, scale_mm: float) -> Volume:
    """The volume smoothed by a Gaussian of sigma ``scale_mm`` and thinned out to voxels of about that size."""
    from scipy.ndimage import gaussian_filter1d

    spacing = np.array(volume.geometry.spacing_mm)
    steps = np.maximum(1, np.rint(scale_mm / spacing)).astype(int)
    starts = ((np.array(volume.array.shape) - 1) % steps) // 2
    values = volume.array
    for axis in range(3):
        values = gaussian_filter1d(values, scale_mm / spacing[axis], axis=axis, mode="nearest", truncate=3.0)
        values = values[tuple(slice(starts[axis], None, steps[axis]) if k == axis else slice(None) for k in range(3))]
    affine = np.array(volume.affine)
    affine[:3, 3] += affine[:3, :3] @ starts
    affine[:3, :3] *= steps
    return volume.with_array(values, affine=affine)


def _shift(by_mm: NDArray[np.float64]) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 3] = by_mm
    return matrix


def _middle(geometry: Geometry) -> NDArray[np.float64]:
    return np.asarray((geometry.affine @ [*((np.array(geometry.shape) - 1) / 2), 1.0])[:3])


def _centroid(mask: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float64]:
    return np.asarray((geometry.affine @ [*np.argwhere(mask).mean(axis=0), 1.0])[:3])
