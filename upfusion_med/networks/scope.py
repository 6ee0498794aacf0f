"""Over what a network's global statistics are pooled: one slice, or a whole volume.

Channel weights, and in the published network affine parameters and channel attention, depend on averages over the
image. Taken slice by slice they change from slice to slice, and a fused volume flickers. A network of this package
therefore passes every global statistic through ``scope.reduce(name, statistic)``, and the caller decides what happens
there:

* ``SliceScope``: each sample keeps its own statistic (training, single pictures, parity with published code).
* ``RecordingScope``: representative slices of a volume run as one batch; the mean over the batch is used and kept.
* ``VolumeScope``: the kept statistics are used for every slice of that volume.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor


class SliceScope:
    """Every sample of the batch uses its own statistics."""

    def reduce(self, name: str, statistic: Tensor) -> Tensor:  # noqa: ARG002
        """Return ``statistic``, shape (B, ...), as it is."""
        return statistic

    def reduce_lazily(self, name: str, batch: int, compute: Callable[[], Tensor]) -> Tensor:  # noqa: ARG002
        """As ``reduce``, for a statistic that is costly to compute; it must have ``batch`` rows."""
        return compute()


class RecordingScope:
    """The whole batch shares one mean statistic at every point, and the means are kept in ``statistics``."""

    def __init__(self) -> None:
        self.statistics: dict[str, Tensor] = {}

    def reduce(self, name: str, statistic: Tensor) -> Tensor:
        """Mean of ``statistic`` over the batch axis, kept under ``name`` as (1, ...), expanded back to (B, ...)."""
        mean = statistic.mean(0, keepdim=True)
        self.statistics[name] = mean.detach()
        return mean.expand_as(statistic)

    def reduce_lazily(self, name: str, batch: int, compute: Callable[[], Tensor]) -> Tensor:  # noqa: ARG002
        """As ``reduce``, for a statistic that is costly to compute."""
        return self.reduce(name, compute())


class VolumeScope:
    """Every slice uses the statistics that a ``RecordingScope`` kept for its volume."""

    def __init__(self, statistics: Mapping[str, Tensor]) -> None:
        self.statistics = dict(statistics)

    def reduce(self, name: str, statistic: Tensor) -> Tensor:
        """The kept statistic of this name, (1, ...), expanded to the batch of ``statistic``."""
        kept = self.statistics[name]
        return kept.expand(statistic.shape[0], *kept.shape[1:])

    def reduce_lazily(self, name: str, batch: int, compute: Callable[[], Tensor]) -> Tensor:  # noqa: ARG002
        """The kept statistic expanded to ``batch`` rows; ``compute`` is not called."""
        kept = self.statistics[name]
        return kept.expand(batch, *kept.shape[1:])


Scope = SliceScope | RecordingScope | VolumeScope
