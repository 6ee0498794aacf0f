"""Which metrics a table shows, in which order, with how many digits, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upfusion_med.core import UsageError

#: Columns of the short tables: those of the UP-Fusion paper first.
HEADLINE = ("q_p", "vif", "q_abf", "ssim", "q_ncie", "mi", "scd", "vif_a", "vif_b")
#: Metrics that are also kept for each source.
PER_SOURCE = {"vif": ("vif_a", "vif_b"), "ssim": ("ssim_a", "ssim_b"), "ssim_l1": ("ssim_l1_a", "ssim_l1_b")}
#: What a reader of a medical picture sees (`reader_measures`), in the order of tables.
READER_KEYS = (
    "background_level", "zero_background_touched", "bright_kept", "hot_uptake_lost", "uptake_error",
    "uptake_error_hue", "uptake_order_kept", "darker_when_hotter", "hot_contrast", "tissue_level", "mri_edges_kept",
    "saturation_kept", "hue_turned", "ciede2000_chroma", "unexplained_structure", "unexplained_patch", "slice_flicker",
)  # fmt: skip
#: Differences of Q_NCIE show in the third and fourth digit (facts C.2); levels, degrees and per cent need few digits.
_DECIMALS = {
    "q_ncie": 4, "sd": 2, "sf": 2, "ag": 2, "ag_mean": 2, "psnr": 2, "psnr_unit_mse": 2, "mse_255": 1, "q_cv": 1,
    "mse": 5, "n_abf": 5, "background_level": 1, "zero_background_touched": 1, "bright_kept": 2, "hot_uptake_lost": 1,
    "uptake_error": 1, "tissue_level": 2, "mri_edges_kept": 2, "saturation_kept": 2, "hue_turned": 1,
    "ciede2000_chroma": 1, "uptake_error_hue": 1, "hot_contrast": 2, "slice_flicker": 2, "darker_when_hotter": 1,
    "unexplained_structure": 2, "unexplained_patch": 1,
}  # fmt: skip
_LABELS = {
    "vif_sum": "VIF sum", "ssim_l1": "SSIM (L=1)", "ssim_l1_a": "SSIM_a (L=1)", "ssim_l1_b": "SSIM_b (L=1)",
    "mi_nats": "MI (nats)", "q_abf_xydeas": "Q_G", "background_level": "background", "bright_kept": "bright CT kept",
    "zero_background_touched": "black touched, %", "hot_uptake_lost": "hot uptake lost, %",
    "uptake_error": "uptake error, %", "uptake_order_kept": "uptake order", "tissue_level": "MRI tissue level",
    "mri_edges_kept": "MRI edges kept", "saturation_kept": "saturation", "hue_turned": "hue turned, °",
    "uptake_error_hue": "uptake error by hue, %", "hot_contrast": "hot contrast", "slice_flicker": "flicker",
    "unexplained_structure": "unexplained, %", "unexplained_patch": "unexplained patch, px",
    "darker_when_hotter": "darker when hotter, %", "ciede2000_chroma": "ΔE00 without lightness",
    "q_abf_kumar": "Q_ABF (Kumar)",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A metric in a table.

    Attributes:
        key: Name in files.
        label: Name in headings.
        better: +1: higher is better; -1: lower; None: neither.
        best: The value that is best where neither end of the scale is (0 or 1), or None.
        decimals: Digits after the point.
        meaning: What it is, in one sentence.
    """

    key: str
    label: str
    better: int | None
    best: float | None
    decimals: int
    meaning: str

    @property
    def is_ranked(self) -> bool:
        """Whether values can be told better or worse."""
        return self.better is not None or self.best is not None

    @property
    def wish(self) -> str:
        """Which way is better, in words."""
        if self.best is not None:
            return f"{self.best:g} is best"
        return {1: "higher is better", -1: "lower is better", None: "no direction"}[self.better]

    def merit(self, value: float) -> float:
        """The value turned so that higher is better."""
        if self.best is not None:
            return -abs(value - self.best)
        return value * (self.better or 0)


def known_metrics(medical: bool = False) -> tuple[str, ...]:
    """Keys that can be asked for, in the order of the table of metrics; the reader's measures for medical pairs."""
    from upfusion_med.metrics import GROUPS

    return (*GROUPS["all"], *(READER_KEYS if medical else ()))


def parse_metrics(text: str | None, medical: bool = False) -> tuple[str, ...]:
    """The metrics of a comma-separated list; each two-source metric brings its two halves along.

    Args:
        text: Keys and groups (``paper``, ``default``, ``all``), or None: the headline columns, SSIM per source and with
            L = 1, and the reader's measures.
        medical: Whether the pairs are medical ones, to which the reader's measures apply.

    Raises:
        UsageError: an unknown key; the message lists the known ones.
    """
    from upfusion_med.metrics import GROUPS

    known = known_metrics(medical)
    groups = {**{g: GROUPS[g] for g in ("paper", "default")}, "all": known}
    wanted: Iterable[str] = (*HEADLINE, "ssim_l1", *(READER_KEYS if medical else ()))
    if text is not None:
        words = [w.strip().lower() for w in text.split(",") if w.strip()]
        wanted = [key for word in words for key in groups.get(word, (word,))]
    chosen: list[str] = []
    for key in wanted:
        if key not in known:
            raise UsageError(
                f"There is no metric '{key}' for these pairs; expected a list out of {', '.join((*groups, *known))}."
            )
        chosen += [k for k in (key, *PER_SOURCE.get(key, ())) if k not in chosen]
    if not chosen:
        raise UsageError(f"No metric was named; expected a list out of {', '.join((*groups, *known))}.")
    order = list(dict.fromkeys((*HEADLINE, *known)))
    return tuple(sorted(chosen, key=order.index))


def column(key: str) -> Column:
    """How a metric is shown."""
    from upfusion_med.metrics import Direction, metric_spec

    spec = metric_spec(key)
    better = {Direction.HIGHER: 1, Direction.LOWER: -1}.get(spec.direction)
    best = {Direction.ZERO: 0.0, Direction.ONE: 1.0}.get(spec.direction)
    stem, _, source = key.rpartition("_")
    capitals = f"{stem.upper()}_{source}" if source in ("a", "b") and stem else key.upper()
    label = _LABELS.get(key, capitals)
    return Column(key, label, better, best, _DECIMALS.get(key, 3), f"{spec.name}: {spec.convention}")
