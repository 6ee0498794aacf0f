"""The authors' checkpoint becomes a weights file, or is refused with the reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from typer.testing import CliRunner

from upfusion_med.cli import weights as command
from upfusion_med.core import InputError, RuntimeFailure, UsageError
from upfusion_med.networks import create
from upfusion_med.weights import conversion
from upfusion_med.weights.conversion import convert_checkpoint

NARROW: dict[str, Any] = {
    "dim": 8,
    "blocks": (1, 1, 1, 1),
    "refinement_blocks": 1,
    "convnext_widths": (4, 8, 8, 16),
    "convnext_blocks": (1, 1, 1, 1),
}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return create("upfusion-paper", **NARROW)


@pytest.fixture
def state(network) -> dict[str, Tensor]:
    return dict(network.state_dict())


def released(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """A state dict in the wrapping of the released checkpoint, with a dead encoder."""
    dead = {
        name.replace("_vi.", "_gt."): torch.ones_like(value)
        for name, value in state.items()
        if name.startswith(("encoder_level", "latent_vi")) and "_vi." in name
    }
    return {"AWF": {f"module.{name}": value for name, value in {**state, **dead}.items()}}


def convert(checkpoint: object, folder: Path, **options: Any) -> conversion.ConversionReport:
    source = folder / "checkpoint.pth"
    torch.save(checkpoint, source)
    return convert_checkpoint(source, folder / "out.safetensors", overrides=NARROW, **options)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_released_checkpoint_is_unwrapped_stripped_and_freed_of_the_dead_encoder(state, tmp_path):
    report = convert(released(state), tmp_path)
    assert (report.wrapper, report.prefix, report.ignored_entries) == ("AWF", "module.", ())
    blocks = [name for name in state if "_vi." in name and name.startswith(("encoder_level", "latent_vi"))]
    assert report.dropped_tensors == len(blocks) == 44
    assert report.dropped_parameters == sum(state[name].numel() for name in blocks)
    assert report.kept_tensors == len(state)
    assert report.kept_parameters == sum(value.numel() for value in state.values())
    assert report.alpha == 1.0
    assert report.sha256 == hashlib.sha256((tmp_path / "out.safetensors").read_bytes()).hexdigest()
    assert files_in(tmp_path) == {"checkpoint.pth", "out.safetensors"}


def test_the_converted_network_computes_what_the_original_does(network, state, tmp_path):
    convert(released(state), tmp_path)
    copy = create("upfusion-paper", weights=tmp_path / "out.safetensors", **NARROW)
    first, second, text = torch.rand(1, 1, 24, 32), torch.rand(1, 1, 24, 32), torch.randn(1, 512)
    with torch.no_grad():
        assert torch.equal(copy(first, second, text), network(first, second, text))


def test_the_file_says_what_it_is_and_which_text_encoder_it_needs(state, tmp_path):
    convert(released(state), tmp_path)
    with safe_open(tmp_path / "out.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata["model"] == metadata["family"] == "upfusion-paper"
    assert metadata["text_encoder"] == "clip_vit_b_32"
    assert metadata["source_sha256"] == hashlib.sha256((tmp_path / "checkpoint.pth").read_bytes()).hexdigest()
    assert len(json.loads(metadata["prompts"])["universal"]) == 244


def test_the_package_reads_the_file_and_refuses_codes_of_another_encoder(state, tmp_path):
    from upfusion_med.weights import TextCode, read_checkpoint

    convert(released(state), tmp_path)
    checkpoint = read_checkpoint(tmp_path / "out.safetensors")
    assert checkpoint.network().config.dim == 8
    with pytest.raises(UsageError, match="minilm_512"):
        checkpoint.prompts.code(TextCode(torch.zeros(512).numpy(), "minilm_512"))


@pytest.mark.parametrize("wrapper", [None, "UPFusion", "state_dict", "AWF"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_other_wrappings_are_understood(state, tmp_path, wrapper, prefix):
    named = {prefix + name: value for name, value in state.items()}
    report = convert({wrapper: named, "epoch": 7} if wrapper else named, tmp_path)
    assert (report.wrapper, report.prefix, report.dropped_tensors) == (wrapper, prefix, 0)
    assert report.ignored_entries == (("epoch",) if wrapper else ())


def test_half_and_shared_tensors_become_float32_with_memory_of_their_own(state, tmp_path):
    twin = "encoder_level1_ir.0.norm1.body.weight"
    state[twin] = state["encoder_level1_vi.0.norm1.body.weight"]
    state["output.weight"] = state["output.weight"].half()
    convert(state, tmp_path)
    with safe_open(tmp_path / "out.safetensors", framework="pt") as file:
        assert file.get_tensor(twin).dtype == file.get_tensor("output.weight").dtype == torch.float32
        assert torch.equal(file.get_tensor("output.weight"), state["output.weight"].float())


def test_a_missing_tensor_is_named(state, tmp_path):
    del state["GEO_ir.affine_fc.2.bias"]
    with pytest.raises(InputError, match=r"1 tensors are missing: GEO_ir\.affine_fc\.2\.bias"):
        convert(released(state), tmp_path)
    assert files_in(tmp_path) == {"checkpoint.pth"}


def test_a_foreign_tensor_is_named(state, tmp_path):
    state["encoder_level4_gt.0.norm1.body.weight"] = torch.zeros(3)
    with pytest.raises(InputError, match=r"not the network's: encoder_level4_gt\.0\.norm1\.body\.weight"):
        convert(released(state), tmp_path)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(state, tmp_path):
    state["output.weight"] = torch.zeros(3, 16, 3, 3)
    with pytest.raises(InputError, match=r"output\.weight \[3, 16, 3, 3\] instead of \[1, 16, 3, 3\]"):
        convert(released(state), tmp_path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((1, 16, 3, 3), float("nan")), "not finite in 1 tensors: output.weight"),
        (torch.zeros(1, 16, 3, 3, dtype=torch.int64), r"not real numbers: output.weight \(torch.int64\)"),
        ("text", "1 entries that are not tensors: module.output.weight"),
    ],
)
def test_values_that_are_no_weights_are_refused(state, tmp_path, value, message):
    checkpoint = released(state)
    checkpoint["AWF"]["module.output.weight"] = value
    with pytest.raises(InputError, match=message):
        convert(checkpoint, tmp_path)
    assert files_in(tmp_path) == {"checkpoint.pth"}


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (torch.zeros(3), "holds a Tensor"),
        ([1, 2], "holds a list"),
        ({}, "holds no tensors"),
        ({"AWF": {}}, "entry AWF, holds no tensors"),
        ({"AWF": 3}, "entry AWF, holds no tensors"),
        ({"AWF": {}, "UPFusion": {}}, "AWF and UPFusion"),
        ({"epoch": 3, "optimizer": {}}, "2 entries that are not tensors: epoch, optimizer"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path, checkpoint, message):
    with pytest.raises(InputError, match=message):
        convert(checkpoint, tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(state, tmp_path, share, zipped):
    source = tmp_path / "checkpoint.pth"
    torch.save(released(state), source, _use_new_zipfile_serialization=zipped)
    content = source.read_bytes()
    source.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"checkpoint\.pth cannot be read as a checkpoint"):
        convert_checkpoint(source, tmp_path / "out.safetensors", overrides=NARROW)
    assert files_in(tmp_path) == {"checkpoint.pth"}


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(100), b"<html>quota exceeded</html>"])
def test_a_file_of_another_format_is_refused(tmp_path, content):
    source = tmp_path / "checkpoint.pth"
    source.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        convert_checkpoint(source, tmp_path / "out.safetensors", overrides=NARROW)


class Intruder:
    """An object whose unpickling would leave a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_code_in_a_checkpoint_is_not_run(state, tmp_path):
    trace = tmp_path / "trace"
    with pytest.raises(InputError, match="other objects than tensors"):
        convert({**released(state), "extra": Intruder(trace)}, tmp_path)
    assert not trace.exists()


