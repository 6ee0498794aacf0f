from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upfusion_med.core import InputError
from upfusion_med.evaluation.golden_values import compare_with_golden, picture_cases, read_golden, relative_error


def test_a_table_is_read_with_its_words_for_no_value(tmp_path: Path) -> None:
    table = tmp_path / "golden.txt"
    table.write_text("# head\nsyn128 en 5.25 some/code\n\nd_allzero cc nan some/code\nd_fzero nmi error x\n")
    assert read_golden(table) == {"syn128": {"en": "5.25"}, "d_allzero": {"cc": "nan"}, "d_fzero": {"nmi": "error"}}


def test_broken_tables_are_refused_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_golden(tmp_path / "none.txt")
    table = tmp_path / "golden.txt"
    table.write_text("syn128 en\n")
    with pytest.raises(InputError, match="Line 1"):
        read_golden(table)


def test_rows_hold_errors_or_the_reason_for_none(tmp_path: Path) -> None:
    table = tmp_path / "golden.txt"
    table.write_text(
        "d_azero en 5.0 x\nd_azero vif nan x\nd_azero q_sf 0 x\nd_azero unknown_key 1 x\nmrispect en 3 x\n"
    )
    rows = {row.key: row for row in compare_with_golden(table, tmp_path)}
    assert set(rows) == {"en", "vif", "q_sf"}
    assert rows["en"].error == pytest.approx(abs(rows["en"].ours - 5) / 5)
    assert rows["vif"].error is None
    assert "left out" in rows["vif"].note
    assert rows["q_sf"].error == pytest.approx(0, abs=1e-12)


def test_pictures_become_cases_with_their_own_or_the_average_fused_image(tmp_path: Path) -> None:
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for name, image in (("tno37_a", levels), ("tno37_b", levels // 2), ("tno37ifcnn_f", levels // 4)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    cases = picture_cases(tmp_path)
    assert set(cases) == {"tno37", "tno37ifcnn"}
    assert np.array_equal(cases["tno37"][2], (levels + levels // 2 + 1) // 2)
    assert np.array_equal(cases["tno37ifcnn"][2], levels // 4)


def test_errors_are_relative_unless_the_reference_is_nothing() -> None:
    assert relative_error(1.1, 1.0) == pytest.approx(0.1)
    assert relative_error(2e-12, 0.0) == 2e-12
    assert math.isclose(relative_error(-2.0, -1.0), 1.0)
