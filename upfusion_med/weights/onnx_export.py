"""Write a network as two ONNX graphs, for machines without PyTorch.

``decide.onnx`` turns representative slices into the volume's statistics, ``fuse.onnx`` fuses slices under them;
``model.json`` holds the prompts, their codes and where the weights came from. See ``inference.backends.onnx``.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upfusion_med.core import UsageError, package_failure
from upfusion_med.io import folder_contents, moved_into
from upfusion_med.networks.configuration import TEXT_WIDTH
from upfusion_med.networks.scope import RecordingScope, VolumeScope
from upfusion_med.networks.upfusion import UPFusion
from upfusion_med.weights.checkpoint import Checkpoint
from upfusion_med.weights.exported_model import CARD, DECIDE, FILES, FORMAT_VERSION, FUSE

OPSET = 17


class _Decide(nn.Module):
    def __init__(self, network: UPFusion) -> None:
        super().__init__()
        self.network = network

    def forward(self, functional: Tensor, mri: Tensor) -> tuple[Tensor, ...]:
        scope = RecordingScope()
        # The text takes no part in the statistics.
        self.network.fuse(functional, mri, functional.new_zeros(1, TEXT_WIDTH), scope)
        return tuple(scope.statistics.values())


class _Fuse(nn.Module):
    def __init__(self, network: UPFusion, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, functional: Tensor, mri: Tensor, code: Tensor, *statistics: Tensor) -> Tensor:
        scope = VolumeScope(dict(zip(self.names, statistics, strict=True)))
        return self.network.fuse(functional, mri, F.normalize(code, dim=1), scope)


def export_onnx(checkpoint: Checkpoint, folder: Path, *, force: bool = False) -> list[Path]:
    """Export a checkpoint of the ``upfusion`` family.

    Args:
        checkpoint: The weights.
        folder: Where to; made if it does not exist.
        force: Replace an exported model that lies there.

    Returns:
        The written files.

    Raises:
        UsageError: another family of networks, or the folder holds a model that is not to be replaced, or other files.
        RuntimeFailure: the folder cannot be written.
        MissingPackageError: the package ``onnx`` is not installed.
    """
    try:
        import onnx  # noqa: F401 (torch's exporter needs it and says so less clearly)
    except ImportError as error:
        raise package_failure(error, "onnx", "export", "export a network to ONNX") from error
    network = checkpoint.network()
    if not isinstance(network, UPFusion):
        raise UsageError(f"The network {checkpoint.model} cannot be exported; expected one of the upfusion family.")
    replaced = _replaced(folder, force)
    with moved_into(folder, replaced, last=CARD) as new:
        with warnings.catch_warnings():
            # The branches that the tracer warns of depend on the network's shape, which is fixed here.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # the exporter, of its own slices
            names = _export_graphs(network, new)
        prompts = checkpoint.prompts
        card = {
            "format_version": FORMAT_VERSION,
            "model": checkpoint.model,
            "weights_sha256": checkpoint.sha256,
            "statistics": names,
            "text_encoder": prompts.encoder,
            "prompts": dict(prompts.sentences),
            "codes": {name: [float(v) for v in code] for name, code in prompts.codes.items()},
        }
        (new / CARD).write_text(json.dumps(card))
    return [folder / name for name in sorted(FILES)]


def _replaced(folder: Path, force: bool) -> list[Path]:
    """The files of an exported model in a folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; expected a folder that is empty or does not exist.")
    found = folder_contents(folder) if folder.exists() else []
    other = [path.name for path in found if path.name not in FILES or not path.is_file()]
    if other:
        raise UsageError(f"{folder} exists and holds {other[0]}, which is no part of a model; choose another place.")
    if found and not force:
        raise UsageError(f"{folder} exists and holds a model; choose another place or add --force.")
    return found


def _export_graphs(network: UPFusion, folder: Path) -> list[str]:
    functional, mri = torch.rand(2, 3, 1, 64, 48)
    code = torch.randn(1, TEXT_WIDTH)
    scope = RecordingScope()
    with torch.no_grad():
        network.fuse(functional, mri, F.normalize(code, dim=1), scope)
    names = list(scope.statistics)
    size = {0: "slices", 2: "height", 3: "width"}
    axes = {"functional": size, "mri": size}
    torch.onnx.export(
        _Decide(network).eval(), (functional, mri), str(folder / DECIDE),
        input_names=["functional", "mri"], output_names=names, dynamic_axes=axes, opset_version=OPSET,
        dynamo=False,
    )  # fmt: skip
    torch.onnx.export(
        _Fuse(network, names).eval(), (functional, mri, code, *scope.statistics.values()), str(folder / FUSE),
        input_names=["functional", "mri", "code", *names], output_names=["fused"],
        dynamic_axes={**axes, "fused": size}, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return names
