"""Reading and writing without the parser's own words."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_IS_QUIET: ContextVar[bool] = ContextVar("is_quiet", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the parser's own warnings and log: they quote values of the header, also the patient's name.

    Nested uses cost nothing, so that a whole reading can be put into one.
    """
    if _IS_QUIET.get():
        yield
        return
    log = logging.getLogger("pydicom")
    level, token = log.level, _IS_QUIET.set(True)
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
        _IS_QUIET.reset(token)
