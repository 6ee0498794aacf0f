"""``upfusion benchmark``: run networks and classical rules over a data set and compare them."""

from __future__ import annotations

from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from upfusion_med.core import Device, InputError, Modality, UsageError

if TYPE_CHECKING:
    from upfusion_med.evaluation.methods import Method
    from upfusion_med.evaluation.pairs import PairList
    from upfusion_med.evaluation.results import Results

#: ``SET`` for any two folders.
FOLDERS = "folders"
#: ``--method`` for no rule at all.
NONE = "none"


class ColourOption(str, Enum):
    """Values of ``--colour``; `evaluation.reader_measures.Composition`."""

    LEGIBLE = "legible"
    GAMUT = "gamut"
    YCBCR = "ycbcr"


def benchmark(
    data: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="harvard, msrs, llvip, m3fd, roadscene, tno, fmb, gfp-pc; or folders: any two folders (--a, --b).",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; an interrupted run goes on.")],
    root: Annotated[Optional[Path], typer.Option(help="Where the set was unpacked.")] = None,  # noqa: UP045
    a: Annotated[Optional[Path], typer.Option("--a", help="With SET folders: pictures A (visible).")] = None,  # noqa: UP045
    b: Annotated[Optional[Path], typer.Option("--b", help="With SET folders: pictures B (infrared).")] = None,  # noqa: UP045
    model: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Model name, .safetensors file, or NAME=FILE. May be given several times."),
    ] = None,
    method: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="max, average, laplacian, copy-a, copy-b, or none. Default: all five."),
    ] = None,
    fused: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="NAME=DIR: finished results of another method, one picture a pair, named like it."),
    ] = None,
    split: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="test, dev, train or all. Default: test where the set says which pairs that is."),
    ] = None,
    pairs: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="baseline: the pairs on which peer networks were measured; or a text file of names."),
    ] = None,
    metrics: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Comma-separated metrics, or all. Default: the headline metrics."),
    ] = None,
    reference: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Method that the others are tested against. Default: the first network."),
    ] = None,
    prompt: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Prompt of the networks. Default: the prompt of each modality."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.AUTO,
    modality: Annotated[Modality, typer.Option(help="With SET folders: what A is.")] = Modality.INFRARED,
    slices: Annotated[
        bool, typer.Option("--slices", help="With SET folders: names end in the slice's number; measure flicker.")
    ] = False,
    colour: Annotated[
        ColourOption,
        typer.Option(
            help="How fused pictures get their colour: legible as in this package, gamut at the exact "
            "luminance, or Cb and Cr of A."
        ),
    ] = ColourOption.LEGIBLE,
    functional_colours: Annotated[
        str,
        typer.Option(
            help="PET and SPECT pictures in colours: keep them, auto: read a known palette back as uptake and show "
            "that through this package's colour table, or the palette's name. It changes A, so the scores too."
        ),
    ] = "keep",
    published: Annotated[bool, typer.Option("--published", help="Show the papers' values beside ours.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Processes; 0: one per core.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no table.")] = False,
) -> None:
    """Compare networks, classical rules and finished results on the pairs of a data set.

    Written are per_pair.csv, summary.csv, summary.md, summary.tex, lines.csv, tests.csv, run.json and report.html;
    failures.csv too where a pair could not be scored (exit code 3 then). The average rule always comes along: it is the
    bound for methods that throw one source away.

    Examples:
      upfusion benchmark harvard --root harvard --model upfusion -o run
      upfusion benchmark msrs --root MSRS --fused SAGE=sage_results --fused OURS=ours -o run --jobs 4
      upfusion benchmark folders --a vi --b ir --method max --method average -o run
    """
    chosen = choose_pairs_of_run(data, root, a, b, split, pairs, modality, slices)
    chosen = choose_colours(chosen, functional_colours, fused or [], published)
    methods = choose_methods(chosen, model or [], method, fused or [], prompt, device)
    results = run(chosen, methods, metrics, output, reference, published, jobs, seed, report, quiet, colour.value)
    if not quiet:
        show(results, output)
    finish(results, output)


