"""Shape of the network ``upfusion``, its named sizes, and the switches of its ablation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from upfusion_med.core import UsageError

#: Width of a text code, that of CLIP ViT-B/32.
TEXT_WIDTH = 512


@dataclass(frozen=True)
class UPFusionConfig:
    """Shape of the network, and the switches of the ablation.

    Attributes:
        widths: Channels of the four levels (full, half, quarter and eighth resolution); multiples of 16 are fast.
        encoder_blocks: Residual blocks per level and branch.
        decoder_blocks: Residual blocks of decoder levels 1 to 3.
        backbone: timm name of the frozen semantic backbone.
        scpm: Semantic channel pruning on; off: a 1x1 convolution.
        gam: Affine modulation on; off: the pruned feature as it is.
        tcpm: Text-guided channel perturbation on; off: a 1x1 convolution of both branches.
        semantics: The backbone takes part in the pruning.
        scpm_attention: The pooled features take part in the pruning.
        tcpm_attention: The text chooses the channels of the perturbation; off: all are kept.
        scpm_keep: Share of channels kept by SCPM (paper: 70 %; of so few as 16 none can be spared).
        tcpm_keep: Share of channels kept by TCPM (paper: 50 %).
        explained: Structure that no local mixture of the sources explains is taken back from the output.
    """

    widths: tuple[int, int, int, int] = (16, 32, 64, 96)
    encoder_blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    decoder_blocks: tuple[int, int, int] = (2, 1, 1)
    backbone: str = "tf_efficientnet_lite0"
    scpm: bool = True
    gam: bool = True
    tcpm: bool = True
    semantics: bool = True
    scpm_attention: bool = True
    tcpm_attention: bool = True
    scpm_keep: float = 1.0
    tcpm_keep: float = 0.5
    explained: bool = True


SIZES = {
    "tiny": UPFusionConfig(),
    "base": UPFusionConfig(
        widths=(32, 64, 128, 192), encoder_blocks=(1, 2, 2, 2), decoder_blocks=(2, 2, 2), scpm_keep=0.7
    ),
}


def overridden(config: UPFusionConfig, overrides: Mapping[str, object]) -> UPFusionConfig:
    """The configuration with other values of some fields.

    Raises:
        UsageError: there is no such field, or the value is of another kind than the field's.
    """
    known = asdict(config)
    if strange := sorted(set(overrides) - set(known)):
        raise UsageError(f"A network has no field {', '.join(strange)}; expected some of {', '.join(known)}.")
    for name, value in overrides.items():
        if not _alike(value, known[name]):
            raise UsageError(f"The network's field '{name}' is {value!r}; expected a value like {known[name]!r}.")
    return replace(config, **{n: tuple(v) if isinstance(v, list) else v for n, v in overrides.items()})  # type: ignore


def _alike(value: object, usual: object) -> bool:
    if isinstance(usual, tuple):
        if not isinstance(value, (tuple, list)) or len(value) != len(usual):
            return False
        return all(_alike(v, u) for v, u in zip(value, usual, strict=True))
    if isinstance(usual, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(usual)
