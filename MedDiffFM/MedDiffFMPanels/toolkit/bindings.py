"""Synchronization of widgets that have the dynamic property `SlicerParameterName` with the scene's parameter node.

The parameter node holds values as text, so that they are saved with the scene, and nodes as node references. An empty
text means that the value is not set and the task decides.
"""

import slicer
from slicer.i18n import tr as _

# class name: (reader, writer, signal of a change)
KINDS = {
    "QComboBox": (lambda w: str(w.currentData or ""), lambda w, text: _choose(w, text), "currentIndexChanged(int)"),
    "QCheckBox": (lambda w: "true" if w.checked else "false", lambda w, t: w.setChecked(t == "true"), "toggled(bool)"),
    "QLineEdit": (lambda w: w.text, lambda w, text: w.setText(text), "textChanged(QString)"),
    "QSpinBox": (lambda w: _number(w), lambda w, text: _setNumber(w, text, int), "valueChanged(int)"),
    "QDoubleSpinBox": (lambda w: _number(w), lambda w, text: _setNumber(w, text, float), "valueChanged(double)"),
    "ctkSliderWidget": (lambda w: _exactly(w), lambda w, text: _setNumber(w, text, float), "valueChanged(double)"),
}
NODES = "qMRMLNodeComboBox"
PROPERTY = "SlicerParameterName"


def _choose(combo, text):
    index = combo.findData(text)
    combo.setCurrentIndex(max(index, 0))


def _number(box):
    """The text of a spin box; empty where it shows its special text (“Automatic”) at the minimum.

    A negative minimum exists only for that text: negative numbers that a user types become it.
    """
    if box.specialValueText and box.value < max(0, box.minimum):
        box.setValue(box.minimum)
    return "" if box.specialValueText and box.value == box.minimum else _exactly(box)


def _exactly(widget):
    """The number that a widget shows, as text with all its digits."""
    if widget.className() == "QSpinBox":
        return str(widget.value)
    return repr(round(widget.value, widget.decimals)).removesuffix(".0")


def _setNumber(widget, text, kind):
    if text:
        widget.setValue(kind(float(text)))
    elif hasattr(widget, "minimum"):
        widget.setValue(widget.minimum)


def fillCombo(combo, items, helps=None):
    """Fill a combo box with (key, text) items; the parameter node holds the key. helps: tooltips by key."""
    combo.clear()
    for key, text in items:
        combo.addItem(text, key)
        if helps and key in helps:
            combo.setItemData(combo.count - 1, helps[key], _toolTipRole())


def fillQualities(combo):
    """Fill a combo box with the qualities that most tasks have, in clinical words."""
    texts = (_("Balanced (recommended)"), _("Quick look"), _("As published (slow)"))
    fillCombo(combo, zip(("balanced", "fast", "paper"), texts, strict=True))


def _toolTipRole():
    import qt

    return qt.Qt.ToolTipRole


class Bindings:
    """Keeps the widgets of a panel and a parameter node synchronized; `onChange` is called after a change of either."""

    def __init__(self, onChange):
        self._bound, self._defaults = {}, {}
        self._onChange, self._node, self._tag, self._busy = onChange, None, None, False

    def bind(self, widgets):
        """Bind the widgets that have the dynamic property; their present values become the defaults."""
        self._bound = {name: widget for widget in widgets if (name := widget.property(PROPERTY))}
        self._defaults = {name: KINDS[w.className()][0](w) for name, w in self._bound.items() if not _holdsNode(w)}
        for widget in self._bound.values():
            signal = "currentNodeChanged(vtkMRMLNode*)" if _holdsNode(widget) else KINDS[widget.className()][2]
            widget.connect(signal, self._fromWidgets)

    @property
    def node(self):
        """The parameter node, or None."""
        return self._node

    @property
    def synchronizing(self):
        """Whether the widgets are just being set from the parameter node, or the other way around."""
        return self._busy

    def setNode(self, node):
        """Synchronize with another parameter node, or with none."""
        if self._node is not None and self._tag is not None:
            self._node.RemoveObserver(self._tag)
        self._node, self._tag = node, None
        if node is not None:
            self._tag = node.AddObserver("ModifiedEvent", self._fromNode)
            self._fromNode()

    def _fromNode(self, caller=None, event=None):
        if self._busy or self._node is None:
            return
        self._busy = True
        try:
            for name, widget in self._bound.items():
                if _holdsNode(widget):
                    widget.setCurrentNode(self._node.GetNodeReference(name))
                else:
                    text = self._node.GetParameter(name) if name in self._node.GetParameterNames() else None
                    KINDS[widget.className()][1](widget, self._defaults[name] if text is None else text)
        finally:
            self._busy = False
        self._onChange()

    def _fromWidgets(self, *_):
        if self._busy or self._node is None or slicer.mrmlScene.IsBatchProcessing():
            return
        self._busy = True
        before = self._node.StartModify()
        try:
            for name, widget in self._bound.items():
                if _holdsNode(widget):
                    self._node.SetNodeReferenceID(name, widget.currentNodeID or None)
                else:
                    self._node.SetParameter(name, KINDS[widget.className()][0](widget))
        finally:
            self._node.EndModify(before)
            self._busy = False
        self._onChange()

    def setDefault(self, name, text):
        """Set the value that a setting has where the parameter node does not hold it."""
        self._defaults[name] = text

    def value(self, name):
        """The text of a setting, or its default if the parameter node does not hold it."""
        if self._node is not None and name in self._node.GetParameterNames():
            return self._node.GetParameter(name)
        return self._defaults.get(name, "")

    def chosenNode(self, name):
        """The node chosen in a node selector, or None, also if a loaded scene has chosen one that it does not offer."""
        node = self._node.GetNodeReference(name) if self._node is not None else None
        kinds = self._bound[name].nodeTypes if name in self._bound else None
        return node if node is None or kinds is None or _offered(node, kinds) else None


def _holdsNode(widget):
    return widget.className() == NODES


def _offered(node, kinds):
    """Whether a node selector of exactly these classes offers a node: one of volumes offers no label map."""
    return node.GetClassName() in kinds and not node.GetHideFromEditors()


def nodesOffered(kind):
    """The scene's nodes of exactly this class that are not hidden, in the scene's order."""
    return [node for node in slicer.util.getNodesByClass(kind) if _offered(node, (kind,))]


def firstVolume():
    """The volume that an input selector shows at first: the one in the views, else the scene's first, or None."""
    selection, volumes = slicer.app.applicationLogic().GetSelectionNode(), nodesOffered("vtkMRMLScalarVolumeNode")
    active = slicer.mrmlScene.GetNodeByID(selection.GetActiveVolumeID() or "") if selection else None
    return active if active in volumes else next(iter(volumes), None)
