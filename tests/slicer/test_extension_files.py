"""The files of the extension as Slicer's build and its index take them."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "slicer_extension"
MODULE = EXTENSION / "UPFusion"
STUB = Path(__file__).resolve().parent / "cmake_stub"


def listed(variable: str) -> list[str]:
    text = (MODULE / "CMakeLists.txt").read_text()
    block = re.search(rf"set\({variable}\n(.*?)\)", text.replace("${MODULE_NAME}", "UPFusion"), re.DOTALL)
    return block.group(1).split()


def test_cmake_lists_every_script_and_every_resource_and_nothing_else():
    scripts = [p.relative_to(MODULE).as_posix() for p in (MODULE / "UPFusionLib").rglob("*.py")]
    assert sorted(listed("MODULE_PYTHON_SCRIPTS")) == sorted(["UPFusion.py", *scripts])
    resources = [p.relative_to(MODULE).as_posix() for p in (MODULE / "Resources").rglob("*") if p.is_file()]
    assert sorted(listed("MODULE_PYTHON_RESOURCES")) == sorted(resources)
    tests = re.findall(r"SCRIPT (\S+)\)", (MODULE / "Testing" / "Python" / "CMakeLists.txt").read_text())
    assert sorted(tests) == sorted(p.name for p in (MODULE / "Testing" / "Python").glob("*.py"))


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_configures_the_extension_over_a_stub_of_slicer(tmp_path):
    # The language is none, so that no compiler is looked for.
    shutil.copytree(EXTENSION, tmp_path / "source")
    lists = tmp_path / "source" / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("project(UPFusion)", "project(UPFusion NONE)"))
    call = ["cmake", "-S", str(tmp_path / "source"), "-B", str(tmp_path / "build"), f"-DSlicer_DIR={STUB}"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "source" / "UPFusion" / "UPFusionLib" / "process.py").unlink()
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "UPFusionLib/process.py" in done.stderr


def test_the_index_entry_has_the_keys_of_its_schema_and_agrees_with_cmake():
    text = (EXTENSION / "UPFusion.json").read_text()
    entry = json.loads(text)
    assert set(entry) <= {
        "$schema", "build_dependencies", "build_subdirectory", "category", "dicom_support_rule", "enabled",
        "scm_revision", "scm_type", "scm_url", "tier",
    }  # fmt: skip
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert list(entry) == sorted(entry)
    assert "\r" not in text
    assert text.endswith("}\n")
    cmake = (EXTENSION / "CMakeLists.txt").read_text()
    assert "project(UPFusion)" in cmake
    assert f'EXTENSION_DEPENDS "{" ".join(entry["build_dependencies"])}"' in cmake
    assert f'EXTENSION_CATEGORY "{entry["category"]}"' in cmake
    assert f'EXTENSION_HOMEPAGE "{entry["scm_url"]}"' in cmake
    assert entry["scm_url"].endswith("/SlicerUPFusion")
    for words in ("ICONURL", "SCREENSHOTURLS"):
        for url in re.search(rf'EXTENSION_{words} "([^"]*)"', cmake).group(1).split():
            assert (EXTENSION / url.partition("/main/")[2]).is_file(), url


def test_the_licence_is_that_of_the_project():
    assert (EXTENSION / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_selectors_take_scalar_volumes_only_and_know_the_scene():
    tree = ElementTree.parse(MODULE / "Resources" / "UI" / "UPFusion.ui")
    selectors = [w for w in tree.iter("widget") if w.get("class") == "qMRMLNodeComboBox"]
    assert len(selectors) == 5
    transforms = {"transformSelector": "true"}  # linear transforms are children of the transform
    connected = {
        c.find("receiver").text for c in tree.iter("connection") if "mrmlSceneChanged" in c.find("signal").text
    }
    for selector in selectors:
        children = selector.find("property[@name='showChildNodeTypes']/bool")
        wanted = transforms.get(selector.get("name"), "false")
        assert children.text == wanted, "vector volumes and label maps are children of the scalar volume"
        assert selector.get("name") in connected


def test_a_folder_is_chosen_in_a_dialogue_for_folders():
    """CTK's button opens a dialogue for files unless the filters leave these out, and by default they do not."""
    tree = ElementTree.parse(MODULE / "Resources" / "UI" / "UPFusion.ui")
    paths = {w.get("name"): w for w in tree.iter("widget") if w.get("class") == "ctkPathLineEdit"}
    assert set(paths) == {"batchInputEdit", "batchOutputEdit", "externalPythonEdit"}
    filters = {name: widget.findtext("property[@name='filters']/set") for name, widget in paths.items()}
    assert filters["batchInputEdit"] == filters["batchOutputEdit"] == "ctkPathLineEdit::Dirs"
    assert filters["externalPythonEdit"] is None


def test_nothing_heavy_is_imported_when_slicer_starts():
    heavy = {"torch", "scipy", "pydicom", "upfusion_med", "SimpleITK", "ctk"}
    for path in (MODULE / "UPFusion.py", *(MODULE / "UPFusionLib").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & heavy, path.name


def test_texts_for_the_user_can_be_translated():
    """Every text that goes to a label, a box or a dialogue passes through tr(), with placeholders filled afterwards."""
    for path in (MODULE / "UPFusionLib").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno} is not one literal"
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                is_text = node.targets[0].attr in ("text", "toolTip")
                if is_text and isinstance(node.value, ast.Constant):
                    assert node.value.value == "", f"{path.name}:{node.lineno} is not translated"


@pytest.mark.slicer
def test_the_module_file_has_the_four_classes_by_slicers_names(scene):
    sys.modules.pop("UPFusion", None)
    import types

    import slicer
    import UPFusion

    parent = types.SimpleNamespace()
    UPFusion.UPFusion(parent)
    assert parent.title == "UP-Fusion"
    assert parent.categories == ["Nuclear Medicine"]
    assert "Not for diagnostic use" in parent.helpText
    for name in ("Widget", "Logic", "Test"):
        assert getattr(UPFusion, f"UPFusion{name}").__name__ == f"UPFusion{name}"
    slicer.app.started[0]()
    import SampleData

    sample = SampleData.SampleDataLogic.samples["MRI with simulated PET"]
    assert Path(sample["thumbnailFileName"]).is_file()
    assert all(re.fullmatch(r"SHA256:[0-9a-f]{64}", text) for text in sample["checksums"])
    assert [uri.rpartition("/")[2] for uri in sample["uris"]] == sample["fileNames"]


@pytest.mark.slicer
def test_a_scene_that_was_saved_with_three_rows_has_its_views_in_another_session(scene):
    sys.modules.pop("UPFusion", None)
    import types

    import slicer
    import UPFusion
    from UPFusionLib.compare_layout import LAYOUT_ID, layout_xml

    UPFusion.UPFusion(types.SimpleNamespace())
    slicer.app.started[0]()
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    node.SetViewArrangement(LAYOUT_ID)  # as the scene's own layout node says; without a description there is no view
    assert node.GetCurrentLayoutDescription() == layout_xml()
    slicer.app.layoutManager = lambda: None  # Slicer without a main window
    slicer.app.started[0]()
