"""What goes wrong is said plainly, and the other studies still run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("monai", reason="MONAI is not installed (extra 'monai')")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed (extra 'monai')")

from monai.transforms import Compose

from tests.bundles.conftest import NAMES
from tests.bundles.workflows import workflow
from tests.io.dicom_phantom import MR, slices, uid, write
from upfusion_med.bundle import (
    LoadStudyd,
    PairNetwork,
    SaveStudyd,
    StudyDataset,
    StudyEvaluator,
    StudyInferer,
    fuse_settings,
    study_list,
)
from upfusion_med.core import FuseSettings, InputError, Registering, RuntimeFailure, UsageError
from upfusion_med.inference import fuse


def rows_of(folder):
    with (folder / "studies.csv").open(newline="") as file:
        return {row["study"]: row for row in csv.DictReader(file)}


def run(bundle, tmp_path, entries, **options):
    """The exit code of a run over a datalist."""
    (tmp_path / "list.json").write_text(json.dumps({"testing": entries}))
    settings = {"formats": ["nifti"], "settings": {"modality": "pet"}, **options}
    flow = workflow(bundle, "inference", datalist=str(tmp_path / "list.json"), device="cpu", **settings)
    flow.initialize()
    try:
        flow.run()
    except SystemExit as stop:
        return stop.code
    return 0


def test_bad_studies_are_listed_the_others_run_and_a_second_run_goes_on(bundles, study, tmp_path, capsys):
    mri, pet = map(str, study)
    write(tmp_path / "only_mr", slices(sop=MR, series="mr"))
    out = tmp_path / "many"
    (out / "in_the_way").mkdir(parents=True)
    (out / "in_the_way" / "note.txt").write_text("mine")
    (out / "a_file").write_text("mine")
    entries = [
        {"name": "no_key", "mri": mri},
        {"name": "lost", "mri": mri, "functional": str(tmp_path / "nowhere.nii.gz")},
        {"name": "no_pet", "mri": str(tmp_path / "only_mr"), "functional": str(tmp_path / "only_mr"), "settings":
            {"modality": None}},
        {"name": "wrong_setting", "mri": mri, "functional": pet, "settings": {"modality": "ultrasound"}},
        {"name": "in_the_way", "mri": mri, "functional": pet},
        {"name": "a_file", "mri": mri, "functional": pet},
        {"name": "../out", "mri": mri, "functional": pet},
        {"name": "good", "mri": mri, "functional": pet},
        {"name": "good", "mri": mri, "functional": pet},
    ]  # fmt: skip
    assert run(bundles / NAMES[0], tmp_path, entries, output_dir=str(out), settings={}) == 3
    said = capsys.readouterr().err
    assert "Studies: 1 fused, 8 failed, 0 done before. Not for diagnostic use." in said
    for words in (
        "Failed: no_key: Its entry in the datalist lacks functional",
        "Failed: lost: The functional image cannot be used.",
        "Failed: no_pet: ",
        "Failed: wrong_setting: The setting modality is 'ultrasound'; expected one of",
        "Failed: in_the_way: The output folder",
        "Failed: a_file: The output",
        "Failed: study_00006: Its name '../out' is no folder name",
        "Failed: good: Its name 'good' is that of an earlier study",
    ):
        assert words in said
    assert (out / "good" / "fused_rgb.nii.gz").is_file()
    assert (out / "in_the_way" / "note.txt").read_text() == (out / "a_file").read_text() == "mine"
    with (out / "studies.csv").open(newline="") as file:
        states = [(row["study"], row["state"]) for row in csv.DictReader(file)]
    assert states[-2:] == [("good", "done"), ("good", "failed")] and len(states) == 9

    again = [entry for entry in entries if entry["name"] in ("good", "lost")][:2]
    assert run(bundles / NAMES[0], tmp_path, again, output_dir=str(out)) == 3
    assert "0 fused, 1 failed, 1 done before" in capsys.readouterr().err
    assert {name: row["state"] for name, row in rows_of(out).items()} == {"good": "done before", "lost": "failed"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not take such names")
def test_names_that_are_no_utf8_or_too_long_end_no_run(bundles, study, tmp_path, capsys):
    mri, pet = map(str, study)
    out, latin = tmp_path / "many", os.fsdecode(b"M\xfcller")
    out.mkdir()
    entries = [{"name": name, "mri": mri, "functional": pet} for name in ("x" * 300, latin, "x" * 240)]
    assert run(bundles / NAMES[0], tmp_path, entries, output_dir=str(out)) == 3
    said = capsys.readouterr().err
    assert "Studies: 2 fused, 1 failed" in said and "is too long for a folder; expected 240 bytes or fewer." in said
    assert (out / latin / "report.json").is_file() and (out / ("x" * 240) / "report.json").is_file()
    assert [row["state"] for row in rows_of(out).values()] == ["failed", "done", "done"] and r"M\udcfcller" in rows_of(
        out
    )


def test_a_study_adds_its_row_to_the_list_which_is_not_written_anew_for_each(bundles, study, tmp_path, monkeypatch):
    out, real = tmp_path / "many", StudyDataset.__getitem__

    def told(self, index):
        if index == 1:
            (out / "studies.csv").write_bytes((out / "studies.csv").read_bytes().replace(b"zero", b"ZERO"))
        return real(self, index)

    monkeypatch.setattr(StudyDataset, "__getitem__", told)
    entries = [{"name": name, "mri": "nowhere", "functional": "nowhere"} for name in ("zero", "one")]
    for _ in range(2):
        assert run(bundles / NAMES[0], tmp_path, entries, output_dir=str(out)) == 3
        assert list(rows_of(out)) == ["ZERO", "one"]


def _killed(study):
    while not Path(study["mri"]).is_file() or "lost" not in Path(study["mri"]).read_text():
        time.sleep(0.1)
    os._exit(9)


def test_a_reading_process_that_was_killed_is_told_and_what_was_done_is_listed(tmp_path, capsys):
    data = [{"name": "lost", "failure": "It is lost."}, {"name": "p", "mri": tmp_path / "studies.csv"}]
    run_of = StudyEvaluator("cpu", StudyDataset(data, _killed), PairNetwork(), output_dir=str(tmp_path), workers=1)
    with pytest.raises(RuntimeFailure, match=r"reads studies ahead was killed.* fewer --workers, or 0"):
        run_of.run()
    assert "Failed: lost: It is lost." in capsys.readouterr().err
    assert list(rows_of(tmp_path)) == ["lost"]


@pytest.mark.parametrize("step", [(StudyDataset, "__getitem__"), (StudyInferer, "__call__")])
def test_what_another_run_did_meanwhile_is_done_and_did_not_fail(bundles, study, tmp_path, monkeypatch, capsys, step):
    real = getattr(*step)

    def late(*args, **options):
        fuse(*study).save(tmp_path / "many" / "p", ["png"])
        return real(*args, **options)

    monkeypatch.setattr(*step, late)
    entries = [{"name": "p", "mri": str(study[0]), "functional": str(study[1])}]
    assert run(bundles / NAMES[0], tmp_path, entries, output_dir=str(tmp_path / "many")) == 0
    assert "Studies: 0 fused, 0 failed, 1 done before" in capsys.readouterr().err
    assert rows_of(tmp_path / "many")["p"]["state"] == "done before"


def test_an_output_that_cannot_be_made_is_found_before_any_work(bundles, study, tmp_path):
    (tmp_path / "file").write_text("")
    data = study_list(mri=str(study[0]), functional=str(study[1]))
    item = StudyDataset(data, transform=pytest.fail, output_dir=str(tmp_path / "file" / "out"))[0]
    assert "which is a file" in item["failure"].reason and item["failure"].exit_code == 2


def test_one_study_is_never_written_over_an_earlier_one(study, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text('{"files": ["report.json"]}')
    data = study_list(mri=str(study[0]), functional=str(study[1]))
    kept = StudyDataset(data, transform=dict, output_dir=str(tmp_path / "out"))
    assert len(kept) == 1 and "add --redo True" in kept[0]["failure"].reason
    assert "failure" not in StudyDataset(data, transform=dict, output_dir=str(tmp_path / "out"), redo=True)[0]


def test_a_study_without_a_name_is_not_taken_for_another_that_stood_in_its_place(tmp_path):
    for images in ("ab", "ac"):
        entry = {"mri": images[0], "functional": images[1]}
        (tmp_path / f"{images}.json").write_text(json.dumps({"testing": [entry]}))
    first, second = (study_list(datalist=str(tmp_path / f"{x}.json"))[0]["name"] for x in ("ab", "ac"))
    assert first != second and first.startswith("study_00000_")


@pytest.mark.parametrize(
    ("content", "words"),
    [("no json", "is not JSON"), ('{"testing": []}', 'no studies under "testing"'), ("[1]", "no studies")],
)
def test_a_datalist_that_is_none_is_refused(tmp_path, content, words):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(InputError, match=words):
        study_list(datalist=str(tmp_path / "list.json"))
    with pytest.raises(InputError, match="cannot be read"):
        study_list(datalist=str(tmp_path / "nowhere.json"))


def test_half_a_study_and_two_ways_to_name_it_are_refused():
    with pytest.raises(UsageError, match="One image is missing"):
        study_list(mri="a.nii.gz")
    with pytest.raises(UsageError, match="both given"):
        study_list(mri="a.nii.gz", functional="b.nii.gz", datalist="c.json")


def test_settings_come_from_their_words_and_wrong_ones_are_refused():
    given = {"register": "rigid", "modality": None, "opacity": [0.1, 0.5], "attribution": True, "lut": "viridis"}
    assert fuse_settings(given) == FuseSettings(
        register=Registering.RIGID, opacity=(0.1, 0.5), attribution=True, lut="viridis"
    )
    assert [fuse_settings({"mri_frame": frame}).mri_frame for frame in ("1", 1, "mean")] == [1, 1, "mean"]
    for wrong, words in (
        ({"colour": 1}, "no setting colour"),
        ({"register": "elastic"}, "expected one of auto, never, rigid"),
        ({"device": "cuda"}, "--device decides it"),
        ({"opacity": "much"}, "expected two finite numbers"),
        ({"functional_window": [0, 10, 20]}, "expected two finite numbers"),
        ({"bias_correction": "no"}, "expected True or False"),
        ({"attribution": 1}, "expected True or False"),
        ({"lut": ["grey"]}, r"lut is \['grey'\]; expected a text"),
        ({"prompt": 0.5}, "prompt is 0.5; expected a text"),
    ):
        with pytest.raises(UsageError, match=words):
            fuse_settings(wrong)


def test_the_number_of_a_series_names_it_though_monai_reads_it_as_a_number(dicom_study, tmp_path):
    for number in (5, 7):
        made = slices(sop=MR, series=f"t{number}", tweak=lambda d, _, number=number: setattr(d, "SeriesNumber", number))
        write(tmp_path / "both", made, [f"{number}_{k}.dcm" for k in range(len(made))])
    found = LoadStudyd({"mri_series": 7})({"mri": str(tmp_path / "both"), "functional": str(dicom_study[1])})
    assert found["mri_source"].series_instance_uid == uid("study", "t7")


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "many", True])
def test_a_number_of_slices_or_workers_that_is_none_is_told(wrong):
    with pytest.raises(UsageError, match=r"batch_size is .* expected a whole number of 1 or more"):
        StudyInferer(batch_size=wrong)
    if wrong != 0:
        with pytest.raises(UsageError, match=r"workers is .* expected a whole number of 0 or more"):
            StudyEvaluator("cpu", StudyDataset([], dict), PairNetwork(), workers=wrong)


def test_the_word_false_is_not_true(study, tmp_path):
    assert not fuse_settings({"bias_correction": "false"}).bias_correction
    assert fuse_settings({"bias_correction": "True"}).bias_correction
    (tmp_path / "p" / "report.json").parent.mkdir()
    (tmp_path / "p" / "report.json").write_text("{}")
    data = [{"name": "p", "mri": str(study[0]), "functional": str(study[1])}]
    assert StudyDataset(data, dict, str(tmp_path), redo="false").done == ["p"]
    saved = SaveStudyd(str(tmp_path), deidentify="false", burn_in_note="true", redo="False")
    assert saved.options == {"deidentify": False, "burn_in_note": True} and saved.redo is False
    with pytest.raises(UsageError, match="deidentify is 'yes'"):
        SaveStudyd(str(tmp_path), deidentify="yes")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory for it (Unable to allocate 9 GiB)"),
        (PermissionError(13, "Permission denied", "t1.nii"), "PermissionError: [Errno 13] Permission denied: 't1.nii'"),
        (InputError("It is empty."), "It is empty."),
    ],
)
def test_the_reason_of_a_failure_is_what_went_wrong_and_not_which_transform_was_applied(error, reason):
    def step(_):
        raise error

    found = StudyDataset([{"name": "p"}], Compose([step]))[0]["failure"]
    assert reason in found.reason
    assert found.exit_code == (3 if isinstance(error, InputError) else 4)


def test_folders_that_monai_reads_as_numbers_are_folders(bundles, tmp_path, monkeypatch, study):
    monkeypatch.chdir(tmp_path)
    for number, file in enumerate(study):
        (tmp_path / str(number)).mkdir()
        file.rename(tmp_path / str(number) / file.name)
    assert [s["functional"] for s in study_list(0, 1, dataset_dir=20240501)] == [str(Path("20240501", "1"))]
    entries = [{"name": "p", "mri": str(tmp_path / "0" / study[0].name), "functional": f"1/{study[1].name}"}]
    assert run(bundles / NAMES[0], tmp_path, entries, output_dir=20240501) == 0
    assert (tmp_path / "20240501" / "studies.csv").is_file()
    assert (tmp_path / "20240501" / "p" / "report.json").is_file()
    for wrong in (1.5, True, ["a"]):
        with pytest.raises(UsageError, match="expected a text"):
            StudyDataset([], dict, wrong)


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        (["--datalist", "wrong.json"], "Error: The datalist wrong.json is not JSON", 3),
        (["--mri", "t1.nii.gz"], "Error: One image is missing", 2),
        (
            ["--mri", "a", "--functional", "b", "--ckpt_path", "no.pt"],
            "Error: There are no weights no.pt. Those of a bundle are written by: upfusion weights bundle",
            3,
        ),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(bundles, tmp_path, options, words, code):
    (tmp_path / "wrong.json").write_text('{"testing": [')
    bundle = bundles / NAMES[0]
    command = ["-m", "monai.bundle", "run", "--config_file", str(bundle / "configs" / "inference.json")]
    done = subprocess.run(
        [sys.executable, *command, "--bundle_root", str(bundle), *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(words) and "Traceback" not in done.stderr
