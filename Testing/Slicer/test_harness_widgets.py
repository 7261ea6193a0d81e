"""The stand-ins of Slicer's widgets over the real core: segment editor and selector, markups, tables, sliders."""

import numpy as np
import pytest
from harness import click, click_in_slice, paint_ball, type_text
from harness.errors import NotInSlicer


@pytest.fixture
def ct(slicer):
    ijk_to_ras = np.diag([-2.0, -2, 3, 1])
    ijk_to_ras[:3, 3] = [40, 40, -30]
    node = slicer.util.addVolumeFromArray(np.zeros((20, 40, 40), np.int16), ijkToRAS=ijk_to_ras, name="CT")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    slicer.app.layoutManager().resetSliceViews()
    return node


@pytest.fixture
def segmentation(slicer, ct):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    for name in ("liver", "spleen"):
        node.GetSegmentation().AddEmptySegment(name, name)
    return node


def signals(widget, *signatures):
    heard = []
    for signature in signatures:
        name = signature.split("(")[0]
        widget.connect(signature, lambda *values, name=name: heard.append((name, *values)))
    return heard


def test_segment_editor(slicer, ct):
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(slicer.mrmlScene)
    with pytest.raises(NotInSlicer, match="segment editor node first"):
        editor.setSourceVolumeNode(ct)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.setMRMLSegmentEditorNode(node)
    lesion = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Lesion")
    editor.setSegmentationNode(lesion)
    editor.setSourceVolumeNode(ct)
    heard = signals(editor, "currentSegmentIDChanged(QString)")
    click(editor._add)
    assert heard == [("currentSegmentIDChanged", editor.currentSegmentID())]
    assert node.GetSelectedSegmentID() == editor.currentSegmentID() != ""
    editor.setActiveEffectByName("Paint")
    assert node.GetActiveEffectName() == "Paint" == editor.activeEffect().name
    with pytest.raises(NotInSlicer, match="no effect 'Pain'"):
        editor.setActiveEffectByName("Pain")

    paint_ball(lesion, editor.currentSegmentID(), ct, center=(0, 0, 0), radius=9)
    painted = slicer.util.arrayFromSegmentBinaryLabelmap(lesion, editor.currentSegmentID(), ct)
    assert painted[10, 20, 20] == 1  # RAS 0, 0, 0 is voxel k 10, j 20, i 20
    assert painted.sum() * 12 == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.1)
    paint_ball(lesion, editor.currentSegmentID(), ct, center=(0, 0, 0), radius=5, erase=True)
    assert slicer.util.arrayFromSegmentBinaryLabelmap(lesion, editor.currentSegmentID(), ct)[10, 20, 20] == 0


def test_segment_selector_follows_the_segmentation(slicer, segmentation):
    selector = slicer.qMRMLSegmentSelectorWidget()
    heard = signals(selector, "currentNodeChanged(vtkMRMLNode*)", "currentSegmentChanged(QString)")
    selector.setMRMLScene(slicer.mrmlScene)  # it has no “None”, so it takes the first one
    assert heard == [("currentSegmentChanged", "liver"), ("currentNodeChanged", segmentation)]
    selector.setCurrentSegmentID("spleen")
    assert selector.currentSegmentID() == "spleen" and selector.segmentIDs() == ("liver", "spleen")
    segmentation.GetSegmentation().AddEmptySegment("aorta", "aorta")
    assert selector.segmentIDs() == ("liver", "spleen", "aorta") and selector.currentSegmentID() == "spleen"
    selector.multiSelection = True
    selector.setSelectedSegmentIDs(["liver", "aorta"])
    assert selector.selectedSegmentIDs() == ("liver", "aorta")


def test_a_selector_without_none_chooses_by_itself(slicer, ct):
    """The first node of its scene; in an empty list, if it offers nothing else, the first one that comes."""

    def selector(none, add, scene_first):
        box = slicer.qMRMLNodeComboBox()
        box.nodeTypes, box.noneEnabled, box.addEnabled, box.removeEnabled = ["vtkMRMLTableNode"], none, add, False
        if scene_first:
            box.setMRMLScene(slicer.mrmlScene)
        return box

    early = {(none, add): selector(none, add, True) for none in (False, True) for add in (False, True)}
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    chosen = {key: box.currentNode() for key, box in early.items()}
    assert chosen == {(False, False): table, (False, True): None, (True, False): None, (True, True): None}
    for add in (False, True):
        for none in (False, True):
            late = selector(none, add, False)
            late.setMRMLScene(slicer.mrmlScene)
            assert late.currentNode() is (None if none else table)


