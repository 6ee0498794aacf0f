"""``upfusion downstream``: score what the user's own segmenter or detector made of fused pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)

_Method = Annotated[str, typer.Option(help="The method's name in the table.")]
_Published = Annotated[bool, typer.Option(help="Show the published scores of other methods beside it, marked as such.")]


@app.command("segmentation", no_args_is_help=True)
def segmentation(
    predictions: Annotated[Path, typer.Option(help="Folder of predicted label pictures (class numbers).")],
    labels: Annotated[Path, typer.Option(help="Folder of true label pictures of the same names; 255 is ignored.")],
    name: _Method = "fused",
    published: _Published = True,
) -> None:
    """IoU per class and its mean over a set with the classes of MSRS, as Markdown.

    Examples:
      upfusion downstream segmentation --predictions out/labels --labels MSRS/test/Segmentation_labels
    """
    from upfusion_med.evaluation import segmentation as scoring

    score = scoring.score_segmentation(predictions, labels)
    typer.echo(scoring.markdown({name: score}, published))
    for failure in score.failures:
        typer.secho(f"Not scored: {failure.reason}", fg="yellow", err=True)
    if score.failures:
        raise typer.Exit(3)


@app.command("detection", no_args_is_help=True)
def detection(
    predictions: Annotated[Path, typer.Option(help="Detections, COCO results file (JSON list).")],
    truth: Annotated[Path, typer.Option(help="True boxes, COCO annotation file (JSON).")],
    name: _Method = "fused",
    published: _Published = True,
) -> None:
    """Average precision at IoU 0.5 and from 0.5 to 0.95, per class and its mean, as Markdown.

    Examples:
      upfusion downstream detection --predictions detections.json --truth M3FD/annotations.json
    """
    from upfusion_med.evaluation import detection as scoring

    typer.echo(scoring.markdown({name: scoring.score_detection(predictions, truth)}, published))
