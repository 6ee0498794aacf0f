from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from upfusion_med.cli.bench import app


def test_the_worst_pair_of_each_kind_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["modality,name,case,split,patient"]
    for name in ("1001", "1002"):
        for folder in ("CT", "MRI"):
            path = tmp_path / "atlas" / "CT-MRI" / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(path)
        rows.append(f"CT-MRI,{name}.png,1,dev,case01")
    (tmp_path / "atlas" / "splits.csv").write_text("\n".join(rows) + "\n")
    output = tmp_path / "maps" / "worst.png"
    call = ["unexplained", "--root", str(tmp_path / "atlas"), "--split", "dev", "-q", "-o", str(output)]
    result = CliRunner().invoke(app, [*call, "--method", "average"])
    assert result.exit_code == 0, result.output
    assert "average 0.00 % / 0 px" in result.output
    with Image.open(output) as picture:
        assert picture.size == (6 * (48 + 6) + 6, 48 + 20 + 6 + 30)
