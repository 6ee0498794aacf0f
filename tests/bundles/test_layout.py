"""What MONAI's specification and the model zoo demand of the files of a bundle."""

from __future__ import annotations

import ast
import json
import re

import pytest

import upfusion_med
from tests.bundles.conftest import BUNDLES, NAMES

#: Python that a configuration may hold: names, attributes, calls, and paths put together with +.
ALLOWED = (
    ast.Expression, ast.Call, ast.Name, ast.Attribute, ast.Constant, ast.Load, ast.keyword, ast.List, ast.BinOp,
    ast.Add,
)  # fmt: skip
EVERY = pytest.mark.parametrize("name", NAMES)


def configs(name):
    return sorted(p for p in (BUNDLES / name / "configs").glob("*.json") if p.name != "metadata.json")


def values_of(config, key=""):
    """Every (key, value) of a configuration, however deep."""
    if isinstance(config, dict):
        for inner, value in config.items():
            yield from values_of(value, inner)
    elif isinstance(config, list):
        for value in config:
            yield from values_of(value, key)
    else:
        yield key, config


@EVERY
def test_metadata_fits_the_schema_and_its_version_has_a_line_in_the_changelog(name, shared):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (extra 'monai')")
    metadata = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text())
    schema = json.loads((shared / "refs" / "bundle_schema_20240725.json").read_text())
    jsonschema.validate(metadata, schema)
    assert metadata["schema"].endswith("meta_schema_20240725.json")
    assert metadata["version"] in metadata["changelog"]
    assert metadata["required_packages_version"]["upfusion-med"] == upfusion_med.__version__
    assert not set(metadata) & {"optional_packages_version"}


@EVERY
def test_the_metadata_gives_the_figures_of_the_read_me(name):
    text = (BUNDLES / name / "docs" / "README.md").read_text().partition("## Performance")[2].partition("## Limits")[0]
    head, _, *rows = ([c.strip() for c in line.split("|")] for line in text.splitlines() if line.startswith("| "))
    given = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text())["eval_metrics"]
    for column, prefix in (("VIF", "vif_"), ("Q_ABF", "q_abf_")):
        figures = [float(row[head.index(column)]) for row in rows]
        assert [value for key, value in given.items() if key.startswith(prefix)] == figures


@EVERY
def test_the_files_that_the_zoo_demands_are_there(name):
    root = BUNDLES / name
    for file in (
        "LICENSE", "docs/README.md", "docs/data_license.txt", "configs/logging.conf", "configs/metadata.json",
        "configs/inference.json", "configs/evaluate.json", "configs/train.json", "configs/multi_gpu_train.json",
        "configs/multi_gpu_evaluate.json",
    ):  # fmt: skip
        assert (root / file).is_file(), file
    assert (root / "LICENSE").read_text() == (BUNDLES.parent / "LICENSE").read_text()


@EVERY
def test_no_file_holds_a_path_of_somebodys_machine(name):
    for file in (BUNDLES / name).rglob("*"):
        if file.is_file() and file.suffix in (".json", ".md", ".txt", ".conf", ".py", ".yaml"):
            assert not re.search(r"/(home|Users|root|tmp|workspace|work|mnt)/", file.read_text()), file


@EVERY
def test_every_target_is_a_full_name_of_this_package_or_of_monai(name):
    for file in configs(name):
        targets = [value for key, value in values_of(json.loads(file.read_text())) if key == "_target_"]
        assert targets and all(re.match(r"(upfusion_med|monai)\.", target) for target in targets), file.name


@EVERY
def test_configurations_hold_no_logic(name):
    for file in configs(name):
        for key, value in values_of(json.loads(file.read_text())):
            if not isinstance(value, str) or not value.startswith("$") or key == "imports":
                continue
            tree = ast.parse(re.sub(r"@([\w#]+)", lambda m: m[1].replace("#", "_"), value[1:]), mode="eval")
            assert all(isinstance(node, ALLOWED) for node in ast.walk(tree)), f"{file.name}: {value}"


@EVERY
def test_a_bundle_holds_no_python_but_its_examples(name):
    root = BUNDLES / name
    assert all(file.relative_to(root).parts[0] == "docs" for file in root.rglob("*.py"))


def test_both_bundles_name_the_same_network():
    files = [BUNDLES / name / "configs" / "inference.json" for name in NAMES]
    assert len({json.loads(file.read_text())["network_def"]["model"] for file in files}) == 1
