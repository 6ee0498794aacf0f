"""The five metrics of the UP-Fusion paper, in the conventions its tables point to, with their per-source parts."""

from __future__ import annotations

from upfusion_med.metrics.spec import ConstantSource, Direction, Inputs, MetricSpec

_VIF_SOURCE = "Sheikh and Bovik, IEEE TIP 15(2) 2006, pixel-domain code vifp_mscale.m; facts C.5"
_SSIM_SOURCE = "Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4) 2004, eq. 13, code ssim_index.m; facts C.4"
_LTE_VIF = "Tang's toolbox (Sheikh's vifp_mscale.m)"
_LIU = "Liu's toolbox imageFusionMetrics"


def _vif(key: str, name: str, convention: str, constant: ConstantSource, judged: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(
        key=key,
        name=name,
        convention=convention,
        source=_VIF_SOURCE,
        value_range="0…1, above 1 for a contrast-enhanced copy" if key != "vif_sum" else "0…2",
        direction=Direction.HIGHER,
        inputs=Inputs.SOURCES,
        function="visual_information.vif_family",
        reference=_LTE_VIF,
        constant_source=constant,
        fused_constant="0",
        fused_is_source="1 for that source",
        judged=judged,
        smallest_side=41,
    )


def _ssim(key: str, name: str, convention: str, judged: tuple[str, ...], reference: str) -> MetricSpec:
    mean = len(judged) == 2
    return MetricSpec(
        key=key,
        name=name,
        convention=convention,
        source=_SSIM_SOURCE,
        value_range="−1…1",
        direction=Direction.HIGHER,
        inputs=Inputs.SOURCES,
        function="structure.ssim_family",
        reference=reference,
        constant_source=ConstantSource.LEFT_OUT if mean else ConstantSource.COUNTED,
        both_constant="undefined" if mean else "as defined",
        fused_is_source="1 for that source",
        judged=judged,
        smallest_side=11,
    )


PAPER_METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        key="q_ncie",
        name="Nonlinear correlation information entropy",
        convention="images stretched to 256 levels, entropies of histograms (not Pearson), base 256",
        source="Wang, Shen and Zhang, Physica D 200 (2005), eq. 10; code metricWang.m; facts C.2",
        value_range="0.80188 (nothing shared)…1; real pairs 0.803…0.83",
        direction=Direction.HIGHER,
        inputs=Inputs.SOURCES,
        function="information.q_ncie",
        reference=_LIU,
        constant_source=ConstantSource.COUNTED,
        both_constant="0.80188 where the fused image is constant too; shared information is 0",
    ),
    MetricSpec(
        key="q_p",
        name="Phase congruency metric of Zhao",
        convention="4 scales, 6 orientations; sliding 11×11 Gaussian, zero padding; product of three correlations; "
        "feature maps in single precision after a spectrum in double (costs 1e-7)",
        source="Zhao, Laganière and Liu, IJICIC 3(6A) 2007; code metricZhao.m with Kovesi's phasecong2; facts C.7",
        value_range="0…about 1; fusion methods 0.2…0.6. Rewards emptiness and copies of one source",
        direction=Direction.HIGHER,
        inputs=Inputs.SOURCES,
        function="phase_congruency.q_p",
        reference=_LIU,
        constant_source=ConstantSource.NO_WEIGHT,
        fused_constant="about 1 where features vanish (0/0 counts as 1); never use it alone",
        undefined="no pixel of a source has phase congruency above 0.1",
    ),
    _vif(
        "vif",
        "Visual information fidelity, pixel domain (VIFp)",
        "mean over the sources; noise variance 2; 4 scales, windows 17, 9, 5, 3; one ratio at the end",
        ConstantSource.LEFT_OUT,
        ("a", "b"),
    ),
    _vif(
        "vif_sum", "VIFp, sum", "sum over the sources, what most toolboxes print", ConstantSource.UNDEFINED, ("a", "b")
    ),
    _vif("vif_a", "VIFp of source a", "of the visible or functional image alone", ConstantSource.UNDEFINED, ("a",)),
    _vif("vif_b", "VIFp of source b", "of the infrared image or the MRI alone", ConstantSource.UNDEFINED, ("b",)),
    _ssim(
        "ssim",
        "Structural similarity",
        "mean over the sources; 11×11 Gaussian, σ 1.5, no padding; L = 255",
        ("a", "b"),
        f"{_LIU} (ssim_index)",
    ),
    _ssim("ssim_a", "SSIM of source a", "as ssim, source a alone", ("a",), "mean of both checked as ssim"),
    _ssim("ssim_b", "SSIM of source b", "as ssim, source b alone", ("b",), "mean of both checked as ssim"),
    _ssim(
        "ssim_l1",
        "Structural similarity with L = 1",
        "as ssim but L = 1 on 0..255 data: above all a measure of a background that is exactly 0",
        ("a", "b"),
        f"{_LIU} (ssim_index with L = 1)",
    ),
    _ssim("ssim_l1_a", "SSIM with L = 1 of source a", "as ssim_l1, source a alone", ("a",), "mean checked as ssim_l1"),
    _ssim("ssim_l1_b", "SSIM with L = 1 of source b", "as ssim_l1, source b alone", ("b",), "mean checked as ssim_l1"),
    MetricSpec(
        key="q_abf",
        name="Edge transfer Q^AB/F (Hong's code)",
        convention="Sobel, zero padding; ratio of sums weighted by edge strength; G = g where strengths are equal",
        source="Xydeas and Petrović, Electronics Letters 36(4) 2000, code of G. Hong; facts C.6",
        value_range="0…1; identical images 0.97533",
        direction=Direction.HIGHER,
        inputs=Inputs.SOURCES,
        function="gradient.q_abf",
        reference="Tang's toolbox (analysis_Qabf)",
        constant_source=ConstantSource.NO_WEIGHT,
        fused_constant="about 0",
        undefined="no source has an edge",
    ),
    MetricSpec(
        key="q_abf_xydeas",
        name="Edge transfer Q_G (Liu's code)",
        convention="Sobel, zero padding; plain mean over pixels, so an empty background counts 0.9867",
        source="Xydeas and Petrović, Electronics Letters 36(4) 2000, code metricXydeas.m; facts C.6",
        value_range="0…0.9867; not comparable with q_abf",
        direction=Direction.HIGHER,
        inputs=Inputs.SOURCES,
        function="gradient.q_abf_xydeas",
        reference=_LIU,
        constant_source=ConstantSource.NO_WEIGHT,
    ),
)
