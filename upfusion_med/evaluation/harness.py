"""Run methods over pairs, measure every result, keep every score: resumable, on several cores, in a fixed order."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np

from upfusion_med.core import (
    InputError,
    MissingPackageError,
    Progress,
    RuntimeFailure,
    SilentProgress,
    UpFusionError,
    UsageError,
)
from upfusion_med.evaluation import reader_measures
from upfusion_med.evaluation.columns import READER_KEYS
from upfusion_med.evaluation.kept_pictures import PICTURES_FOLDER, fused_picture
from upfusion_med.evaluation.methods import Method, check_names
from upfusion_med.evaluation.pairs import Failure, Pair, PairList
from upfusion_med.evaluation.picture_levels import grey
from upfusion_med.evaluation.reader_measures import Composition, Sources
from upfusion_med.evaluation.score_table import ScoreTable
from upfusion_med.evaluation.source_colours import read_pair
from upfusion_med.evaluation.store import Score, ScoreStore, score_key

SCORES_FOLDER = "scores"


@dataclass(frozen=True)
class Task:
    """One pair with the methods that still need it.

    Attributes:
        index: Place of the pair in the run.
        methods: Indices of methods, with the key their scores will carry.
    """

    index: int
    methods: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Bench:
    """What every process needs to know.

    Attributes:
        pairs: Pairs of the run.
        methods: What is compared.
        metrics: What is measured: keys of `upfusion_med.metrics` and `columns.READER_KEYS`.
        pictures: Folder for the networks' results, or None: they are not kept.
        scales: Palettes of the set, for reading uptake back.
        composition: How fused pictures get their colour.
    """

    pairs: tuple[Pair, ...]
    methods: tuple[Method, ...]
    metrics: tuple[str, ...]
    pictures: Path | None
    scales: Mapping[str, reader_measures.ColourScale]
    composition: Composition

    def run(self, task: Task) -> list[Score | Failure]:
        """Fuse and measure one pair with some methods; an error of one method does not touch the others."""
        pair = self.pairs[task.index]
        try:
            a, b = read_pair(pair)
        except UpFusionError as error:
            return [Failure(pair.group, pair.name, "", str(error))]
        wanted = [k for k in self.metrics if k in READER_KEYS]
        sources = Sources.of(a, b, pair.modality, self.scales) if wanted else Sources(a, b, pair.modality)
        return [self._score(pair, self.methods[m], key, sources) for m, key in task.methods]

    def _score(self, pair: Pair, method: Method, key: str, sources: Sources) -> Score | Failure:
        from upfusion_med.metrics import compute

        a, b = grey(sources.a), sources.b
        of_reader = [k for k in self.metrics if k in READER_KEYS]
        try:
            begin = time.perf_counter()
            fused = fused_picture(self.pictures, method, pair, a, b)
            middle = time.perf_counter()
            values = compute(fused, a, b, [k for k in self.metrics if k not in of_reader])
            if of_reader:
                values |= reader_measures.measure(fused, sources, of_reader, self.composition)
        except MissingPackageError:
            raise
        except UpFusionError as error:
            return Failure(pair.group, pair.name, method.name, str(error))
        except Exception as error:  # a fault of one method on one pair must not lose the other hours of a run
            return Failure(pair.group, pair.name, method.name, f"unexpected {type(error).__name__}: {error}")
        seconds = {"fuse": round(middle - begin, 4), "metrics": round(time.perf_counter() - middle, 4)}
        return Score(pair.id, method.name, key, values, seconds)

    @property
    def way(self) -> str:
        """How results are measured, for the keys of scores: the composition, and the palettes of the set."""
        digest = hashlib.sha256()
        for name, scale in sorted(self.scales.items()):
            digest.update(f"{name} {scale.shape}".encode())
            digest.update(scale.tobytes())
        return f"{self.composition.value} {digest.hexdigest()}"


def run_benchmark(
    pairs: PairList,
    methods: Sequence[Method],
    metrics: Sequence[str],
    output: Path,
    *,
    jobs: int = 1,
    keep_pictures: bool = True,
    composition: Composition = Composition.LEGIBLE,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score every method on every pair; earlier scores in ``output`` are used again where nothing has changed.

    Args:
        pairs: What is fused.
        methods: What is compared.
        metrics: Keys of `upfusion_med.metrics.compute` and `columns.READER_KEYS`.
        output: Folder of the run; scores go to ``scores/``, results of networks to ``fused/``.
        jobs: Processes; 0: one per core.
        keep_pictures: Keep the networks' results as PNG.
        composition: How fused pictures get their colour, for the reader's measures.
        progress: Told about every pair.

    Returns:
        The cube of scores; what failed is listed in it.

    Raises:
        RuntimeFailure: a worker process was killed.
    """
    progress = progress or SilentProgress()
    check_names(list(methods))
    if jobs < 0:
        raise UsageError(f"The number of jobs is {jobs}; expected 0 (one per core) or more.")
    bench = Bench(
        pairs=pairs.pairs,
        methods=tuple(methods),
        metrics=tuple(metrics),
        pictures=output / PICTURES_FOLDER if keep_pictures else None,
        scales=reader_measures.scales_of(pairs),
        composition=composition,
    )
    stores = [ScoreStore(output / SCORES_FOLDER / f"{m.slug}.jsonl") for m in methods]
    results: dict[tuple[int, int], Score] = {}
    failures = list(pairs.failures)
    tasks = _open_tasks(bench, stores, results, failures)
    progress.stage("scoring", len(pairs.pairs))
    progress.advance(len(pairs.pairs) - len(tasks))
    place = {m.name: k for k, m in enumerate(methods)}
    for task, outcome in _outcomes(bench, tasks, jobs or os.cpu_count() or 1):
        for item in outcome:
            if isinstance(item, Failure):
                failures.append(item)
            else:
                m = place[item.method]
                results[m, task.index] = stores[m].put(item)
        progress.advance()
    return _table(bench, results, failures)


