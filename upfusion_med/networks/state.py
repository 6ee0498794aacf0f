"""State dicts: which names and shapes a network has, and whether some weights are its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from upfusion_med.core import InputError

#: So many names of a kind are spelled out in an error message.
NAMES_IN_MESSAGE = 10


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def listed(items: Iterable[str]) -> str:
    """Up to ten items, and how many more there are."""
    everything = list(items)
    rest = len(everything) - NAMES_IN_MESSAGE
    return ", ".join(everything[:NAMES_IN_MESSAGE]) + (f" and {rest} more" if rest > 0 else "")


def check_state(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Refuse weights that are not, name by name and shape by shape, those of a network.

    Args:
        expected: Shapes of the network's tensors.
        found: Shapes of the weights.
        source: What the weights are, as the beginning of a sentence.

    Raises:
        InputError: a tensor is missing, is not the network's, or has another shape; up to ten of each are named.
    """
    missing = [name for name in expected if name not in found]
    foreign = [name for name in found if name not in expected]
    reshaped = [
        f"{name} {list(found[name])} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    problems = []
    if missing:
        problems.append(f"{len(missing)} tensors are missing: {listed(missing)}")
    if foreign:
        problems.append(f"{len(foreign)} tensors are not the network's: {listed(foreign)}")
    if reshaped:
        problems.append(f"{len(reshaped)} tensors have another shape: {listed(reshaped)}")
    if problems:
        raise InputError(
            f"{source} does not fit: {'; '.join(problems)}. Expected the {len(expected)} tensors of this network; "
            "check that the weights and the name of the network belong together."
        )


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy weights into a network, after ``check_state``.

    Args:
        network: Any network.
        state: Its state dict, complete and without anything else.
        source: What the weights are, as the beginning of a sentence.

    Raises:
        InputError: the weights are not those of the network.
    """
    check_state(shapes_of(network.state_dict()), shapes_of(state), source)
    network.load_state_dict(state)
