"""PySide6 in PythonQt's clothes: what Slicer's Python allows works, what it refuses fails."""

import sys

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
        qt.QPushButton().colour = 1
    with pytest.raises(AttributeError):
        ctk.ctkSliderWidget().colour = 1

    class W(qt.QWidget):
        pass

    w = W()
    w.colour = 1
    assert w.colour == 1


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
