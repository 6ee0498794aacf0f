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
from torch.utils.data import DataLoader

from upfusion_med.bundle.study_dataset import Failure, StudyDataset, failure_of
from upfusion_med.bundle.study_settings import as_count, as_path
from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, RuntimeFailure, UsageError

log = logging.getLogger(__name__)
SUMMARY_FILE = "studies.csv"
_COLUMNS = ("study", "state", "seconds", "reason")


def _one(batch: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch of one study, with the batch axis on its tensors."""
    (item,) = batch
    return {k: v[None] if isinstance(v, Tensor) else v for k, v in item.items()}


def _facts(study: Any) -> dict[str, Any]:
    """What the inferer has to know of a study."""
    return {
        "axis": study.axis,
        "modality": study.choice.modality,
        "pooling": study.settings.pooling,
        "prompt": study.settings.prompt,
    }


def _prepare(batch: Mapping[str, Any], device: torch.device, *_: Any, **__: Any) -> tuple[Any, Any, tuple[()], Any]:
    return batch["image"].to(device), None, (), {"facts": _facts(batch["study"])}


class StudyEvaluator(SupervisedEvaluator):
    """Fuses the studies of a data set one by one.

    Args:
        device: Where the network runs.
        dataset: The studies.
        network: A `PairNetwork`.
        output_dir: Gets ``studies.csv`` where studies have names: every study, its state, seconds of the network and of
            writing, and the reason of a failure. Empty or None: no file.
        workers: Processes that read and prepare studies while the network runs.
        kwargs: Of `monai.engines.SupervisedEvaluator`; the inferer is a `StudyInferer`.

    Raises:
        UsageError: ``workers`` below 0.
    """

    def __init__(
        self,
        device: torch.device | str,
        dataset: StudyDataset,
        network: torch.nn.Module,
        output_dir: str | None = None,
        workers: int = 0,
        **kwargs: Any,
    ) -> None:
        place = as_path(output_dir)
        self.output_dir = Path(place) if place else None
        self.rows: list[dict[str, Any]] = []
        self.failures: list[Failure] = []
        self._can_write, self._is_begun = True, False
        self.dataset = dataset
        # Not forked: the threads of PyTorch and ITK do not live on in a forked process.
        context = "spawn" if as_count("workers", workers, 0) else None
        loader: Any = DataLoader(
            dataset, batch_size=1, num_workers=workers, collate_fn=_one, multiprocessing_context=context
        )
        super().__init__(
            device=torch.device(device),
            val_data_loader=loader,
            network=network,
            prepare_batch=_prepare,
            decollate=False,
            **kwargs,
        )

    def run(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Fuse all studies.

        Raises:
            UsageError: there are none.
            RuntimeFailure: a process that reads ahead was killed.
        """
        self.failures, self._can_write, self._is_begun = [], True, False
        self.rows = [self._row(name, "done before") for name in self.dataset.done]
        if self.dataset.done:
            log.info("%d studies are done already and were skipped.", len(self.dataset.done))
        if not self.rows and not len(self.dataset):
            raise UsageError("Nothing to fuse: give --mri FILE and --functional FILE, or --datalist FILE.")
        if not len(self.dataset):
            self._write()
            return
        try:
            super().run(*args, **kwargs)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            self._tell()
            raise RuntimeFailure(
                "A process that reads studies ahead was killed, most often because the memory was all taken. Give "
                "fewer --workers, or 0; a run goes on where it stopped."
            ) from error

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        name, begin = batchdata.get("name", ""), time.perf_counter()
        failure: Failure | None = batchdata.get("failure")
        done = bool(batchdata.get("done"))
        if failure is None and not done:
            try:
                backend = engine.inferer.backend(engine.network, _facts(batchdata["study"]))
                batchdata["network"] = dict(backend.describe())
                super()._iteration(engine, batchdata)
            except Exception as error:
                done = self.dataset.is_done(batchdata)
                failure = None if done else failure_of(error)
        seconds = time.perf_counter() - begin
        count = f"{len(self.rows) - len(self.dataset.done) + 1}/{len(self.dataset)}"
        if done:
            self.rows.append(self._row(name, "done before"))
            log.info("%s %s was done by another run.", count, name)
            engine.state.output = {}
        elif failure is None:
            self.rows.append(self._row(name, "done", seconds))
            log.info("%s %s fused in %.1f s", count, name or "the study", seconds)
        else:
            self.rows.append(self._row(name, "failed", seconds, failure.reason))
            self.failures.append(failure)
            log.error("%s %s failed: %s", count, name or "the study", failure.reason)
            engine.state.output = {}
        self._write()
        return dict(engine.state.output or {})

    @staticmethod
    def _row(name: str, state: str, seconds: float | None = None, reason: str = "") -> dict[str, Any]:
        shown = "" if seconds is None else f"{seconds:.3f}"
        return dict(zip(_COLUMNS, (name, state, shown, reason), strict=True))

    def _write(self) -> None:
        """Begin the list anew, then add the last row: the whole list after every study would grow with their square."""
        if self.output_dir is None or not self._can_write or not self.rows[-1]["study"]:
            return
        rows, mode = (self.rows[-1:], "a") if self._is_begun else (self.rows, "w")
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            # Python has names that are no UTF-8, as old file systems hold them; such letters are spelt out.
            place = self.output_dir / SUMMARY_FILE
            with place.open(mode, newline="", encoding="utf-8", errors="backslashreplace") as file:
                table = csv.DictWriter(file, _COLUMNS)
                if not self._is_begun:
                    table.writeheader()
                table.writerows(rows)
            self._is_begun = True
        except OSError as error:
            self._can_write = False
            log.error("The list of studies cannot be written to %s: %s.", self.output_dir, error.strerror)

    def report(self) -> None:
        """Say how it went, and list what failed.

        Raises:
            SystemExit: a study failed; with the exit code of the gravest failure (2 call, 3 input, 4 machine).
        """
        self._tell()
        if self.failures:
            raise SystemExit(max(failure.exit_code for failure in self.failures))

    def _tell(self) -> None:
        states = [row["state"] for row in self.rows]
        words = ", ".join(f"{states.count(state)} {text}" for state, text in
                          (("done", "fused"), ("failed", "failed"), ("done before", "done before")))  # fmt: skip
        print(f"Studies: {words}. {NOT_FOR_DIAGNOSTIC_USE}.", file=sys.stderr)  # noqa: T201 (the answer of a command)
        for row in self.rows:
            if row["state"] == "failed":
                print(f"Failed: {row['study'] or 'the study'}: {row['reason']}", file=sys.stderr)  # noqa: T201
