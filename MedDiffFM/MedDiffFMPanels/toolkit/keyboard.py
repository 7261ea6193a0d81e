"""A panel without a mouse: Tab goes from top to bottom as seen, labels lead to their fields, Esc stops."""

import itertools

import qt

SELECTOR, COMBOS = "qMRMLNodeComboBox", ("ctkComboBox", "QComboBox")
EDIT_IN_SPIN_BOX = "qt_spinbox_lineedit"  # Qt's own name of it; the box takes its keys


def prepare(root, ui, onEscape):
    """Once all parts of a panel are in their places. Keep what is returned: the shortcut lives as long."""
    chain = _chain(root)
    _fixSelectors(chain)
    fields = [widget for block in _blocks(root) for widget in chain if _within(block, widget) and _takesTab(widget)]
    for first, second in itertools.pairwise(fields):
        qt.QWidget.setTabOrder(first, second)
    _nameFields(ui, fields)
    escape = qt.QShortcut(qt.QKeySequence("Esc"), root)
    escape.setContext(qt.Qt.WidgetWithChildrenShortcut)
    escape.connect("activated()", onEscape)
    return escape


def _chain(root):
    """All widgets of the panel in the order that Qt has from their making."""
    found, widget = [], root.nextInFocusChain()
    while widget is not None and widget != root:
        if root.isAncestorOf(widget):
            found.append(widget)
        widget = widget.nextInFocusChain()
    return found


def _fixSelectors(chain):
    """Slicer's node selector hands the focus of its combo box to itself, where keys do nothing and Tab does not stop:
    the other way round.
    """
    for selector in chain:
        if selector.className() == SELECTOR:
            for combo in chain:
                if combo.className() in COMBOS and selector.isAncestorOf(combo):
                    combo.setFocusProxy(None)
                    selector.setFocusProxy(combo)


def _blocks(widget):
    """Parts that stand one below the other; within one, Qt's own order is that of the .ui file."""
    if widget.className() == "QScrollArea":
        return _blocks(widget.widget())
    layout = widget.layout()
    if layout is None or layout.className() != "QVBoxLayout":
        return [widget]
    own, parts = ([widget] if _takesTab(widget) else []), []
    for place in range(layout.count()):
        parts += _inItem(layout.itemAt(place))
    return [("alone", one) for one in own] + parts


def _inItem(item):
    if item.widget() is not None:
        return _blocks(item.widget())
    inner = item.layout()
    return [part for place in range(inner.count()) for part in _inItem(inner.itemAt(place))] if inner else []


def _within(block, widget):
    if isinstance(block, tuple):  # a section's own head, without what is in it
        return block[1] == widget
    return block == widget or block.isAncestorOf(widget)


def _takesTab(widget):
    return bool(int(widget.focusPolicy) & int(qt.Qt.TabFocus)) and widget.objectName != EDIT_IN_SPIN_BOX


def _nameFields(ui, fields):
    """The label `regionBoxLabel` belongs to `regionBox`: its letter leads there, and a screen reader says its words."""
    for name, label in list(vars(ui).items()):
        field = getattr(ui, name[: -len("Label")], None) if name.endswith("Label") else None
        inner = [widget for widget in fields if field is not None and _within(field, widget)]
        if not inner or not label.text:
            continue
        label.setBuddy(inner[0])
        for widget in inner[:1] + [one for one in inner[1:] if not getattr(one, "text", "")]:
            if not widget.accessibleName:
                widget.accessibleName = label.text.replace("&", "").strip(": ")