def choose_pairs_of_run(
    data: str,
    root: Path | None,
    a: Path | None,
    b: Path | None,
    split: str | None,
    pairs: str | None,
    modality: Modality,
    slices: bool = False,
) -> PairList:
    """The pairs that the options name.

    Raises:
        UsageError: options that contradict each other.
    """
    from upfusion_med.evaluation import datasets, pair_search, subsets
    from upfusion_med.evaluation import pairs as pairing

    if data.strip().lower() == FOLDERS:
        if a is None or b is None or root is not None:
            raise UsageError("The set 'folders' needs --a and --b, and takes no --root.")
        if split is not None:
            raise UsageError("The set 'folders' has no splits; leave --split out, or name the pairs (--pairs FILE).")
        found = pairing.pairs_of_folders(datasets.folder_pair("pairs", modality, slices=slices), a, b)
    else:
        kind = datasets.get_data_set(data)
        if root is None or a is not None or b is not None:
            raise UsageError(f"The set '{kind.name}' needs --root, and takes no --a or --b.")
        if slices or modality is not Modality.INFRARED:
            raise UsageError(
                f"--slices and --modality are for the set 'folders'; what '{kind.name}' shows is known. Leave them out."
            )
        if pairs is not None and split is not None:
            raise UsageError(
                "--pairs and --split were both given; a list of pairs may stand in any split; leave one out."
            )
        found = pair_search.find_pairs(kind, root, pairing.EVERYTHING if pairs is not None else split)
    if pairs is None:
        return found
    if pairs in subsets.subset_names():
        names = subsets.named_subset(pairs, found.groups)
    else:
        names = subsets.read_pair_list(Path(pairs))
    return subsets.choose_pairs(found, names, Path(pairs).name)


def choose_colours(pairs: PairList, asked: str, folders: list[str], published: bool) -> PairList:
    """The pairs with A in the colours asked for.

    Raises:
        UsageError: an unknown palette, or results beside it that were made from the pictures as they are.
    """
    from upfusion_med.evaluation.source_colours import with_functional_colours
    from upfusion_med.inference.functional_colours import KEEP

    found = with_functional_colours(pairs, asked)
    if found.colours != KEEP and (folders or published):
        raise UsageError(
            f"--functional-colours {asked} changes the pictures that are fused, and --fused and --published bring "
            "scores of the pictures as they are; leave one of them out."
        )
    return found


def choose_methods(
    pairs: PairList, models: list[str], rules: list[str] | None, folders: list[str], prompt: str | None, device: Device
) -> list[Method]:
    """Networks first, then folders of results, then rules; the average rule always comes along, as the bound.

    Raises:
        UsageError: an unknown rule, NAME=DIR without a name, or a prompt without a network.
    """
    from upfusion_med.evaluation.methods import FolderMethod, RuleMethod, model_method, named
    from upfusion_med.evaluation.rules import BOUND, RULES

    wanted = list(RULES) if rules is None else [r for r in dict.fromkeys(rules) if r != NONE]
    if BOUND not in wanted:
        wanted.append(BOUND)
    if prompt is not None and not models:
        raise UsageError("--prompt is for networks, and none is in this run; add --model, or leave it out.")
    methods: list[Method] = [model_method(text, prompt, device) for text in models]
    for text in folders:
        name, folder = named(text, "DIR")
        methods.append(FolderMethod(name, Path(folder), pairs))
    return [*methods, *(RuleMethod(name) for name in wanted)]


