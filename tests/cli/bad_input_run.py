"""Runs the command on a bad input and says what it did; also writes docs/bad_input.md out of such runs.

python -m tests.cli.bad_input_run > docs/bad_input.md
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from tests.cli.bad_inputs import BAD_INPUTS, BadInput
from upfusion_med.cli.main import main
from upfusion_med.io import save_scalar_nifti

HEAD = """# Bad input, and what the command says

Every row is a run of `upfusion fuse T1.nii.gz INPUT --output out` on an input that is made for the purpose by
`tests/cli/bad_inputs.py`; this page is written by `python -m tests.cli.bad_input_run`, and a test compares it with new
runs. In every row the command ends within seconds without a traceback, nothing is left in the output folder or beside
it, and no fact about the patient is in the message. Exit code 3 is a wrong input, 2 a wrong call. What the machine does
wrong (no rights, disk full, no memory: exit code 4) and 20,000 files in one folder are tested in
`tests/cli/test_bad_input.py` as well.

| input | exit | message |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Outcome:
    """What a run of the command did.

    Attributes:
        exit_code: 0 for success.
        out: What it printed.
        err: What it printed to the error stream.
        left: Names of what is in the output's folder that was not there before.
        seconds: How long it took.
        made: The bad input itself.
        folder: Where it was made.
    """

    exit_code: int
    out: str
    err: str
    left: tuple[str, ...]
    seconds: float
    made: object
    folder: Path


def run_command(*arguments: object) -> tuple[int, str, str]:
    """Exit code and printed text of the command, run in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = mock.patch.object(sys, "argv", ["upfusion", *map(str, arguments)])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), argv:
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
    return code, out.getvalue(), err.getvalue()


def good_volume(path: Path) -> Path:
    """A small volume that can be fused."""
    values = np.random.default_rng(0).random((8, 7, 6), dtype=np.float32)
    save_scalar_nifti(path, values, np.diag([-1.0, 1.0, 3.0, 1.0]))
    return path


def run_on(bad: BadInput, folder: Path) -> Outcome:
    """Make the bad input in an empty folder and fuse it with a good volume."""
    made, place = folder / "input", folder / "place"
    made.mkdir()
    place.mkdir()
    good = good_volume(folder / "T1.nii.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own, about what is written wrong on purpose
        path = bad.make(made)
    pair = (path, good) if bad.as_mri else (good, path)
    begin = time.monotonic()
    code, out, err = run_command("fuse", *pair, "--output", place / "out", *bad.options)
    seconds = time.monotonic() - begin
    return Outcome(code, out, err, tuple(sorted(p.name for p in place.iterdir())), seconds, path, folder)


def row_of(bad: BadInput, outcome: Outcome) -> str:
    """The line of the page, from a real run."""
    message, place = outcome.err.strip().removeprefix("Error: ").replace("\n", " "), f"{outcome.folder}/input"
    message = message.replace(f"{place}/", "").replace(place, "folder").replace("|", "\\|")
    options = f" (`{' '.join(bad.options)}`)" if bad.options else " (given as the MRI)" if bad.as_mri else ""
    return f"| {bad.name}{options} | {outcome.exit_code} | {message} |\n"


def page() -> str:
    """The whole page."""
    rows = []
    for bad in BAD_INPUTS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row_of(bad, run_on(bad, Path(folder))))
    return HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
