"""Table widgets filled with rows of text."""

import qt


def fillTable(table, headers, rows):
    """Fill a table with rows of texts. The last column is stretched, and each cell has its text as tooltip."""
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