def test_one_click_places_a_point_in_the_real_slice_view(slicer, ct):
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Place")
    points.CreateDefaultDisplayNodes()
    place = slicer.qSlicerMarkupsPlaceWidget()
    place.placeMultipleMarkups = slicer.qSlicerMarkupsPlaceWidget.ForcePlaceSingleMarkup
    place.setMRMLScene(slicer.mrmlScene)
    place.setCurrentNode(points)
    heard = signals(place, "activeMarkupsPlaceModeChanged(bool)")
    click(place.placeButton())
    assert place.placeModeEnabled
    height = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceOffset()
    click_in_slice("Red", (10, -6, height))
    assert points.GetNumberOfDefinedControlPoints() == 1
    assert points.GetNthControlPointPositionWorld(0) == pytest.approx((10, -6, height), abs=0.3)
    assert not place.placeModeEnabled and heard[0][1] is True and heard[-1][1] is False


def test_place_mode_needs_a_scene(slicer):
    place = slicer.qSlicerMarkupsPlaceWidget()
    with pytest.raises(NotInSlicer, match="setMRMLScene"):
        place.setPlaceModeEnabled(True)


def test_roi_is_chosen_like_any_node(slicer, ct):
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.SetSize(20, 30, 40)
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ("vtkMRMLMarkupsROINode",)
    assert not box.enabled
    box.setMRMLScene(slicer.mrmlScene)
    assert box.enabled and box.nodeCount() == 1
    box.setCurrentNode(roi)
    slicer.mrmlScene.RemoveNode(roi)
    assert box.currentNode() is None


def test_table_view(slicer):
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Findings")
    slicer.util.updateTableFromArray(table, [np.array([1, 2]), np.array([5.5, 6.5])], ["finding", "diameter"])
    view = slicer.qMRMLTableView()
    view.setMRMLTableNode(table)
    heard = signals(view, "selectionChanged()")
    assert view.model().index(1, 1).data() == "6.5"
    view.selectRow(1)
    assert heard and view.selectionModel().selectedRows()[0].row() == 1


def test_sliders_and_ranges(slicer):
    import ctk
    import qt

    slider = ctk.ctkSliderWidget()
    slider.minimum, slider.maximum, slider.singleStep, slider.decimals = -10, 10, 0.25, 2
    heard = signals(slider, "valueChanged(double)")
    slider.value = 40
    assert slider.value == 10 and heard == [("valueChanged", 10.0)]
    for name in ("setMinimum", "setRange", "setSingleStep"):
        with pytest.raises(NotInSlicer, match=name):
            getattr(slider, name)
    slider._spin.selectAll()
    type_text(slider._spin, "2.5")
    assert slider.value == 2.5

    window = slicer.qMRMLRangeWidget()
    window.maximum = 200
    heard = signals(window, "valuesChanged(double,double)")
    window.setValues(120, 150)
    assert (window.minimumValue, window.maximumValue) == (120, 150) and heard[-1][1:] == (120.0, 150.0)

    fine = ctk.ctkDoubleSlider(qt.Qt.Horizontal)
    fine.maximum, fine.singleStep = 1, 0.1
    fine.value = 0.37
    assert fine.value == pytest.approx(0.37)
    fine._slider.value = 500
    assert fine.value == pytest.approx(0.5)


def test_collapsible_button_hides_its_contents(slicer):
    import ctk
    import qt

    button = ctk.ctkCollapsibleButton("Advanced")
    layout = qt.QVBoxLayout(button)
    shown, hidden = qt.QLabel("a"), qt.QLabel("b")
    hidden.visible = False
    layout.addWidget(shown)
    layout.addWidget(hidden)
    button.collapsed = True
    button.show()
    assert not shown.visible and not button.checked
    heard = signals(button, "contentsCollapsed(bool)")
    qt.QTest.keyClick(button, qt.Qt.Key_Space)
    assert shown.visible and not hidden.visible and heard == [("contentsCollapsed", False)]
    button.hide()


def test_panel_attributes_do_not_survive_on_stand_ins(slicer):
    import ctk

    for widget in (ctk.ctkSliderWidget(), slicer.qMRMLNodeComboBox(), slicer.app):
        for name in ("task", "_task"):
            with pytest.raises(NotInSlicer, match=name):
                setattr(widget, name, 1)
    for missing in ("setBusy", "notThere"):
        with pytest.raises(NotInSlicer, match=missing):
            getattr(slicer.app, missing)
