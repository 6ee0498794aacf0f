"""Colour fidelity, and what a reader of a medical picture needs; their functions have arguments of their own."""

from __future__ import annotations

from upfusion_med.metrics.spec import Direction, Inputs, MetricSpec

_CLOSED_FORM = "closed form (phantoms)"


def _line(
    key: str, name: str, convention: str, source: str, value_range: str, direction: Direction, function: str
) -> MetricSpec:
    colour = function.startswith("colour_fidelity")
    return MetricSpec(
        key=key,
        name=name,
        convention=convention,
        source=source,
        value_range=value_range,
        direction=direction,
        inputs=Inputs.COLOUR if colour else Inputs.READER,
        function=function,
        reference="scikit-image (deltaE_ciede2000)" if key == "ciede2000" else _CLOSED_FORM,
        both_constant="not used",
        undefined="the functional picture has no coloured area" if colour else "the region it is taken in is empty",
    )


_BASELINE = "this project; definition as in the baseline of peer networks, section 6"
_OWN = "this project"

READER_METRICS: tuple[MetricSpec, ...] = (
    _line(
        "ciede2000",
        "Colour difference",
        "mean CIEDE2000 inside the coloured area of the functional picture",
        "Sharma, Wu and Dalal, Color Res. Appl. 30(1) 2005",
        "0…about 100",
        Direction.LOWER,
        "colour_fidelity.colour_fidelity",
    ),
    _line(
        "ciede2000_chroma",
        "Colour difference without lightness",
        "as ciede2000, lightness term left out",
        "Sharma, Wu and Dalal, Color Res. Appl. 30(1) 2005",
        "0…about 100",
        Direction.LOWER,
        "colour_fidelity.colour_fidelity",
    ),
    _line(
        "hue_turned",
        "Hue turned",
        "mean turn of the Cb/Cr angle in the coloured area, degrees",
        _BASELINE,
        "0…180°",
        Direction.LOWER,
        "colour_fidelity.colour_fidelity",
    ),
    _line(
        "saturation_kept",
        "Saturation kept",
        "mean HSV saturation over the functional picture's, coloured area",
        _BASELINE,
        "≥ 0",
        Direction.ONE,
        "colour_fidelity.colour_fidelity",
    ),
    _line(
        "background_level",
        "Background level",
        "mean fused level where both sources are at most 4",
        _BASELINE,
        "0…255",
        Direction.ZERO,
        "reader.background_level",
    ),
    _line(
        "zero_background_touched",
        "Exactly-zero background touched",
        "share of the pixels that are 0 in both sources and not 0 in the fused image, %",
        _OWN,
        "0…100 %",
        Direction.ZERO,
        "reader.zero_background_touched",
    ),
    _line(
        "bright_kept",
        "Bright CT kept",
        "fused over CT level in the brightest 5 % of the CT",
        _BASELINE,
        "≥ 0",
        Direction.ONE,
        "reader.bright_kept",
    ),
    _line(
        "tissue_level",
        "MRI tissue level",
        "fused over MRI level where the MRI is above 30",
        _BASELINE,
        "≥ 0",
        Direction.ONE,
        "reader.tissue_level",
    ),
    _line(
        "mri_edges_kept",
        "MRI edges kept",
        "share of the MRI's edge pixels where the fused image rises the same way, at least half as steeply",
        _OWN,
        "0…1",
        Direction.HIGHER,
        "reader.mri_edges_kept",
    ),
    _line(
        "slice_flicker",
        "Flicker between slices",
        "mean of |ΔF| − max(|ΔA|, |ΔB|), where positive, between a slice and the next",
        _OWN,
        "0…255",
        Direction.ZERO,
        "reader.slice_flicker",
    ),
    _line(
        "unexplained_structure",
        "Unexplained structure",
        "share of the fused image's local variance that no local mixture of the sources explains: rest of a fit by "
        "A, B and 1 in 11×11 Gaussian windows, beyond one grey level, %",
        _OWN,
        "0…100 %; maximum rule on medical pairs 0.9…4.0",
        Direction.ZERO,
        "unexplained.unexplained_structure",
    ),
    _line(
        "unexplained_patch",
        "Largest unexplained patch",
        "pixels of the largest region where the unexplained standard deviation is above 4 levels and above half of the "
        "livelier source's",
        _OWN,
        "≥ 0 pixels",
        Direction.ZERO,
        "unexplained.unexplained_structure",
    ),
    _line(
        "uptake_error",
        "Uptake error",
        "mean error of the uptake read back by nearest colour, % of the scale, where uptake is above 15 %",
        _BASELINE,
        "0…100 %",
        Direction.ZERO,
        "uptake_reading.uptake_error",
    ),
    _line(
        "uptake_error_hue",
        "Uptake error by hue",
        "as uptake_error, read back by the nearest hue whatever the brightness; nearly grey pixels by nearest colour",
        _OWN,
        "0…100 %",
        Direction.ZERO,
        "uptake_reading.read_back_by_hue",
    ),
    _line(
        "hot_uptake_lost",
        "Hot uptake lost",
        "share of the hottest 5 % (of the pixels above 15 %) that reads more than a tenth of the scale too low, %",
        _BASELINE,
        "0…100 %",
        Direction.ZERO,
        "uptake_reading.hot_uptake_lost",
    ),
    _line(
        "uptake_order_kept",
        "Uptake order kept",
        "Spearman's rank correlation of uptake and displayed value, in the body",
        _OWN,
        "−1…1",
        Direction.HIGHER,
        "uptake_reading.uptake_order_kept",
    ),
    _line(
        "darker_when_hotter",
        "Darker when hotter",
        "% of the pixels above 15 % in twentieths of the scale that are on average 4 levels darker than a colder one",
        _OWN,
        "0…100 %",
        Direction.ZERO,
        "uptake_reading.darker_when_hotter",
    ),
    _line(
        "hot_contrast",
        "Hot contrast kept",
        "CIEDE2000 of a hot region against a ring of 6 pixels, after over before",
        _OWN,
        "≥ 0",
        Direction.ONE,
        "uptake_reading.hot_contrast",
    ),
)
