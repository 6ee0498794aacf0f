from __future__ import annotations

import pytest

from upfusion_med.core import UsageError
from upfusion_med.evaluation.network_cost import measure


@pytest.mark.parametrize("wrong", [{"side": 15}, {"threads": 0}, {"repeats": 0}])
def test_what_cannot_be_measured_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        measure("upfusion-tiny", **wrong)
