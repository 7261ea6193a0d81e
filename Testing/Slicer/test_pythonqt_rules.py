"""PySide6 in PythonQt's clothes: what Slicer's Python allows works, what it refuses fails."""

import sys
from pathlib import Path

import pytest

qt = ctk = None


@pytest.fixture(autouse=True)
def modules(slicer):
    import ctk
    import qt

    globals().update(qt=qt, ctk=ctk)  # they exist only once the core runs


def test_properties_are_attributes_and_setters_stay():
    b = qt.QPushButton("x")
    b.text = "y"
    assert b.text == "y"
    b.setText("z")
    assert b.text == "z"
    b.name = "me"
    assert b.objectName == "me"
    with pytest.raises(TypeError):
        b.text()
    with pytest.raises(AttributeError):
        b.width = 3  # read-only property


def test_no_new_attributes_on_cpp_objects_but_on_python_subclasses():
    with pytest.raises(AttributeError):
        qt.QPushButton().color_of_text = 1
    with pytest.raises(AttributeError):
        ctk.ctkSliderWidget().color_of_text = 1

    class W(qt.QWidget):
        pass

    w = W()
    w.color_of_text = 1
    assert w.color_of_text == 1


def test_connect_by_string():
    b, hits = qt.QPushButton(), []
    b.connect("clicked(bool)", hits.append)
    b.connect("clicked()", lambda: hits.append("n"))
    b.click()
    assert hits == [False, "n"]
    for bad in ("clicked", "cliked(bool)", "clicked(int)"):
        with pytest.raises(AttributeError):
            b.connect(bad, print)
    s = ctk.ctkSliderWidget()
    s.connect("valueChanged(double)", hits.append)
    s.value = 4
    assert hits[-1] == 4.0
    b.disconnect("clicked(bool)", hits.append)


def test_dynamic_properties_children_and_static_methods(slicer):
    w = qt.QWidget()
    w.setProperty("dyn", 5)
    assert w.dyn == 5
    w.dyn = 6
    assert w.property("dyn") == 6
    label = qt.QLabel("t", w)
    label.objectName = "lab"
    assert w.lab is label
    got = []
    qt.QTimer.singleShot(0, lambda: got.append(1))
    slicer.app.processEvents()
    assert got == [1]


def test_none_is_not_lost(slicer):
    """PySide6 6.12.0 on Python 3.11 loses references to None and aborts in the end."""
    r = sys.getrefcount(None)
    for _ in range(500):
        slicer.app.processEvents()
        qt.QTimer.singleShot(0, print)
    assert r - sys.getrefcount(None) < 100


def test_values_convert_as_in_pythonqt_or_are_refused():
    spin, label, combo = qt.QSpinBox(), qt.QLabel(), qt.QComboBox()
    spin.value = 7.9
    assert spin.value == 7  # rounded down
    label.text = 5
    assert label.text == "5"
    label.alignment = qt.Qt.AlignRight
    assert label.alignment & qt.Qt.AlignRight
    combo.addItems(("a", "b"))
    assert [combo.itemText(index) for index in range(combo.count)] == ["a", "b"]
    path = ctk.ctkPathLineEdit()
    path.nameFilters = ["*.nrrd", "*.nii.gz"]
    assert path.nameFilters == ("*.nrrd", "*.nii.gz")
    for widget, name, value in (
        (label, "text", None),
        (label, "text", ["a"]),
        (spin, "value", "7"),
        (spin, "value", None),
        (ctk.ctkSliderWidget(), "value", "high"),
    ):
        with pytest.raises(AttributeError, match=f"Property '{name}' .* does not accept"):
            setattr(widget, name, value)


def test_lists_come_back_as_tuples():
    table = qt.QTableWidget(2, 1)
    table.setItem(1, 0, qt.QTableWidgetItem("x"))
    table.selectRow(1)
    assert isinstance(table.selectedItems(), tuple) and isinstance(table.children(), tuple)
    assert [index.row() for index in table.selectionModel().selectedRows()] == [1]


def test_slots_by_name_must_exist():
    box, label, slider = qt.QCheckBox(), qt.QLabel(), ctk.ctkSliderWidget()
    box.connect("toggled(bool)", label, "setVisible(bool)")
    slider.connect("valueChanged(double)", slider, "setValue(double)")
    for receiver, slot in ((label, "setVisibility(bool)"), (slider, "setMinimum(double)"), (slider, "_show()")):
        with pytest.raises(AttributeError, match="does not exist on"):
            box.connect("toggled(bool)", receiver, slot)
    for signal in ("toggled", "_validChanged(bool)"):
        with pytest.raises(AttributeError):
            box.connect(signal, print)


def test_slots_signals_and_methods_cannot_be_overwritten():
    for widget, name in ((qt.QPushButton(), "click"), (qt.QPushButton(), "clicked"), (slicer_widget(), "currentNode")):
        with pytest.raises(AttributeError, match=f"'{name}' can not be overwritten"):
            setattr(widget, name, print)


def slicer_widget():
    import slicer

    return slicer.qMRMLNodeComboBox()


def test_a_ui_file_with_an_unknown_property_or_class_fails(slicer, tmp_path):
    good = (Path(__file__).parent / "fake/FakeDenoise/Resources/UI/FakeDenoise.ui").read_text()
    for right, wrong in (
        ('<property name="singleStep">', '<property name="step">'),
        ("ctkSliderWidget", "ctkSlideWidget"),
        ("setMRMLScene(vtkMRMLScene*)", "setScene(vtkMRMLScene*)"),
    ):
        (tmp_path / "panel.ui").write_text(good.replace(right, wrong))
        with pytest.raises(AttributeError, match=wrong.split('"')[-2] if '"' in wrong else wrong.split("(")[0]):
            slicer.util.loadUI(str(tmp_path / "panel.ui"))


def test_errors_in_slots_timers_and_observers_reach_the_hook_that_the_fixture_reads(slicer, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_: seen.append(kind))
    button, timer = qt.QPushButton(), qt.QTimer()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    timer.connect("timeout()", lambda: [][0])
    timer.start(0)
    slicer.app.processEvents()
    timer.stop()
    tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, lambda *_: {}["node"])
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    slicer.mrmlScene.RemoveObserver(tag)
    assert seen[0] is ZeroDivisionError and IndexError in seen and seen[-1] is KeyError
