"""A backend without a network, for tests of everything around it."""

from __future__ import annotations

import numpy as np


class MaximumBackend:
    """The brighter source, voxel by voxel."""

    def describe(self):
        return {"model": "maximum", "prompt": "none"}

    def decide(self, functional, mri):
        return None

    def fuse(self, functional, mri, context):
        return np.maximum(functional, mri)