def run(
    pairs: PairList, methods: list[Method], metrics: str | None, output: Path, reference: str | None,
    published: bool, jobs: int, seed: int, report: bool, quiet: bool, colour: str = "legible",
) -> Results:  # fmt: skip
    """Score, work out the sections, write the files.

    Raises:
        UsageError: what was asked for does not exist, or the output is a file; nothing is written then.
        InputError: no pair could be scored.
    """
    from upfusion_med.cli.progress import TerminalProgress
    from upfusion_med.evaluation.columns import parse_metrics
    from upfusion_med.evaluation.harness import run_benchmark
    from upfusion_med.evaluation.html_report import write_report
    from upfusion_med.evaluation.kept_pictures import fused_again
    from upfusion_med.evaluation.published import published_rows
    from upfusion_med.evaluation.reader_measures import Composition
    from upfusion_med.evaluation.report_pictures import build_cases
    from upfusion_med.evaluation.results import build_results
    from upfusion_med.evaluation.run_record import run_facts, write_record
    from upfusion_med.evaluation.slice_stacks import with_flicker
    from upfusion_med.evaluation.tables import write_tables
    from upfusion_med.io.output_place import check_output_folder

    check_output_folder(output)
    if seed < 0:
        raise UsageError(f"The seed is {seed}; expected 0 or more.")
    keys = parse_metrics(metrics, pairs.is_medical)
    composition = Composition(colour)
    names = [m.name for m in methods]
    if reference is not None and reference not in names:
        raise UsageError(f"There is no method '{reference}' in this run; expected one of {', '.join(names)}.")
    facts = run_facts(pairs, methods, keys, seed, composition)
    with TerminalProgress(quiet) as progress:
        table = run_benchmark(pairs, methods, keys, output, jobs=jobs, composition=composition, progress=progress)
        if not table.scored.any():
            reason = table.failures[0].reason if table.failures else "no method was given"
            raise InputError(f"No pair could be scored; the first reason: {reason}")
        again = partial(fused_again, output)
        if pairs.data.slices:
            table = with_flicker(table, methods, again)
        rows = published_rows(pairs.data.name) if published else ()
        results = build_results(
            table, pairs, title=pairs.data.title, reference=reference, published=rows, facts=facts, seed=seed,
            composition=composition,
        )  # fmt: skip
        write_tables(results, output)
        write_record(facts, output)
        if report:
            progress.stage("report", 1)
            write_report(results, build_cases(results, methods, again, composition), output)
            progress.advance()
    return results


def show(results: Results, output: Path | None) -> None:
    """Print the means of every section."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from upfusion_med.evaluation.tables import shown

    console = Console(markup=False, emoji=False)  # names and paths may hold brackets
    longest = max(map(len, results.table.methods))
    for section in results.sections:
        columns = results.blocks(section)[0].columns
        room = max((console.width - longest - 20) // 9, 1)
        left_out = int(np.isfinite(section.summary.mean).any(axis=0).sum()) - len(columns[:room])
        table = Table(title=f"{section.name}: {section.about}", title_justify="left")
        table.add_column("method", no_wrap=True)
        for _, column in columns[:room]:
            table.add_column(column.label, justify="right", no_wrap=True)
        table.add_column("one-sided?", no_wrap=True)
        for m, name in enumerate(results.table.methods):
            cells = [
                Text(shown(section.summary.mean[m, k], column), style="bold" if m in section.best[k] else "")
                for k, column in columns[:room]
            ]
            count = "" if section.scored[m] == section.pairs else f" ({section.scored[m]}/{section.pairs})"
            table.add_row(name + count, *cells, section.sides[m].value)
        console.print(table)
        if left_out > 0:
            where = "--output writes them to files" if output is None else "they are in the files"
            console.print(f"{left_out} more columns are not shown here; {where}.", style="dim")
    for note in results.pairs.notes:
        console.print(note, style="yellow", soft_wrap=True)
    if output is not None:
        console.print(f"Written to {output}", soft_wrap=True)


def finish(results: Results, output: Path | None) -> None:
    """Say what failed.

    Raises:
        InputError: a pair could not be scored; everything else has been written by now.
    """
    failures = results.table.failures
    if failures:
        listed = failures if output is None else failures[:1]
        where = "" if output is None else f"; they are listed in {output / 'failures.csv'}. The first"
        lines = [f"{f.group}/{f.name}{f' ({f.method})' if f.method else ''}: {f.reason.rstrip('.')}." for f in listed]
        count = "1 result" if len(failures) == 1 else f"{len(failures)} results"
        raise InputError(f"{count} could not be scored{where}: {' | '.join(lines)} The tables hold all the others.")
