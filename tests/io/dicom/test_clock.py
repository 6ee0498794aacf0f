from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upfusion_med.io.dicom.clock import parse_date, parse_datetime, parse_offset, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("135431.843", time(13, 54, 31, 843000)),
        ("1030", time(10, 30)),
        ("10", time(10)),
        ("104830.351370", time(10, 48, 30, 351370)),
        ("084500.00", time(8, 45)),
        ("12:35:15", time(12, 35, 15)),
        ("235960", time(23, 59, 59)),
        (" 101010 ", time(10, 10, 10)),
        ("", None),
        ("2501", None),
        ("1", None),
        ("noon", None),
        ("10:99", None),
    ],
)
def test_times(text, expected):
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20201217", date(2020, 12, 17)),
        ("2020.12.17", date(2020, 12, 17)),
        (" 20201217 ", date(2020, 12, 17)),
        ("00010101", None),
        ("99991231", None),
        ("20201317", None),
        ("20200230", None),
        ("", None),
        ("2020", None),
    ],
)
def test_dates(text, expected):
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20201217100058", (datetime(2020, 12, 17, 10, 0, 58), None)),
        ("20201217083045.000000 ", (datetime(2020, 12, 17, 8, 30, 45), None)),
        ("20201217084500.00+0130", (datetime(2020, 12, 17, 8, 45), timedelta(minutes=90))),
        ("2020121708-0500", (datetime(2020, 12, 17, 8), -timedelta(hours=5))),
        ("20201217", None),
        ("", None),
        ("20201217250000", None),
    ],
)
def test_datetimes(text, expected):
    assert parse_datetime(text) == expected


def test_offsets():
    assert parse_offset("+0100") == timedelta(hours=1)
    assert parse_offset("-0330 ") == -timedelta(hours=3, minutes=30)
    assert parse_offset("Z") is None


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)))
def test_every_moment_survives_writing_and_parsing(moment):
    text = moment.strftime("%Y%m%d%H%M%S.%f")
    text = text if len(text) == 21 else text.rjust(21, "0")
    assert parse_datetime(text) == (moment, None)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_nothing(text):
    for parse in (parse_date, parse_time, parse_datetime, parse_offset):
        parse(text)
