"""Whatever is given to the command: a clear sentence, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.bad_input_run import good_volume, row_of, run_command, run_on
from tests.cli.bad_inputs import BAD_INPUTS, dicom_bytes
from tests.io import dicom_phantom as phantom
from upfusion_med.io import save_scalar_nifti

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad_input.md"
SECRETS = (*phantom.PATIENT_FACTS, "ANOTHER", "OTHER^ONE")
NOBODY = 65534


def check_refusal(code: int, expected: int, err: str, words: tuple[str, ...]) -> None:
    assert code == expected, err
    assert err.startswith("Error: "), err
    for word in words:
        assert word in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1, "one message, and no noise of a library"
    assert not [fact for fact in SECRETS if fact in err]


@pytest.fixture(scope="module")
def outcome_of(tmp_path_factory):
    """What the command did with a bad input; each is run once for all tests."""
    seen = {}

    def look(bad):
        if bad.name not in seen:
            seen[bad.name] = run_on(bad, tmp_path_factory.mktemp("bad"))
        return seen[bad.name]

    return look


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input_is_refused_with_a_clear_message_and_leaves_nothing(bad, outcome_of):
    outcome = outcome_of(bad)
    check_refusal(outcome.exit_code, bad.exit_code, outcome.err, bad.words)
    assert outcome.out == ""
    assert outcome.left == ()
    assert outcome.seconds < 10


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_inspect_ends_well_on_bad_input(bad, outcome_of):
    code, _, err = run_command("inspect", outcome_of(bad).made)
    assert code in (0, 2, 3)
    assert (code == 0) == (err == "")
    assert "Traceback" not in err


def test_the_page_says_what_the_command_says(outcome_of):
    written = PAGE.read_text()
    for bad in BAD_INPUTS:
        row = row_of(bad, outcome_of(bad))
        assert row in written, f"write the page again: python -m tests.cli.bad_input_run ({bad.name})"


@pytest.fixture
def pair(tmp_path):
    return good_volume(tmp_path / "t1.nii.gz"), good_volume(tmp_path / "pet.nii.gz")


@pytest.fixture
def no_rights():
    """Run as somebody who is not root: root may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def imported_beforehand(readable: Path, folder: Path) -> None:
    """Python itself may lie where only root may read."""
    run_command("fuse", readable, folder / "gone", "--output", folder / "out")


@pytest.mark.parametrize("what", ["file", "folder", "file in a folder"])
def test_input_without_the_right_to_read_it(what, tmp_path, pair, request):
    place = tmp_path / "locked"
    if what == "file":
        good_volume(place.with_suffix(".nii.gz"))
        place = place.with_suffix(".nii.gz")
    else:
        phantom.write(place, phantom.slices())
    locked = place / "003.dcm" if what == "file in a folder" else place
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    imported_beforehand(place, tmp_path)
    tmp_path.chmod(0o777)
    locked.chmod(0)
    request.getfixturevalue("no_rights")
    code, _, err = run_command("fuse", pair[0], place, "--output", tmp_path / "out")
    check_refusal(code, 3, err, ("cannot be read", "Permission denied", "rights"))


def test_output_that_cannot_be_written(tmp_path, pair, request):
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    place = tmp_path / "locked"
    imported_beforehand(pair[0], tmp_path)
    place.mkdir(mode=0o555)
    request.getfixturevalue("no_rights")
    code, _, err = run_command("fuse", *pair, "--output", place / "deep" / "out")
    check_refusal(code, 4, err, ("cannot be written", "Choose another folder"))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("t1.nii.gz", ("is a file", "expected a folder")),
        ("t1.nii.gz/out", ("which is a file", "choose another folder")),
        ("used", ("is not empty", "--force")),
    ],
)
def test_output_that_is_in_the_way_is_a_wrong_call(place, words, tmp_path, pair):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run_command("fuse", *pair, "--output", tmp_path / place)
    check_refusal(code, 2, err, words)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("written", ["nifti", "nrrd", "png", "dicom"])
def test_a_full_disk_leaves_nothing(written, tmp_path, pair):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = sorted(tmp_path.rglob("*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, hard))
    try:
        # what is written is the same without a network
        how = ("--format", written, "--modality", "pet", "--blend", "alpha")
        code, _, err = run_command("fuse", *pair, "--output", tmp_path / "out", *how)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    check_refusal(code, 4, err, ("could not be written", "space"))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_cancelled_command_leaves_nothing(number, tmp_path, pair):
    before = sorted(tmp_path.rglob("*"))
    how = ["fuse", *map(str, pair), "--output", str(tmp_path / "out"), "--modality", "pet", "--blend", "alpha"]
    script = f"""
import os, signal, sys
import upfusion_med.inference.result as result
from upfusion_med.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background shells ignore it
result.save_rgb_nrrd = lambda *_: os.kill(os.getpid(), signal.{number})
sys.argv = ["upfusion", *{how!r}]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 130 and "Traceback" not in done.stderr, done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_what_the_system_refuses_is_said_without_a_traceback(tmp_path, pair, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "place")

    monkeypatch.setattr("upfusion_med.inference.fuse", refuse)
    code, _, err = run_command("fuse", *pair, "--output", tmp_path / "out")
    check_refusal(code, 4, err, ("Permission denied (place)", "rights"))


def test_too_little_memory_is_a_failure_of_the_machine(tmp_path, pair):
    ramp = np.broadcast_to(np.arange(250, dtype=np.uint8), (800, 800, 250))
    big = tmp_path / "big.nii.gz"
    save_scalar_nifti(big, ramp, np.eye(4))
    call = [sys.executable, "-m", "upfusion_med.cli.main", "fuse", big, pair[1], "--output", tmp_path / "out"]
    limit = 800 * 2**20
    done = subprocess.run(
        list(map(str, call)),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    check_refusal(done.returncode, 4, done.stderr, ("memory",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_very_many_files_are_listed_soon(count, tmp_path):
    """A whole archive given by mistake: series of 500 slices of one patient."""
    study = tmp_path / "study"
    for number in range(count // 500):
        made = phantom.pet_slices(series=str(number), positions=[(-7.0, -5.0, 10000.0)])[0]
        content, own = dicom_bytes(made), made.SOPInstanceUID.encode()
        assert content.count(b"10000 ") == 1
        folder = study / f"{number:02d}"
        folder.mkdir(parents=True)
        for k in range(500):
            placed = content.replace(b"10000 ", b"%-6d" % (3 * k))
            (folder / f"{k}").write_bytes(placed.replace(own, own[:-3] + b"%03d" % k))
    begin = time.process_time()
    code, _, err = run_command("fuse", study, study, "--output", tmp_path / "out")
    seconds = time.process_time() - begin
    check_refusal(code, 3, err, ("volumes that could be meant", "8x6x500"))
    assert seconds < count / 1000
