"""Tables of text."""

from __future__ import annotations

from collections.abc import Sequence

import qt

from .preflight import Level

_COLOURS = {Level.GOOD: "#2e7d32", Level.WARNING: "#b26a00", Level.BAD: "#c62828"}


def fill_table(table, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Replace the contents; the last column takes the rest of the width, long texts are wrapped."""
    table.setColumnCount(len(header))
    table.setHorizontalHeaderLabels(list(header))
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            table.setItem(row, column, item)
    table.verticalHeader().hide()
    table.horizontalHeader().setStretchLastSection(True)
    for column in range(len(header) - 1):
        table.resizeColumnToContents(column)
    table.resizeRowsToContents()


def mark_level(table, row: int, column: int, level: Level) -> None:
    """Colour a cell by what it says; the text says it too."""
    table.item(row, column).setForeground(qt.QBrush(qt.QColor(_COLOURS[level])))
