from __future__ import annotations

import numpy as np
import pytest

from upfusion_med.evaluation import published


@pytest.mark.parametrize(("method", "row"), published.SEGMENTATION_MSRS.items())
def test_the_printed_mean_iou_is_the_mean_of_the_printed_classes(method: str, row: tuple[float, ...]) -> None:
    assert len(row) == 10
    # CrossFuse's printed mean is 0.33 below the mean of its printed classes: one of its ten numbers is a misprint.
    off = 0.333 if method == "CrossFuse" else 0.0
    assert np.mean(row[:-1]) - row[-1] == pytest.approx(off, abs=0.006), method


@pytest.mark.parametrize(("method", "row"), published.DETECTION_M3FD.items())
def test_the_printed_map_is_the_mean_of_the_printed_classes(method: str, row: tuple[float, ...]) -> None:
    assert len(row) == 8
    assert row[-2] == pytest.approx(np.mean(row[:6]), abs=0.0006), method


def test_rows_carry_their_source_and_mark() -> None:
    for data in ("harvard", "msrs", "llvip", "m3fd", "gfp-pc"):
        rows = published.published_rows(data)
        assert {r.mark for r in rows} == {"published, other test pairs"}
        assert all("10.1609/aaai.v40i8.37581, Table" in r.source for r in rows)
        assert all(0 < v < 1 for r in rows for v in r.values.values())
    assert published.published_rows("tno") == ()


def test_harvard_has_the_rows_of_three_tables() -> None:
    rows = {r.method: r.values for r in published.published_rows("harvard")}
    assert len(rows) == 17
    assert rows["UP-Fusion"] == {"q_ncie": 0.8074, "q_p": 0.5665, "vif": 0.3190, "ssim_l1": 0.3639, "q_abf": 0.6814}
    assert "q_abf" not in rows["UP-Fusion w/o GAM"]
