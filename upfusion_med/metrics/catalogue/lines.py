"""Short forms for the lines of the table of metrics."""

from __future__ import annotations

from upfusion_med.metrics.spec import ConstantSource, Direction, Inputs, MetricSpec

#: Implementations whose printed values are the reference.
LTE = "Tang's toolbox"
LIU = "Liu's toolbox imageFusionMetrics"
LEFT_OUT, NO_WEIGHT = ConstantSource.LEFT_OUT, ConstantSource.NO_WEIGHT
COUNTED, UNDEFINED = ConstantSource.COUNTED, ConstantSource.UNDEFINED


def of_fused(key: str, name: str, convention: str, source: str, value_range: str, function: str) -> MetricSpec:
    """A metric of the fused image alone."""
    return MetricSpec(
        key=key,
        name=name,
        convention=convention,
        source=source,
        value_range=value_range,
        direction=Direction.NONE,
        inputs=Inputs.FUSED,
        function=function,
        reference=LTE,
        both_constant="not used",
        fused_constant="0",
    )


def of_pair(
    key: str,
    name: str,
    convention: str,
    source: str,
    value_range: str,
    function: str,
    reference: str,
    constant: ConstantSource,
    *,
    direction: Direction = Direction.HIGHER,
    both_constant: str = "undefined",
    fused_constant: str = "as defined",
    fused_is_source: str = "as defined",
    undefined: str = "",
    smallest_side: int = 3,
    tolerance: float = 1e-6,
    tolerance_reason: str = "",
) -> MetricSpec:
    """A metric of the fused image and both sources; the arguments are the fields of `MetricSpec`."""
    return MetricSpec(
        key=key,
        name=name,
        convention=convention,
        source=source,
        value_range=value_range,
        direction=direction,
        inputs=Inputs.SOURCES,
        function=function,
        reference=reference,
        tolerance=tolerance,
        tolerance_reason=tolerance_reason,
        constant_source=constant,
        both_constant=both_constant,
        fused_constant=fused_constant,
        fused_is_source=fused_is_source,
        undefined=undefined,
        smallest_side=smallest_side,
    )
