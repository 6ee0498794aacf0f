"""Networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upfusion_med.core import InputError, UsageError, package_failure

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Entry:
    """Where a network comes from.

    Attributes:
        factory: ``module:function``; the function returns an ``nn.Module``.
        settings: Its keyword arguments.
    """

    factory: str
    settings: Mapping[str, Any] = field(default_factory=dict)


NETWORKS = {
    "upfusion-tiny": Entry("upfusion_med.networks.upfusion:create_size", {"size": "tiny"}),
    "upfusion-base": Entry("upfusion_med.networks.upfusion:create_size", {"size": "base"}),
    "upfusion-paper": Entry("upfusion_med.networks.upfusion_paper:create_paper"),
}
#: Tensors of a weights file whose names begin so are text codes of named prompts.
CODE_PREFIX = "text_code."
#: Short names, and the networks they stand for.
ALIASES = {"upfusion": "upfusion-tiny"}


def names() -> tuple[str, ...]:
    """Names of the networks that ``create`` knows, without aliases."""
    return tuple(NETWORKS)


def canonical_name(name: str) -> str:
    """The network's own name for a name or an alias.

    Raises:
        UsageError: there is no such network.
    """
    own = ALIASES.get(name, name)
    if own not in NETWORKS:
        raise UsageError(f"There is no network '{name}'; expected one of {', '.join([*ALIASES, *NETWORKS])}.")
    return own


def create(name: str, weights: Mapping[str, Tensor] | Path | str | None = None, **overrides: Any) -> nn.Module:
    """Make a network.

    Args:
        name: One of ``names()``, or an alias.
        weights: A state dict, the path of a ``.safetensors`` file, or None for random weights.
        **overrides: Settings of the network, in place of the defaults of its name.

    Returns:
        The network, in training mode if it has random weights and in evaluation mode otherwise.

    Raises:
        UsageError: there is no such network or setting.
        InputError: the file is missing or unreadable, or the weights are not those of this network.
    """
    entry = NETWORKS[canonical_name(name)]
    module, function = entry.factory.split(":")
    network: nn.Module = getattr(import_module(module), function)(**{**entry.settings, **overrides})
    if weights is None:
        return network
    from upfusion_med.networks.state import load_strictly

    if isinstance(weights, Mapping):
        load_strictly(network, weights, f"The state dict for {name}")
    else:
        load_strictly(network, read_weights(Path(weights)), f"{weights} (as weights of {name})")
    return network.eval()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a ``.safetensors`` file, without the text codes that may lie beside them.

    Raises:
        InputError: the file is missing, is not a safetensors file, or is truncated.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise package_failure(error, "safetensors", "torch", "read network weights") from error
    if not path.is_file():
        raise InputError(f"There is no file {path}; expected network weights in a .safetensors file.")
    try:
        return {name: tensor for name, tensor in load_file(path).items() if not name.startswith(CODE_PREFIX)}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as a safetensors file ({error}); it is of another format or truncated. "
            "A .pth checkpoint is turned into one by: upfusion weights convert"
        ) from error
