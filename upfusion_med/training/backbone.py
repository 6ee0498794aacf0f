"""Pretrained weights for a network's frozen semantic backbone."""

from __future__ import annotations

import re
from pathlib import Path

from torch import nn

from upfusion_med.core import InputError

#: Where networks of this package keep their backbone: a timm network, or torchvision's ConvNeXt in the published one.
_PLACES = ("pruning.backbone.features", "channel_select.convnext.0")


def backbone_of(network: nn.Module) -> nn.Module | None:
    """The semantic backbone, or None where a network has none."""
    modules = dict(network.named_modules())
    return next((modules[place] for place in _PLACES if place in modules), None)


def load_backbone(network: nn.Module, path: Path) -> None:
    """Put pretrained weights into the network's semantic backbone; classifier layers of the file are not needed.

    Raises:
        InputError: the file cannot be read, or lacks tensors of the backbone.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    features = backbone_of(network)
    if features is None:
        return
    try:
        tensors = {k.removeprefix("features."): v.float() for k, v in load_file(path).items()}
    except FileNotFoundError as error:
        raise InputError(f"There are no backbone weights {path}; docs/training.md says how they are made.") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"The backbone weights {path} cannot be read ({error}); expected safetensors.") from error
    wanted = features.state_dict()
    # timm flattens the first level of some families when it cuts off the classifier: stages.0 becomes stages_0.
    have = {re.sub(r"^(\w+)\.(\d+)\.", r"\1_\2.", k): v for k, v in tensors.items()} | tensors
    missing = sorted(set(wanted) - set(have) - {k for k in wanted if k.endswith("num_batches_tracked")})
    if missing:
        raise InputError(f"{path.name} lacks {len(missing)} tensors of the backbone: {', '.join(missing[:10])}.")
    features.load_state_dict({k: have.get(k, v) for k, v in wanted.items()})
