"""Use of a panel with the keyboard: Tab order from top to bottom, labels as buddies of their fields, Esc."""

import itertools

import qt

SELECTOR, COMBOS = "qMRMLNodeComboBox", ("ctkComboBox", "QComboBox")
EDIT_IN_SPIN_BOX = "qt_spinbox_lineedit"  # Qt's object name of the line edit in a spin box, which is no field itself


def prepare(root, ui, onEscape):
    """Set Tab order, label buddies and the Esc shortcut of a complete panel. Keep the returned shortcut alive."""
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
    """All widgets of the panel in Qt's focus chain, which is the order of their construction."""
    widgets, widget = [], root.nextInFocusChain()
    while widget is not None and widget != root:
        if root.isAncestorOf(widget):
            widgets.append(widget)
        widget = widget.nextInFocusChain()
    return widgets


def _fixSelectors(chain):
    """Make the combo boxes of node selectors take the focus. Slicer makes the selector the combo box's focus proxy,
    although the selector ignores keys and Tab skips it; here the proxy is reversed.
    """
    for selector in chain:
        if selector.className() == SELECTOR:
            for combo in chain:
                if combo.className() in COMBOS and selector.isAncestorOf(combo):
                    combo.setFocusProxy(None)
                    selector.setFocusProxy(combo)


def _blocks(widget):
    """The parts of a panel from top to bottom; within each, Qt's focus chain already follows the .ui file."""
    if widget.className() == "QScrollArea":
        return _blocks(widget.widget())
    layout = widget.layout()
    if layout is None or layout.className() != "QVBoxLayout":
        return [widget]
    parts = [("alone", widget)] if _takesTab(widget) else []
    for index in range(layout.count()):
        parts += _blocksOfItem(layout.itemAt(index))
    return parts


def _blocksOfItem(item):
    if item.widget() is not None:
        return _blocks(item.widget())
    inner = item.layout()
    return [part for index in range(inner.count()) for part in _blocksOfItem(inner.itemAt(index))] if inner else []


def _within(block, widget):
    if isinstance(block, tuple):  # the header of a section, without its contents
        return block[1] == widget
    return block == widget or block.isAncestorOf(widget)


def _takesTab(widget):
    return bool(int(widget.focusPolicy) & int(qt.Qt.TabFocus)) and widget.objectName != EDIT_IN_SPIN_BOX


def _nameFields(ui, fields):
    """Make `regionBoxLabel` the buddy of `regionBox`, for its shortcut letter and for screen readers."""
    for name, label in list(vars(ui).items()):
        field = getattr(ui, name[: -len("Label")], None) if name.endswith("Label") else None
        inner = [widget for widget in fields if field is not None and _within(field, widget)]
        if not inner or not label.text:
            continue
        label.setBuddy(inner[0])
        for widget in inner[:1] + [other for other in inner[1:] if not getattr(other, "text", "")]:
            if not widget.accessibleName:
                widget.accessibleName = label.text.replace("&", "").strip(": ")
