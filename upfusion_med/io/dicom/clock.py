"""Dates and times as DICOM writes them (PS3.5 section 6.2: DA, TM, DT)."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6})\d*)?")
_DATETIME = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d+)?)?)?)([+-]\d{4})?")
#: Dates outside these years are damage (or fillers such as 00010101).
_YEARS = (1850, 2200)
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


def parse_date(text: str) -> date | None:
    """A date, ``YYYYMMDD`` or the old ``YYYY.MM.DD``; None when the text is no date."""
    match = _DATE.fullmatch(text.strip())
    if not match:
        return None
    try:
        day = date(*(int(part) for part in match.groups()))
    except ValueError:
        return None
    return day if _YEARS[0] <= day.year <= _YEARS[1] else None


def parse_time(text: str) -> time | None:
    """A time of day, two to six leading digits and up to six decimals; None when the text is no time."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        return None
    hour, minute, second, fraction = match.groups()
    try:
        return time(int(hour), int(minute or 0), min(int(second or 0), 59), int((fraction or "0").ljust(6, "0")))
    except ValueError:
        return None


def parse_datetime(text: str) -> tuple[datetime, timedelta | None] | None:
    """A date with time, as written on the wall, and its offset from UTC when it states one.

    None when the text is no date with at least an hour.
    """
    match = _DATETIME.fullmatch(text.strip())
    if not match:
        return None
    day, hour = parse_date(match.group(1)), parse_time(match.group(2))
    if day is None or hour is None:
        return None
    return datetime.combine(day, hour), parse_offset(match.group(3) or "")


def parse_offset(text: str) -> timedelta | None:
    """An offset from UTC, ``+HHMM`` or ``-HHMM``; None when the text is none."""
    match = _OFFSET.fullmatch(text.strip())
    if not match:
        return None
    sign, hours, minutes = match.groups()
    return (-1 if sign == "-" else 1) * timedelta(hours=int(hours), minutes=int(minutes))


def time_of_day(moment: datetime) -> str:
    """The time of day without its date, for reports: dates can give a patient away."""
    return moment.strftime("%H:%M:%S")
