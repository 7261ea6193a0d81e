"""Stand-in for the embedded segment editor, over the real segmentation and segment editor nodes."""

from __future__ import annotations

from typing import ClassVar

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from .errors import NotInSlicer
from .mrml_widgets import qMRMLNodeComboBox, qMRMLWidget, watch
from .properties import remembered
from .segment_editor_parts import EFFECT_NAMES, Effect, Options, SegmentsTable, framed, undo_and_redo
from .uiloader import stand_in


@stand_in("Modules/Loadable/Segmentations/Widgets/qMRMLSegmentEditorWidget.h")
class qMRMLSegmentEditorWidget(qMRMLWidget):
    """qMRMLSegmentEditorWidget: chooses segmentation, source volume, segment and effect, all kept in the real
    vtkMRMLSegmentEditorNode. No effect draws by itself here: tests paint with harness.paint_ball()."""

    currentSegmentIDChanged = Signal(str)
    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)
    signatures: ClassVar = {
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "segmentationNodeChanged",
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "sourceVolumeNodeChanged",
    }

    def __init__(self, parent=None):
        super().__init__(parent)
        self._editor, self._tags, self._effect, self._effects = None, [], None, {}
        self._history = slicer.vtkSegmentationHistory()
        self._history.SetMaximumNumberOfStates(10)
        self._segmentations, self._volumes = qMRMLNodeComboBox(), qMRMLNodeComboBox()
        self._segmentations.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._volumes.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        self._volumes.addEnabled, self._volumes.noneEnabled = False, True
        self._segments, self._options = SegmentsTable(), Options()
        self._add, self._remove = QtWidgets.QPushButton("Add"), QtWidgets.QPushButton("Remove")
        self._effect_buttons = QtWidgets.QWidget()
        self._lay_out()
        self._segmentations.connect("currentNodeChanged(vtkMRMLNode*)", self.setSegmentationNode)
        self._volumes.connect("currentNodeChanged(vtkMRMLNode*)", self.setSourceVolumeNode)
        self._segments.connect("rowChosen(int)", self._on_row)
        self._add.connect("clicked(bool)", lambda *_: self._add_segment())
        self._remove.connect("clicked(bool)", lambda *_: self._remove_segment())
        self._update()

    def _lay_out(self):
        form = QtWidgets.QFormLayout(self)
        self._form = form
        form.addRow("Segmentation:", self._segmentations)
        form.addRow("Source volume:", self._volumes)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self._add)
        row.addWidget(self._remove)
        row.addWidget(QtWidgets.QPushButton("Show 3D"))
        form.addRow(row)
        left, right, both = QtWidgets.QVBoxLayout(), QtWidgets.QVBoxLayout(), QtWidgets.QHBoxLayout()
        QtWidgets.QVBoxLayout(self._effect_buttons).setContentsMargins(0, 0, 0, 0)
        left.addWidget(self._effect_buttons)
        left.addWidget(undo_and_redo())
        left.addStretch(1)
        right.addWidget(framed(self._segments))
        right.addWidget(self._options)
        both.addLayout(left)
        both.addLayout(right)
        form.addRow(both)
        self._order = ()
        self._show_effects()

    def _show_effects(self):
        """Buttons of the ordered effects, and of the first few others unless they shall not be seen."""
        layout = self._effect_buttons.layout()
        while layout.count():
            old = layout.takeAt(0).widget()
            old.setParent(None)  # at once: one that waits for its end would still take the focus
            old.deleteLater()
        before = self._segments
        others = ("Paint", "Draw", "Erase", "Threshold") if self.unorderedEffectsVisible else ()
        for name in dict.fromkeys((*self._order, *others)):
            button = QtWidgets.QPushButton(name)
            button.connect("clicked(bool)", lambda *_, name=name: self.setActiveEffectByName(name))
            layout.addWidget(button)
            QtWidgets.QWidget.setTabOrder(before, button)
            before = button

    def setMRMLScene(self, scene):
        blocked = [box.blockSignals(True) for box in (self._segmentations, self._volumes)]
        super().setMRMLScene(scene)
        self._segmentations.setMRMLScene(scene)
        self._volumes.setMRMLScene(scene)
        for box, before in zip((self._segmentations, self._volumes), blocked, strict=True):
            box.blockSignals(before)
        self._update()
        if scene:
            watch(self, scene, {scene.EndBatchProcessEvent: lambda *_: self._take_what_is_shown()})

    def _take_what_is_shown(self):
        """After a batch of the scene: what its own selectors show, and a hidden volume is not among that."""
        if self._editor and self._edited() is not self._segmentations.currentNode():
            self.setSegmentationNode(self._segmentations.currentNode())
        if self._editor and self.sourceVolumeNode() is not self._volumes.currentNode():
            self.setSourceVolumeNode(self._volumes.currentNode())
        self._update()

    def setMRMLSegmentEditorNode(self, node):
        for tag in self._tags:
            self._editor.RemoveObserver(tag)
        self._editor = node
        self._tags = watch(self, node, {vtk.vtkCommand.ModifiedEvent: lambda *_: self._update()}) if node else []
        self._update()

    def mrmlSegmentEditorNode(self):
        return self._editor

    def _needed(self):
        if self._editor is None:
            raise NotInSlicer("qMRMLSegmentEditorWidget: set a segment editor node first (setMRMLSegmentEditorNode)")
        return self._editor

    def segmentationNode(self):
        return self._segmentations.currentNode()

    def _edited(self):
        return self._editor.GetSegmentationNode() if self._editor else None

    def segmentationNodeID(self):
        return self.segmentationNode().GetID() if self.segmentationNode() else ""

    def setSegmentationNode(self, node):
        if node is not self._edited():
            if node is None and self._editor is None:
                return
            self._history.SetSegmentation(node.GetSegmentation() if node else None)
            self._needed().SetAndObserveSegmentationNode(node)
            first = node.GetSegmentation().GetNthSegmentID(0) if node and node.GetSegmentation() else ""
            self._editor.SetSelectedSegmentID(first or "")
            self._take_geometry()
            self.segmentationNodeChanged.emit(node)
            self._update()

    def setSegmentationNodeID(self, node_id):
        self.setSegmentationNode(self.mrmlScene().GetNodeByID(node_id))

    def sourceVolumeNode(self):
        return self._editor.GetSourceVolumeNode() if self._editor else None

    def sourceVolumeNodeID(self):
        return self.sourceVolumeNode().GetID() if self.sourceVolumeNode() else ""

    def setSourceVolumeNode(self, node):
        if node is not self.sourceVolumeNode():
            self._needed().SetAndObserveSourceVolumeNode(node)
            self._take_geometry()
            self.sourceVolumeNodeChanged.emit(node)
            self._update()

    def setSourceVolumeNodeID(self, node_id):
        self.setSourceVolumeNode(self.mrmlScene().GetNodeByID(node_id))

    def _take_geometry(self):
        """A segmentation without a geometry gets that of the source volume, as the editor does."""
        segmentation, volume = self._edited(), self.sourceVolumeNode()
        if (
            segmentation
            and volume
            and not segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
        ):
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)

    def currentSegmentID(self):
        return (self._editor.GetSelectedSegmentID() or "") if self._editor else ""

    def setCurrentSegmentID(self, segment_id):
        self._needed().SetSelectedSegmentID(segment_id)

    def activeEffect(self):
        return self._effect

    def effectByName(self, name):
        if name not in EFFECT_NAMES:
            return None
        return self._effects.setdefault(name, Effect(name, self))

    def availableEffectNames(self):
        return EFFECT_NAMES

    def setEffectNameOrder(self, names):
        self._check(names)
        self._order = tuple(names)
        self._show_effects()

    def setActiveEffectByName(self, name):
        if name:
            self._check([name])
        self._needed().SetActiveEffectName(name or "")
        self._effect = self.effectByName(name) if name else None
        self._options.show_effect(name)

    def setActiveEffect(self, effect):
        self.setActiveEffectByName(effect.name if effect else "")

    @staticmethod
    def _check(names):
        unknown = [name for name in names if name not in EFFECT_NAMES]
        if unknown:
            raise NotInSlicer(f"the Segment Editor has no effect {unknown[0]!r}")

    @Slot()
    def saveStateForUndo(self):
        self._history.SaveState()

    @Slot()
    def undo(self):
        self._history.RestorePreviousState()

    @Slot()
    def redo(self):
        self._history.RestoreNextState()

    def setupViewObservations(self):
        pass

    def removeViewObservations(self):
        pass

    def updateWidgetFromMRML(self):
        self._update()

    def _segment_ids(self):
        node = self._edited()
        return tuple(node.GetSegmentation().GetSegmentIDs()) if node and node.GetSegmentation() else ()

    def _update(self):
        if self._editor is None:
            return
        before = self.property("shownSegment")
        for box, node in ((self._segmentations, self._edited()), (self._volumes, self.sourceVolumeNode())):
            blocked = box.blockSignals(True)
            box.setCurrentNode(node)
            box.blockSignals(blocked)
        ids, current = self._segment_ids(), self.currentSegmentID()
        blocked = self._segments.blockSignals(True)
        segmentation = self._edited().GetSegmentation() if ids else None
        names = [segmentation.GetSegment(segment_id).GetName() for segment_id in ids]
        self._segments.show_segments(names, ids.index(current) if current in ids else -1)
        self._segments.blockSignals(blocked)
        ready = self._edited() is not None and self.sourceVolumeNode() is not None
        self._add.enabled = ready and not self.readOnly
        self._effect_buttons.enabled = ready and bool(current) and not self.readOnly
        if (before or "") != current:
            self.setProperty("shownSegment", current)
            self.currentSegmentIDChanged.emit(current)

    def _on_row(self, row):
        ids = self._segment_ids()
        self.setCurrentSegmentID(ids[row] if 0 <= row < len(ids) else "")

    def _add_segment(self):
        self.setCurrentSegmentID(self._edited().GetSegmentation().AddEmptySegment())
        self._update()

    def _remove_segment(self):
        self._edited().GetSegmentation().RemoveSegment(self.currentSegmentID())
        self.setCurrentSegmentID((*self._segment_ids(), "")[0])

    segmentationNodeSelectorVisible = Property(
        bool,
        lambda self: not self._segmentations.isHidden(),
        lambda self, value: self._form.setRowVisible(self._segmentations, value),
    )
    sourceVolumeNodeSelectorVisible = Property(
        bool,
        lambda self: not self._volumes.isHidden(),
        lambda self, value: self._form.setRowVisible(self._volumes, value),
    )
    addRemoveSegmentButtonsVisible = Property(
        bool,
        lambda self: not self._add.isHidden(),
        lambda self, value: [b.setVisible(value) for b in (self._add, self._remove)],
    )
    maskingSectionVisible = remembered(bool, True)
    specifyGeometryButtonVisible = remembered(bool, True)
    show3DButtonVisible = remembered(bool, True)
    switchToSegmentationsButtonVisible = remembered(bool, True)
    autoShowSourceVolumeNode = remembered(bool, True)
    undoEnabled = remembered(bool, True)
    maximumNumberOfUndoStates = remembered(int, 10)
    readOnly = remembered(bool, False, _update)
    unorderedEffectsVisible = remembered(bool, True, _show_effects)
    defaultTerminologyEntry = remembered(str, "")
    defaultTerminologyEntrySettingsKey = remembered(str, "")
    jumpToSelectedSegmentEnabled = remembered(bool, False)
