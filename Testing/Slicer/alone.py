"""A panel in an interpreter of its own, where nobody has imported anything before: python alone.py MODULE WAY FOLDER.

WAY: `empty` opens it on an empty scene and loads the data afterwards, `loaded` the other way around, `second` opens
another panel before. FOLDER: volumes of `save_study`. With `run` behind them, to a result. What is left is printed as
JSON: see `test_alone.py`.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import harness  # noqa: E402 - after the paths

OF_ORGANS = ("MedDiffFMSynthesize", "MedDiffFMGenerateLesion")
PATIENCE = 600
LONG_MS = 10_000  # longer are the text of the status bar and what ends an idle worker; processes are counted too


def main(module, way, folder, *more):
    slicer = harness.start()
    assert not hasattr(sys.modules["vtk"], "util"), "somebody has imported vtk.util before the panel"
    errors = []
    sys.excepthook = lambda kind, error, trace: errors.append(f"{kind.__name__}: {error}")
    if way == "second":
        harness.leave_module(open_panel("MedDiffFMDenoise" if module in OF_ORGANS else "MedDiffFMSynthesize"))
    if way != "empty":
        load(slicer, module, folder)
    panel = open_panel(module)
    if way == "empty":
        load(slicer, module, folder)
    slicer.app.processEvents()
    report = {"chosen": panel.inputNode.GetName() if panel.inputNode else None}
    if "run" in more:
        report["result"] = run(slicer, panel, module)
    harness.leave_module(panel)
    harness.enter_module(panel)
    report |= what_stays(slicer, panel)
    print(json.dumps(report | {"errors": errors}))
    sys.stdout.flush()
    os._exit(0)  # Qt's own end in a process without a window says nothing of the panels


def open_panel(module):
    return harness.open_module(HERE.parents[1] / "MedDiffFM" / module / f"{module}.py")


def load(slicer, module, folder):
    """As File › Add data does."""
    if module in OF_ORGANS:
        slicer.util.loadSegmentation(str(Path(folder) / "Organs.seg.nrrd"))
    else:
        slicer.util.loadVolume(str(Path(folder) / "Chest.nrrd"))


def choose(combo, key):
    combo.setCurrentIndex(combo.findData(key))
    assert combo.currentData == key, key


def run(slicer, panel, module):
    """Two steps of a tiny model; for the lesion panels with an ellipsoid at one click. The first result's name."""
    ui, source = panel.ui, panel.inputNode
    choose(ui.modelBox, "tiny")
    choose(ui.regionBox, "chest")
    if hasattr(ui, "qualityBox"):
        choose(ui.qualityBox, "fast")
    ui.stepsBox.value = 2
    if module not in OF_ORGANS:
        choose(ui.anatomyBox, "threshold" if module == "MedDiffFMDetectAnomalies" else "none")
    if module == "MedDiffFMSuperResolve":
        ui.spacingBox.value = 0.75
    if "Lesion" in module:
        choose(ui.kindBox, "lung")
        place_ellipsoid(slicer, ui, source)
    harness.wait_until(lambda: ui.runButton.enabled or panel.logic.busy, PATIENCE)
    harness.click(ui.runButton)
    harness.wait_until(lambda: not panel.logic.busy, PATIENCE)
    assert ui.messageFrame.isHidden(), ui.messageLabel.text
    return slicer.mrmlScene.GetNodeByID(panel.result.shownId).GetName()


def place_ellipsoid(slicer, ui, source):
    bounds = [0.0] * 6
    source.GetRASBounds(bounds)
    center = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
    canvas = ui.editor.sourceVolumeNode()
    slicer.util.setSliceViewerLayers(background=canvas, fit=True)
    slicer.app.layoutManager().resetSliceViews()
    for name in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().JumpSliceByCentering(*center)
    ui.diameterBox.value = 12
    harness.click(ui.placeButton)
    harness.click_in_slice("Red", center)


def what_stays(slicer, panel):
    """What is still there once the scene is closed, and once the panel is too."""
    alive, scene = {}, slicer.mrmlScene
    for number in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(number)
        if node.IsA("vtkMRMLDisplayableNode") or node.IsA("vtkMRMLTableNode") or node.IsA("vtkMRMLColorTableNode"):
            key = node.GetID()
            if not node.GetSingletonTag() and key != node.GetClassName() + node.GetName():  # the core's own colors
                alive[key] = node.GetName()
                node.AddObserver("DeleteEvent", lambda caller, event, key=key: alive.pop(key, None))
    counted, node = len(alive), None
    scene.Clear(False)
    slicer.app.processEvents()
    gc.collect()
    report = {"counted": counted, "nodes": sorted(alive.values())}
    report["active"] = [one.interval for one in timers() if one.isActive() and one.interval < LONG_MS]
    harness.close_module(panel)
    slicer.app.processEvents()
    report["active"] += [one.interval for one in timers() if one.isActive() and one.interval < LONG_MS]
    report["children"] = children()
    report["folders"] = [path.name for path in Path(slicer.app.temporaryPath).glob("MedDiffFM-*")]
    return report


def timers():
    import qt
    import shiboken6

    return [one for one in gc.get_objects() if isinstance(one, qt.QTimer) and shiboken6.isValid(one)]


def children():
    """Command lines of the processes that this one has started and that still run."""
    found = subprocess.run(["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if not line.startswith("ps ") and "<defunct>" not in line]


if __name__ == "__main__":
    main(*sys.argv[1:])