def test_an_output_in_the_way_is_replaced_only_on_demand(state, tmp_path):
    destination = tmp_path / "out.safetensors"
    destination.write_text("precious")
    with pytest.raises(UsageError, match="--force"):
        convert(state, tmp_path)
    assert destination.read_text() == "precious"
    report = convert(state, tmp_path, force=True)
    assert report.sha256 == hashlib.sha256(destination.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("out.pth", "ends in .safetensors"),
        ("absent/out.safetensors", "absent does not exist"),
        ("folder.safetensors", "is a folder"),
    ],
)
def test_an_impossible_output_is_refused_before_the_checkpoint_is_read(tmp_path, output, said):
    (tmp_path / "folder.safetensors").mkdir()
    source = tmp_path / "checkpoint.pth"
    source.write_bytes(b"would not be readable")
    with pytest.raises(UsageError, match=said):
        convert_checkpoint(source, tmp_path / output, overrides=NARROW, force=True)


def test_the_checkpoint_itself_is_never_the_output(tmp_path):
    source = tmp_path / "checkpoint.safetensors"
    source.write_bytes(b"anything")
    with pytest.raises(UsageError, match="itself"):
        convert_checkpoint(source, source, overrides=NARROW, force=True)


def test_a_missing_checkpoint_and_a_network_without_checkpoints_are_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        convert_checkpoint(tmp_path / "absent.pth", tmp_path / "out.safetensors", overrides=NARROW)
    with pytest.raises(UsageError, match="upfusion-tiny"):
        convert_checkpoint(tmp_path / "absent.pth", tmp_path / "out.safetensors", model="upfusion-tiny")


