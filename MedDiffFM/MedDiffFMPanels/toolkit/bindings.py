"""Widgets that carry the dynamic property `SlicerParameterName` and the plain parameter node of the scene, kept equal.

Values are text in the node, so that they survive saving and loading of the scene; nodes are node references. An empty
text means: not set, the task decides.
"""

import slicer
from slicer.i18n import tr as _

# class name: (read, write, signal of a change)
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
    """A box at its lowest value that shows a word there (“Automatic”) is not set. Numbers below 0 are there for that
    word alone: typed, they become it.
    """
    if box.specialValueText and box.value < max(0, box.minimum):
        box.setValue(box.minimum)
    return "" if box.specialValueText and box.value == box.minimum else _exactly(box)


def _exactly(widget):
    """The number that a widget shows, with all of its digits."""
    if widget.className() == "QSpinBox":
        return str(widget.value)
    return repr(round(widget.value, widget.decimals)).removesuffix(".0")


def _setNumber(widget, text, kind):
    if text:
        widget.setValue(kind(float(text)))
    elif hasattr(widget, "minimum"):
        widget.setValue(widget.minimum)


def fillCombo(combo, items, helps=None):
    """Offer (key, words) in a combo box; the key is what the parameter node holds."""
    combo.clear()
    for key, words in items:
        combo.addItem(words, key)
        if helps and key in helps:
            combo.setItemData(combo.count - 1, helps[key], _toolTipRole())


def fillQualities(combo):
    """The qualities that most tasks have, in clinical words."""
    words = (_("Balanced (recommended)"), _("Quick look"), _("As published (slow)"))
    fillCombo(combo, zip(("balanced", "fast", "paper"), words, strict=True))


def _toolTipRole():
    import qt

    return qt.Qt.ToolTipRole


class Bindings:
    """Keeps the widgets of a panel and a parameter node equal. `onChange` is called after either has changed."""

    def __init__(self, onChange):
        self._bound, self._defaults = {}, {}
        self._onChange, self._node, self._tag, self._busy = onChange, None, None, False

    def bind(self, widgets):
        """Bind those widgets that carry the dynamic property; what they show now are the defaults."""
        self._bound = {name: widget for widget in widgets if (name := widget.property(PROPERTY))}
        self._defaults = {name: KINDS[w.className()][0](w) for name, w in self._bound.items() if not _holdsNode(w)}
        for widget in self._bound.values():
            signal = "currentNodeChanged(vtkMRMLNode*)" if _holdsNode(widget) else KINDS[widget.className()][2]
            widget.connect(signal, self._fromWidgets)

    @property
    def node(self):
        return self._node

    def setNode(self, node):
        """Follow another parameter node, or none."""
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
        """Set the value of a setting for parameter nodes that do not hold it."""
        self._defaults[name] = text

    def value(self, name):
        """A setting's text; its default before it was ever set."""
        if self._node is not None and name in self._node.GetParameterNames():
            return self._node.GetParameter(name)
        return self._defaults.get(name, "")

    def chosenNode(self, name):
        """The node of a node selector, or None; a scene may name one that the selector does not offer."""
        node = self._node.GetNodeReference(name) if self._node is not None else None
        kinds = self._bound[name].nodeTypes if name in self._bound else None
        return node if node is None or kinds is None or _offered(node, kinds) else None


def _holdsNode(widget):
    return widget.className() == NODES


def _offered(node, kinds):
    """Whether a selector of these classes shows a node: a label map is a volume, but none of theirs."""
    return node.GetClassName() in kinds and not node.GetHideFromEditors()


def nodesOffered(kind):
    """The scene's nodes of exactly this class that are not hidden, in their order."""
    return [node for node in slicer.util.getNodesByClass(kind) if _offered(node, (kind,))]


def firstVolume():
    """What an input selector shows at first: the volume in the views, else the first one of the scene."""
    selection, volumes = slicer.app.applicationLogic().GetSelectionNode(), nodesOffered("vtkMRMLScalarVolumeNode")
    active = slicer.mrmlScene.GetNodeByID(selection.GetActiveVolumeID() or "") if selection else None
    return active if active in volumes else next(iter(volumes), None)
