"""The other metrics that fusion papers print."""

from __future__ import annotations

from upfusion_med.metrics.spec import ConstantSource, Direction, Inputs, MetricSpec

_LTE = "Tang's toolbox"
_LIU = "Liu's toolbox imageFusionMetrics"
_FMI_SOURCE = "Haghighat, Aghagolzadeh and Seyedarabi, Comput. Electr. Eng. 37(5) 2011; fast form AICT 2014; facts C.2"
_PIELLA = "Piella and Heijmans, ICIP 2003, code metricPeilla.m; facts C.4"
_KUMAR = "Petrović and Xydeas, ICCV 2005; Kumar, SIViP 7 (2013); facts C.6"


def _of_fused(key: str, name: str, convention: str, source: str, value_range: str, function: str) -> MetricSpec:
    return MetricSpec(
        key=key,
        name=name,
        convention=convention,
        source=source,
        value_range=value_range,
        direction=Direction.NONE,
        inputs=Inputs.FUSED,
        function=function,
        reference=_LTE,
        both_constant="not used",
        fused_constant="0",
    )


def _of_pair(
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


_LEFT_OUT, _NO_WEIGHT = ConstantSource.LEFT_OUT, ConstantSource.NO_WEIGHT
_COUNTED, _UNDEFINED = ConstantSource.COUNTED, ConstantSource.UNDEFINED

_STATISTICS = (
    _of_fused("en", "Entropy", "256 bins, bits", "facts C.2", "0…8", "information.entropy"),
    _of_fused(
        "sd", "Standard deviation", "divided by HW", "facts C.3", "0…127.5", "statistics.standard_deviation"
    ),
    _of_fused(
        "sf",
        "Spatial frequency",
        "rows and columns each over their own count",
        "Eskicioglu and Fisher, IEEE Trans. Commun. 43(12) 1995; facts C.3",
        "0…360",
        "statistics.spatial_frequency",
    ),
    _of_fused(
        "ag",
        "Average gradient",
        "central differences; divided by (H − 1)(W − 1)",
        "facts C.3",
        "≥ 0",
        "statistics.average_gradient_family",
    ),
    _of_fused(
        "ag_mean", "Average gradient, plain mean", "as ag, divided by HW", "facts C.3", "≥ 0",
        "statistics.average_gradient_family",
    ),
    _of_pair(
        "cc", "Correlation coefficient", "mean of Pearson's r over the sources", "facts C.3", "−1…1",
        "statistics.correlation", _LTE, _LEFT_OUT, fused_constant="undefined",
    ),
    _of_pair(
        "scd", "Sum of the correlations of differences", "r(F − B, A) + r(F − A, B)",
        "Aslantas and Bendes, AEÜ 69(12) 2015; facts C.3", "−2…2",
        "statistics.sum_of_correlations_of_differences", _LTE, _UNDEFINED,
        fused_is_source="undefined", undefined="a difference of fused image and source is constant",
        tolerance_reason="",
    ),
    _of_pair(
        "psnr", "Peak signal-to-noise ratio", "10 log10(255² / mse_255), dB; toolboxes print 48.13 dB more",
        "facts C.3", "0…∞ dB", "statistics.error_family", f"{_LTE} less 48.13 dB", _COUNTED,
        both_constant="as defined; infinite where all images are equal", fused_is_source="infinite if the sources agree",
    ),
    _of_pair(
        "psnr_unit_mse", "PSNR as toolboxes print it", "20 log10(255 / sqrt(mse)), 255 over an error on 0…1",
        "facts C.3", "48…∞ dB", "statistics.error_family", _LTE, _COUNTED, both_constant="as psnr",
        fused_is_source="as psnr",
    ),
    _of_pair(
        "mse", "Mean squared error", "mean of both sources, values on 0…1", "facts C.3", "0…1",
        "statistics.error_family", _LTE, _COUNTED, direction=Direction.LOWER, both_constant="as defined",
    ),
    _of_pair(
        "mse_255", "Mean squared error", "mean of both sources, values on 0…255", "facts C.3", "0…65025",
        "statistics.error_family", "CDDFuse's Evaluator", _COUNTED, direction=Direction.LOWER, both_constant="as defined",
    ),
    _of_pair(
        "q_sf", "Spatial frequency error (Zheng)", "(SF − SF_reference) / SF_reference, four directions",
        "Zheng, Essock, Hansen and Haun, Information Fusion 8(2) 2007, code metricZheng.m; facts C.3", "≥ −1",
        "statistics.zheng_spatial_frequency", _LIU, _NO_WEIGHT, direction=Direction.ZERO, fused_constant="−1",
    ),
)

_INFORMATION = (
    _of_pair(
        "mi", "Mutual information", "sum over the sources, 256 bins, bits, no stretching",
        "Qu, Zhang and Yan, Electronics Letters 38(7) 2002; facts C.2", "0…16",
        "information.mutual_information_family", _LTE, _COUNTED, both_constant="0", fused_constant="0",
    ),
    _of_pair(
        "mi_nats", "Mutual information in nats", "as mi, natural logarithm", "as mi", "0…11.1",
        "information.mutual_information_family", "CDDFuse's Evaluator", _COUNTED, both_constant="0", fused_constant="0",
    ),
    _of_pair(
        "nmi", "Normalised mutual information Q_MI", "stretched images; 2 Σ I(X; F) / (H(X) + H(F))",
        "Hossny, Nahavandi and Creighton, Electronics Letters 44(18) 2008, code metricMI.m; facts C.2", "0…2",
        "information.normalised_mutual_information", _LIU, _COUNTED,
        both_constant="0; undefined where the fused image is constant too", fused_constant="0",
        undefined="all three images are constant",
    ),
    _of_pair(
        "q_te", "Tsallis entropy metric (Nava)", "q = 0.43137, stretched; marginals swapped as shipped (a defect)",
        "Nava, Cristóbal and Escalante-Ramírez, IbPRIA 2007, code metricMI.m sw=3; facts C.2", "about 0.3…0.7",
        "information.tsallis_family", _LIU, _COUNTED,
    ),
    _of_pair(
        "q_te_correct", "Tsallis entropy metric by its definition", "as q_te with the marginals the right way round",
        "as q_te", "about 0.3…0.7", "information.tsallis_family", "closed form: equals q_te where both marginals agree",
        _COUNTED,
    ),
    _of_pair(
        "q_te_cvejic", "Tsallis mutual information (Cvejic)", "sum over the sources, q = 1.85, swapped as shipped",
        "Cvejic, Canagarajah and Bull, Electronics Letters 42(11) 2006, code metricMI.m sw=2; facts C.2", "unbounded",
        "information.tsallis_family", _LIU, _COUNTED,
    ),
    _of_pair(
        "fmi", "Feature mutual information, pixels", "3×3 windows of grey levels; mean over the sources", _FMI_SOURCE,
        "0…1", "feature_information.feature_mutual_information", "Haghighat's code ('none')", _LEFT_OUT,
    ),
    _of_pair(
        "fmi_gradient", "Feature mutual information, gradient", "horizontal central differences", _FMI_SOURCE, "0…1",
        "feature_information.feature_mutual_information", "Haghighat's code", _LEFT_OUT,
    ),
    _of_pair(
        "fmi_dct", "Feature mutual information, DCT", "orthonormal DCT of the whole image", _FMI_SOURCE, "0…1",
        "feature_information.feature_mutual_information", "Haghighat's code", _LEFT_OUT,
    ),
    _of_pair(
        "fmi_edge", "Feature mutual information, edges", "Sobel edge map of GNU Octave; Tang prints it as FMI_pixel",
        _FMI_SOURCE, "0…1", "feature_information.feature_mutual_information", "Haghighat's code in Octave", _LEFT_OUT,
        tolerance=1e-2, tolerance_reason="MATLAB's and Octave's edge detectors differ in threshold and thinning",
    ),
)

_STRUCTURE = (
    _of_pair(
        "ms_ssim", "Multi-scale SSIM", "5 scales, L = 255, mean over the sources",
        "Wang, Simoncelli and Bovik, Asilomar 2003; facts C.4", "0…1", "structure.ms_ssim", "package pytorch-msssim",
        _LEFT_OUT, smallest_side=161, tolerance=1e-5, tolerance_reason="the package keeps its window in single precision",
    ),
    _of_pair(
        "mef_ssim", "MEF-SSIM", "one scale, 11×11 blocks",
        "Ma, Zeng and Wang, IEEE TIP 24(11) 2015; facts C.4", "0…1", "exposure_structure.mef_ssim", _LTE, _NO_WEIGHT,
        smallest_side=11,
    ),
    _of_pair(
        "mef_ms_ssim", "MEF-SSIM, three scales", "product of powers; Tang prints it as MS_SSIM, which it is not",
        "Ma, Zeng and Wang, IEEE TIP 24(11) 2015; facts C.4", "0…1", "exposure_structure.mef_ms_ssim", _LTE, _NO_WEIGHT,
        smallest_side=44,
    ),
    _of_pair(
        "q_s", "Piella's Q_S", "Wang's SSIM (not 8×8 blocks) shared by local variance, plain mean", _PIELLA, "−1…1",
        "local_quality.piella_family", _LIU, _NO_WEIGHT, smallest_side=11,
    ),
    _of_pair(
        "q_w", "Piella's Q_W", "as q_s, weighted by the larger local variance", _PIELLA, "−1…1",
        "local_quality.piella_family", _LIU, _NO_WEIGHT, smallest_side=11,
    ),
    _of_pair(
        "q_w_edge", "Piella's Q_W of edge images", "q_w of Prewitt edge strengths, L still 255", _PIELLA, "−1…1",
        "local_quality.piella_family", _LIU, _NO_WEIGHT, smallest_side=11,
    ),
    _of_pair(
        "q_e", "Piella's Q_E", "q_w · q_w_edge, α = 1, by the paper; the toolbox stops with an error there", _PIELLA,
        "−1…1", "local_quality.piella_family", f"{_LIU}, composed of two runs", _NO_WEIGHT, smallest_side=11,
    ),
    _of_pair(
        "q_y", "Yang's Q_Y", "7×7 Gaussian, constants 2e-16, as shipped",
        "Yang, Zhang, Wang and Liu, ICEMI 2008, code metricYang.m; facts C.4", "0…1",
        "local_quality.yang_cvejic_family", _LIU, _UNDEFINED, smallest_side=7,
        undefined="a 7×7 window is flat in both sources, as in every medical pair with an empty background; "
        "see q_y_completed",
    ),
    _of_pair(
        "q_y_completed", "Yang's Q_Y, completed", "as q_y; a share of 0/0 is one half", "as q_y", "0…1",
        "local_quality.yang_cvejic_family", "equals q_y where that is defined", _NO_WEIGHT, smallest_side=7,
    ),
    _of_pair(
        "q_c", "Cvejic's Q_C", "as shipped: 1 where a source is anti-correlated (a defect)",
        "Cvejic, Loza, Bull and Canagarajah, IJSP 2(3) 2005, code metricCvejic.m sw=2; facts C.4", "0…1",
        "local_quality.yang_cvejic_family", _LIU, _UNDEFINED, smallest_side=7, fused_constant="undefined",
        undefined="a 7×7 window is flat in both sources or in the fused image; see q_c_completed",
    ),
    _of_pair(
        "q_c_completed", "Cvejic's Q_C, completed", "share clipped to 0…1 as in the paper; 0/0 is one half", "as q_c",
        "0…1", "local_quality.yang_cvejic_family", "closed form", _NO_WEIGHT, smallest_side=7,
    ),
    _of_pair(
        "viff", "Visual information fidelity for fusion (Han)", "per pixel the source with the smaller gain; noise 325.125",
        "Han, Cai, Cao and Xu, Information Fusion 14(2) 2013, code VIFF_Public.m; facts C.5", "0…about 1",
        "visual_information.viff", "Han's VIFF_Public.m", _UNDEFINED, fused_constant="about 0", smallest_side=41,
    ),
)

_EDGES_AND_PERCEPTION = (
    _of_pair(
        "n_abf", "Fusion artefacts N^AB/F", "Kumar's code with the arguments in the right order (Tang permutes them)",
        _KUMAR, "0…1", "gradient.edge_transfer", f"{_LTE} (analysis_nabf)", _NO_WEIGHT, direction=Direction.LOWER,
    ),
    _of_pair(
        "l_abf", "Lost edges L^AB/F", "as n_abf; the three add up to 1", _KUMAR, "0…1", "gradient.edge_transfer",
        "closed form: complement of n_abf and q_abf_kumar", _NO_WEIGHT, direction=Direction.LOWER,
    ),
    _of_pair(
        "q_abf_kumar", "Edge transfer Q^AB/F (Kumar's code)", "as n_abf; not comparable with q_abf", _KUMAR, "0…1",
        "gradient.edge_transfer", "closed form: complement of n_abf and l_abf", _NO_WEIGHT,
    ),
    _of_pair(
        "q_cb", "Chen and Blum's Q_CB", "contrast sensitivity filter, global mean of local quality",
        "Chen and Blum, Image and Vision Computing 27(10) 2009, code metricChenBlum.m; facts C.8", "0…1",
        "perceptual.q_cb", _LIU, _NO_WEIGHT, tolerance=1e-3,
        tolerance_reason="with an empty background, contrast far from the object is a ratio of rounding errors of the "
        "Fourier library; 1e-8 on the synthetic and TNO cases",
        fused_constant="0",
    ),
    _of_pair(
        "q_cv", "Chen and Varshney's Q_CV", "16×16 blocks, saliency of power 5",
        "Chen and Varshney, Information Fusion 8(2) 2007, code metricChen.m; facts C.8", "0…∞, tens to thousands",
        "perceptual.q_cv", _LIU, _NO_WEIGHT, direction=Direction.LOWER,
    ),
    _of_pair(
        "q_m", "Wang's wavelet metric Q_M", "Haar, two levels; the three bands are summed, hence up to 3",
        "Wang and Liu, ICIEA 2008, code metricPWW.m; facts C.8", "0…3", "perceptual.q_m", _LIU, _NO_WEIGHT,
        undefined="no source has a detail coefficient on one of the levels", smallest_side=4,
    ),
)

FIELD_METRICS: tuple[MetricSpec, ...] = (*_STATISTICS, *_INFORMATION, *_STRUCTURE, *_EDGES_AND_PERCEPTION)
