"""``upfusion inspect``: what a file or a study holds, before anything is done with it."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from upfusion_med.io import StudySummary


def inspect(
    path: Annotated[str, typer.Argument(help="Image file, DICOM file, DICOM folder or zip archive.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the series of a DICOM study, or the facts of a volume or picture file."""
    from upfusion_med.io import FileKind, describe_kind, describe_study

    if describe_kind(path) is FileKind.DICOM:
        study = describe_study(path)
        facts: dict[str, Any] = {"kind": FileKind.DICOM.value, **asdict(study)}
    else:
        study, facts = None, _file_facts(path)
    if json:
        print(json_module.dumps(facts, indent=2))
        return
    from rich.console import Console

    console = Console()
    if study is not None:
        _print_study(console, study)
    else:
        _print_facts(console, facts)


def _file_facts(path: str) -> dict[str, Any]:
    import numpy as np

    from upfusion_med.io import FrameChoiceError, describe_kind, load_volume

    frames = 1
    try:
        volume = load_volume(path)
    except FrameChoiceError as error:
        volume, frames = load_volume(path, frame=0), error.count
    finite = volume.array[np.isfinite(volume.array)]
    return {
        "kind": describe_kind(path).value,
        "size": list(volume.geometry.shape),
        "frames": frames,
        "colour": volume.is_rgb,
        "spacing_mm": [round(v, 6) for v in volume.geometry.spacing_mm],
        "axis_codes": "".join(volume.geometry.axis_codes),
        "affine_ras": volume.affine.tolist(),
        "units": volume.units,
        "minimum": float(finite.min()) if finite.size else None,
        "maximum": float(finite.max()) if finite.size else None,
        "mean": float(finite.mean(dtype=np.float64)) if finite.size else None,
        "not_finite": int(volume.array.size - finite.size),
        "warnings": list(volume.notes.get("warnings", ())),
    }


def _print_facts(console: Console, facts: dict[str, Any]) -> None:
    from rich.table import Table

    from upfusion_med.io import FileKind

    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    is_picture = facts["kind"] == FileKind.PICTURE.value
    rows = {
        "format": facts["kind"],
        "size": " x ".join(map(str, facts["size"][: 2 if is_picture else 3])) + (" RGB" if facts["colour"] else ""),
        "frames": str(facts["frames"]) if facts["frames"] > 1 else "",
        # those of a picture are made up
        "spacing": "" if is_picture else _millimetres(facts["spacing_mm"]),
        "axes grow to": "" if is_picture else facts["axis_codes"],
        "units": facts["units"],
        "values": _values(facts),
        "not finite": str(facts["not_finite"]) if facts["not_finite"] else "",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    for warning in facts["warnings"]:
        table.add_row("warning", warning)
    console.print(table)


def _print_study(console: Console, study: StudySummary) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{len(study.series)} volume{'s' if len(study.series) != 1 else ''}", title_justify="left")
    for name in ("key", "type", "no.", "description", "size", "spacing mm", "plane", "frame of ref.", "units", "SUV"):
        table.add_column(name, overflow="fold")
    for series in study.series:
        size = "x".join(map(str, series.size)) if series.size else f"{series.images} images"
        frames = f" x {series.frames} frames" if series.frames > 1 else ""
        description = escape(", ".join(text for text in (series.description, series.part) if text))
        suv = ("yes" if series.is_suv_possible else "no") if series.suv else ""
        spacing = "x".join(f"{v:.3g}" for v in series.spacing_mm) if series.spacing_mm else ""
        plane = series.orientation or "no volume"
        number = "" if series.number is None else str(series.number)
        place = series.frame_of_reference
        table.add_row(
            series.key, series.modality, number, description, size + frames, spacing, plane, place, series.units, suv
        )
    console.print(table)
    for series in study.series:
        if series.suv:
            console.print(f"[bold]{series.key}[/bold] SUV: {escape(series.suv)}")
        if series.frame_name:
            console.print(f"[bold]{series.key}[/bold] frames by {escape(series.frame_name)}")
        for text in (*([series.problem] if series.problem else []), *series.warnings):
            console.print(f"[bold]{series.key}[/bold] {escape(text)}")
    if study.patients > 1:
        console.print(f"[bold]warning[/bold] The images are of {study.patients} patients; a series must be chosen.")
    if study.other_objects:
        console.print(f"Objects without pixels: {escape(', '.join(study.other_objects))}")
    for problem in study.problems:
        console.print(f"[bold]problem[/bold] {escape(problem)}")


def _millimetres(spacing: list[float]) -> str:
    return " x ".join(f"{v:.4g}" for v in spacing) + " mm"


def _values(facts: dict[str, Any]) -> str:
    if facts["minimum"] is None:
        return "none is finite"
    return f"{facts['minimum']:.5g} to {facts['maximum']:.5g}, mean {facts['mean']:.5g}"
