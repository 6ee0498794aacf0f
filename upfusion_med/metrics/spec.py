"""What a metric is: the record that says which convention a key stands for, where it comes from and how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Direction(str, Enum):
    """Which way is better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    ZERO = "zero is best"
    ONE = "one is best"
    NONE = "no direction: noise raises it too"


class Inputs(str, Enum):
    """What a metric is computed from."""

    FUSED = "fused"
    SOURCES = "fused, a, b"
    COLOUR = "fused and functional colour picture"
    READER = "arguments of its own function"


class ConstantSource(str, Enum):
    """What becomes of a source whose pixels all have one value."""

    LEFT_OUT = "left out of the mean over the sources"
    NO_WEIGHT = "has no weight"
    COUNTED = "counted, its term is defined"
    UNDEFINED = "undefined"
    NOT_USED = "sources are not used"


@dataclass(frozen=True)
class MetricSpec:
    """One line of the table of metrics.

    Attributes:
        key: Name in results and in `upfusion_med.metrics.compute`; the same as in the project's golden values.
        name: Full name.
        convention: Which of the variants in use this is: pooling over the sources, window, borders, constants, units.
        source: Paper and code that define it, with the section of the project's facts that holds the equations.
        value_range: Values it can take, and usual ones where that helps.
        direction: Which way is better.
        inputs: What it is computed from.
        function: Where it is, ``module.function`` inside `upfusion_med.metrics`.
        reference: Implementation whose printed values the tests compare with; ``closed form`` where the tests use
            phantoms with known answers.
        tolerance: Largest relative error against it.
        tolerance_reason: Why that is more than 1e-6, where it is.
        constant_source: What becomes of a constant source.
        both_constant: What two constant sources give.
        fused_constant: What a constant fused image gives.
        fused_is_source: What a fused image gives that equals a source.
        undefined: Why the value can be NaN for other reasons.
        judged: The sources it judges.
        smallest_side: Smallest height and width in pixels.
    """

    key: str
    name: str
    convention: str
    source: str
    value_range: str
    direction: Direction
    inputs: Inputs
    function: str
    reference: str
    tolerance: float = 1e-6
    tolerance_reason: str = ""
    constant_source: ConstantSource = ConstantSource.NOT_USED
    both_constant: str = "undefined"
    fused_constant: str = "as defined"
    fused_is_source: str = "as defined"
    undefined: str = ""
    judged: tuple[str, ...] = ("a", "b")
    smallest_side: int = 3