def _open_tasks(
    bench: Bench, stores: Sequence[ScoreStore], results: dict[tuple[int, int], Score], failures: list[Failure]
) -> list[Task]:
    """What is still to be done; scores that hold go to ``results``."""
    tasks, way = [], bench.way
    for index, pair in enumerate(bench.pairs):
        todo = []
        for m, method in enumerate(bench.methods):
            try:
                key = score_key(pair, method, way)
            except InputError as error:
                failures.append(Failure(pair.group, pair.name, method.name, str(error)))
                continue
            score = stores[m].get(pair.id, key, bench.metrics)
            if score is None:
                todo.append((m, key))
            else:
                results[m, index] = score
        if todo:
            tasks.append(Task(index, tuple(todo)))
    return tasks


_bench: Bench | None = None


def _begin_worker(bench: Bench) -> None:
    """Give a worker process its own copy of the bench, once, so that networks are loaded once per process."""
    global _bench  # noqa: PLW0603 (a pool hands state to its workers in no other way)
    import torch

    torch.set_num_threads(1)
    _bench = bench
    Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this worker when the run is killed: workers of a pool would otherwise wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: Task) -> list[Score | Failure]:
    assert _bench is not None
    return _bench.run(task)


def _outcomes(bench: Bench, tasks: list[Task], jobs: int) -> Iterator[tuple[Task, list[Score | Failure]]]:
    """Outcomes in the order of the tasks."""
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        import torch

        # One thread here as in the workers: sums do not depend on --jobs, and small pictures gain nothing from more.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for task in tasks:
                yield task, bench.run(task)
        finally:
            torch.set_num_threads(threads)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker, (bench,)) as pool:
        try:
            yield from zip(tasks, pool.map(_work, tasks), strict=True)
        except BrokenProcessPool as error:
            raise RuntimeFailure(
                f"One of {jobs} worker processes ended suddenly; mostly the system ends one where memory runs out. "
                "The scores so far are kept; run the same command again with fewer --jobs."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _table(bench: Bench, results: dict[tuple[int, int], Score], failures: list[Failure]) -> ScoreTable:
    shape = (len(bench.methods), len(bench.pairs), len(bench.metrics))
    values = np.full(shape, np.nan)
    scored = np.zeros(shape[:2], dtype=bool)
    for (m, p), score in results.items():
        values[m, p] = [score.values[key] for key in bench.metrics]
        scored[m, p] = True
    return ScoreTable(
        methods=tuple(m.name for m in bench.methods),
        kinds=tuple(m.kind for m in bench.methods),
        pairs=bench.pairs,
        metrics=bench.metrics,
        values=values,
        scored=scored,
        failures=tuple(sorted(set(failures), key=lambda f: (f.group, f.name, f.method))),
    )
