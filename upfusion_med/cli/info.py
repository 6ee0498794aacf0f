"""``upfusion info``: what is installed, and what the names are."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from upfusion_med import __version__

PACKAGES = (
    "numpy", "scipy", "nibabel", "pydicom", "SimpleITK", "torch", "torchvision", "timm", "safetensors",
    "nilearn", "open_clip_torch", "onnxruntime", "monai",
)  # fmt: skip


def info() -> None:
    """Show versions, devices, models, prompts and colour tables."""
    from rich.console import Console
    from rich.table import Table

    from upfusion_med.transforms.luts import get_lut, lut_names

    console = Console()
    table = Table(title=f"upfusion-med {__version__}", show_header=False)
    for package in PACKAGES:
        try:
            table.add_row(package, version(package))
        except PackageNotFoundError:
            table.add_row(package, "[dim]not installed[/dim]")
    console.print(table)
    _models(console)
    luts = Table("name", "luminance", "source", title="Colour tables (--lut)")
    for name in lut_names():
        lut = get_lut(name)
        luts.add_row(name, "rises with uptake" if lut.luma_is_monotone else "[yellow]not monotone[/yellow]", lut.source)
    console.print(luts)
    console.print("Not for diagnostic use.", style="bold")


def _models(console: object) -> None:
    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    try:
        import torch
    except ImportError:
        console.print("[yellow]torch is not installed: no network can run. pip install 'upfusion-med[torch]'[/yellow]")
        return
    from upfusion_med.networks import names
    from upfusion_med.weights import SHIPPED, load_checkpoint

    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA device"
    console.print(f"Devices: cpu ({torch.get_num_threads()} threads), {cuda}")
    table = Table("model", "weights", "text encoder", "prompts", title="Models (--model)")
    for name in names():
        if name in SHIPPED:
            checkpoint = load_checkpoint(name)
            prompts = ", ".join(checkpoint.prompts.codes)
            table.add_row(name, f"shipped, sha256 {checkpoint.sha256[:12]}", checkpoint.prompts.encoder, prompts)
        else:
            table.add_row(name, "bring your own file", "", "")
    console.print(table)
