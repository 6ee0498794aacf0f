"""A MONAI evaluator for many studies: one that fails is listed, and the others still run."""

from __future__ import annotations

import csv
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.engines import SupervisedEvaluator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from upfusion_med.bundle.inferer import NetworkBackend
from upfusion_med.bundle.studies import reason_of
from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, UsageError

log = logging.getLogger(__name__)
SUMMARY_FILE = "studies.csv"


def _one(batch: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch of one study, with the batch axis on its tensors."""
    (item,) = batch
    return {k: v[None] if isinstance(v, Tensor) else v for k, v in item.items()}


def _prepare(batch: Mapping[str, Any], device: torch.device, *_: Any, **__: Any) -> tuple[Any, Any, tuple[()], Any]:
    study = batch["study"]
    facts = {
        "axis": study.axis,
        "slice_spacing_mm": study.mri.geometry.spacing_mm[study.axis] if study.sigma_slices else 0.0,
        "modality": study.choice.modality.value,
    }
    return batch["image"].to(device), None, (), {"facts": facts}


class StudyEvaluator(SupervisedEvaluator):
    """Fuses the studies of a data set one by one.

    Args:
        device: Where the network runs.
        dataset: A `StudyDataset`.
        network: A `PairNetwork`.
        output_dir: Gets ``studies.csv``: every study, its state, seconds and reason of failure. None: no file.
        workers: Processes that read and prepare studies while the network runs.
        kwargs: Of `monai.engines.SupervisedEvaluator`.
    """

    def __init__(
        self,
        device: torch.device | str,
        dataset: Dataset[dict[str, Any]],
        network: torch.nn.Module,
        output_dir: str | None = None,
        workers: int = 0,
        **kwargs: Any,
    ) -> None:
        self.output_dir = Path(output_dir) if output_dir is not None else None
        self.rows: list[dict[str, Any]] = []
        self.skipped = len(getattr(dataset, "all", ())) - len(getattr(dataset, "data", ()))
        loader: Any = DataLoader(dataset, batch_size=1, num_workers=workers, collate_fn=_one)
        super().__init__(
            device=torch.device(device),
            val_data_loader=loader,
            network=network,
            prepare_batch=_prepare,
            decollate=False,
            **kwargs,
        )

    def run(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Fuse all studies."""
        self.rows = []
        if self.skipped:
            log.info("%d studies are done already and were skipped.", self.skipped)
        if not self.skipped and not len(self.data_loader):  # type: ignore[arg-type]
            raise UsageError("Nothing to fuse: give --mri FILE and --functional FILE, or --datalist FILE.")
        if self.state.epoch_length == 0 or len(self.data_loader) == 0:  # type: ignore[arg-type]
            return
        super().run(*args, **kwargs)

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        name, begin = batchdata.get("name", ""), time.perf_counter()
        failure = batchdata.get("failure")
        if failure is None:
            pair = getattr(engine.network, "module", engine.network)
            prompt = engine.inferer.prompt or pair.prompt_for(batchdata["study"].choice.modality)
            batchdata["network"] = dict(NetworkBackend(pair, prompt).describe())
            try:
                super()._iteration(engine, batchdata)
            except Exception as error:
                failure = reason_of(error)
        seconds = round(time.perf_counter() - begin, 3)
        state = "done" if failure is None else "failed"
        self.rows.append({"study": name, "state": state, "seconds": seconds, "reason": str(failure or "")})
        count = f"{len(self.rows)}/{len(self.data_loader)}"  # type: ignore[arg-type]
        if failure is None:
            log.info("%s %s fused in %.1f s", count, name or "the study", seconds)
        else:
            log.error("%s %s failed: %s", count, name or "the study", failure)
            engine.state.output = {}
        self._write()
        return dict(engine.state.output or {})

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Rows of the studies that failed."""
        return [row for row in self.rows if row["state"] == "failed"]

    def _write(self) -> None:
        if self.output_dir is None:
            return
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            with (self.output_dir / SUMMARY_FILE).open("w", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, ["study", "state", "seconds", "reason"])
                table.writeheader()
                table.writerows(self.rows)
        except OSError as error:
            log.error("The list of studies cannot be written to %s: %s.", self.output_dir, error.strerror)

    def report(self) -> None:
        """Say how it went; ends the process with exit code 3 where a study failed."""
        done = len(self.rows) - len(self.failures)
        words = f"{done} studies fused, {len(self.failures)} failed, {self.skipped} were done before."
        print(f"{words} {NOT_FOR_DIAGNOSTIC_USE}.", file=sys.stderr)  # noqa: T201 (the answer of a command)
        for row in self.failures:
            print(f"Failed: {row['study'] or 'the study'}: {row['reason']}", file=sys.stderr)  # noqa: T201
        if self.failures:
            raise SystemExit(3)