def test_a_failure_while_writing_leaves_nothing_behind(state, tmp_path, monkeypatch):
    def full_disk(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(RuntimeFailure, match="No space left"):
        convert(state, tmp_path)
    assert files_in(tmp_path) == {"checkpoint.pth"}


def test_the_command_prints_what_was_done(state, tmp_path, monkeypatch):
    narrow_shapes = conversion.expected_shapes("upfusion-paper", NARROW)
    monkeypatch.setattr(conversion, "expected_shapes", lambda model, overrides: narrow_shapes)
    state["channel_select.alpha"] = torch.tensor(0.5)
    torch.save(released(state), tmp_path / "authors.pth")
    call = ["convert", str(tmp_path / "authors.pth"), "-o", str(tmp_path / "out.safetensors")]
    done = CliRunner().invoke(command.app, call, env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    parameters = sum(value.numel() for value in state.values())
    for part in (
        "AWF",
        "module.",
        "44 tensors",
        f"{len(state)} tensors, {parameters:,} parameters",
        "0.5; the released",
    ):
        assert part in done.stdout
    assert hashlib.sha256((tmp_path / "out.safetensors").read_bytes()).hexdigest() in done.stdout
    again = CliRunner().invoke(command.app, call)
    assert isinstance(again.exception, UsageError)
    assert CliRunner().invoke(command.app, [*call, "--force"]).exit_code == 0


@pytest.mark.slow
def test_a_checkpoint_of_the_released_size_is_converted(tmp_path):
    with torch.device("meta"):
        full = create("upfusion-paper").state_dict()
    thin = {name: torch.ones(()).expand(value.shape) for name, value in full.items()}
    torch.save(released(thin), tmp_path / "authors.pth")
    report = convert_checkpoint(tmp_path / "authors.pth", tmp_path / "out.safetensors")
    assert (report.dropped_tensors, report.dropped_parameters) == (264, 17_940_908)
    assert (report.kept_tensors, report.kept_parameters) == (1222, 136_874_140)
    assert (tmp_path / "out.safetensors").stat().st_size > 4 * 136_874_140
