"""A list of rows as a table widget shows it."""

import qt


def fillTable(table, headers, rows):
    """Rows of texts; the last column takes the room that is left, and every cell tells its whole text."""
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(headers)
    table.verticalHeader().setVisible(False)
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            table.setItem(row, column, item)
    for column in range(len(headers) - 1):
        table.resizeColumnToContents(column)
    table.horizontalHeader().setStretchLastSection(True)
