"""From the last checkpoint to the end of a run: steps, log lines, validations, pictures, checkpoints."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from upfusion_med.core import Progress
from upfusion_med.training.batches import Batch, Batches, Key, ended, stream, training_key, validation_key
from upfusion_med.training.run_log import RunLog
from upfusion_med.training.run_state import write_state
from upfusion_med.training.sanity_sheet import sanity_sheet, write_sheet
from upfusion_med.training.stopping import StopRequest
from upfusion_med.training.validation import spread, validation_metrics

if TYPE_CHECKING:
    from upfusion_med.training.trainer import Trainer

_log = logging.getLogger(__name__)
#: Steps between lines of the log.
LOG_EVERY = 50
#: Steps after which a picture is drawn beside those of the validations, to see early whether a run is sane.
EARLY_PICTURES = (10, 50)
#: Mean gradient norm below which nothing is learned any more; those of runs that learn were above 1.
STANDSTILL = 1e-6
#: Held-out pairs, and imitated crops, on such a picture.
PICTURE_COLUMNS = 4


def run(trainer: Trainer, progress: Progress) -> None:
    """Train to the last step, or until a signal asks to stop.

    Lines go to ``log.jsonl`` in the output folder, pictures to ``pictures/``; the first of several processes writes.
    """
    config, place = trainer.config, trainer.processes
    log = RunLog(trainer.output, trainer.step, tensorboard=config.tensorboard) if place.is_first else None
    progress.stage("training", trainer.length)
    progress.advance(trainer.step)
    batches = stream(
        Batches(config, trainer.training, trainer.codes),
        keys(trainer),
        config.workers,
        pinned=trainer.device.type == "cuda",
    )
    rows, begin = list[dict[str, float]](), time.perf_counter()
    with StopRequest(repeated=place.count > 1) as stop, ended(batches):
        while trainer.step < trainer.length:
            rows.append(trainer.train_step(batches))
            progress.advance()
            stopping = place.any(stop.asked)
            is_due = trainer.step % config.save_every == 0 or trainer.step == trainer.length
            if log is not None and (trainer.step % LOG_EVERY == 0 or trainer.step == trainer.length or stopping):
                means = summary(rows, time.perf_counter() - begin)
                log.note({"step": trainer.step, **means, "rate": trainer.rate_now})
                tell_standstill(trainer.step, [row["gradient_norm"] for row in rows])
                rows, begin = [], time.perf_counter()
            if is_due:
                check_in(trainer, log)
                begin = time.perf_counter()
                rows = []
            elif trainer.step in EARLY_PICTURES and log is not None:
                draw(trainer, log)
            if stopping:
                if not is_due and log is not None:  # no validation: the best weights must not depend on where it stops
                    trainer.save()
                break
        place.wait()
    if log is not None:
        log.close()


def keys(trainer: Trainer) -> Iterator[Key]:
    """Keys of the batches of this process from here to the end of the run."""
    for step in range(trainer.step, trainer.length):
        for number in trainer.mine:
            yield training_key(trainer.config, step, number)


def summary(rows: Sequence[dict[str, float]], seconds: float) -> dict[str, float]:
    """Means of the steps since the last line, seconds a step, and the share of them spent waiting for batches."""
    means = {k: sum(r[k] for r in rows) / len(rows) for k in rows[0]}
    waited = means.pop("waited") * len(rows)
    return {"seconds_per_step": seconds / len(rows), "data_share": waited / max(seconds, 1e-9), **means}


def tell_standstill(step: int, norms: Sequence[float]) -> None:
    """Warn where the gradients of the last steps teach nothing; steps whose gradient is not finite are not taken."""
    finite = [norm for norm in norms if math.isfinite(norm)]
    if not finite:
        why = "gradients that are not finite: the run has diverged"
    elif (mean := sum(finite) / len(finite)) < STANDSTILL:
        why = f"gradient norm {mean:.1e}: the output has saturated"
    else:
        return
    _log.warning(
        "Nothing is learned any more at step %d (%s). Start again in another folder with a longer 'warmup' or a lower "
        "'learning_rate'.",
        step,
        why,
    )


def check_in(trainer: Trainer, log: RunLog | None) -> None:
    """Validate, draw and save; the first process does it, the others wait."""
    if log is not None:
        row = validate(trainer)
        log.note({"step": trainer.step, **row})
        draw(trainer, log)
        trainer.save()
    trainer.processes.wait()


def validate(trainer: Trainer) -> dict[str, Any]:
    """Losses and metrics of the averaged weights on held-out scenes; keeps the best weights where wanted."""
    config = trainer.config
    if not trainer.validation:
        return {}
    row: dict[str, Any] = {"validation": trainer.validate()}
    if config.validation_pairs:
        pairs = spread(trainer.validation, config.validation_pairs)
        with trainer.averaged() as network:
            row["metrics"] = validation_metrics(network, pairs, trainer.codes, trainer.device)
    if config.keep_best is not None and row["metrics"][config.keep_best] > trainer.best_score:
        trainer.best_score = row["metrics"][config.keep_best]
        write_state(trainer.best, config, {"network": trainer.averaged_state(), "step": trainer.step})
    return row


def draw(trainer: Trainer, log: RunLog) -> None:
    """Write the picture of the held-out pairs, ``pictures/step-NNNNNN.png``."""
    if not trainer.validation:
        return
    crops = Batches(trainer.config, trainer.validation, trainer.codes)[validation_key(trainer.config, 0)]
    crops = Batch(*(x[:PICTURE_COLUMNS] for x in crops))
    with trainer.averaged() as network:
        pairs = spread(trainer.validation, PICTURE_COLUMNS)
        sheet = sanity_sheet(network, pairs, crops, trainer.codes, trainer.device)
    write_sheet(trainer.output / "pictures" / f"step-{trainer.step:06d}.png", sheet)
    log.picture("held-out", sheet, trainer.step)
