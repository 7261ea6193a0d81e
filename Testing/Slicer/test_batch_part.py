"""The batch section: a folder of real CT crops, a broken file among them, real processes, and the buttons clicked."""

from __future__ import annotations

import csv
import os
import subprocess

import pytest
import SimpleITK as sitk
from panel_run import choose, end
from panels import DATA
from patience import AT_ONCE, PATIENCE

pytest.importorskip("slicer")
import harness
from harness import click, wait_until

STEPS_TO_CANCEL = 1000  # hours


@pytest.fixture
def scans(tmp_path):
    """Two crops of the repository's chest CT, and a file that breaks off."""
    folder = tmp_path / "scans"
    folder.mkdir()
    image = sitk.ReadImage(str(DATA / "chest_ts_aorta.nii.gz"))[20:68, 20:68, 40:64]
    sitk.WriteImage(image, str(folder / "first.nii.gz"))
    sitk.WriteImage(image + 3, str(folder / "third.mha"))
    (folder / "second.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    return folder


@pytest.fixture
def panel(slicer, cold_home, tmp_path, monkeypatch, scans, open_panel):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    widget = open_panel("MedDiffFMDenoise")
    ui = widget.ui
    choose(ui.modelBox, "tiny")
    choose(ui.deviceBox, "cpu")
    choose(ui.regionBox, "chest")
    ui.batchSection.collapsed = False
    slicer.app.processEvents()
    harness.dialogs.choose_file(str(scans), str(tmp_path / "results"))
    click(ui.batchInputButton)
    click(ui.batchOutputButton)
    yield widget
    end(widget)


def rows(panel):
    table = panel.ui.batchTable
    texts = [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]
    return {name: (state, message) for name, state, message in texts}


def descendants(pid: int) -> list[int]:
    """Of a process, those that live, in whatever session."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, encoding="utf-8").stdout
    parents = {int(p): int(parent) for p, parent, state in map(str.split, listed.splitlines()) if state[0] != "Z"}
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def test_a_folder_with_a_broken_file(panel, tmp_path):
    """Two are done, one is reported; a second click does nothing again."""
    from MedDiffFMPanels.runner.job import sharedWorker

    ui, out = panel.ui, tmp_path / "results"
    choose(ui.qualityBox, "fast")
    assert ui.batchRunButton.enabled, ui.batchRunButton.toolTip
    assert not ui.batchOpenButton.enabled and ui.batchTable.isHidden()
    click(ui.batchRunButton)
    assert ui.batchRunButton.text == "Cancel" and ui.batchProgressBar.visible
    assert sharedWorker().job is panel.batch, "a run or another batch would not be refused"
    wait_until(lambda: not panel.batch.running, PATIENCE)
    assert ui.batchStatusLabel.text == "2 of 3 done, 1 failed.", rows(panel)
    found = rows(panel)
    assert {name: state for name, (state, _) in found.items()} == {
        "first": "done",
        "second": "failed",
        "third": "done",
    }
    assert "second.nrrd" in found["second"][1] and "Noise" in found["first"][1]
    assert ui.runButton.text == "Run" and ui.batchOpenButton.enabled and ui.batchProgressBar.isHidden()
    assert sorted(path.name for path in out.iterdir()) == [
        *("first.json", "first.nii.gz", "status.csv", "third.json", "third.mha")
    ]
    made = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    click(ui.batchRunButton)
    wait_until(lambda: not panel.batch.running, PATIENCE)
    assert {name: state for name, (state, _) in rows(panel).items()} == {
        "first": "done before",
        "second": "failed",
        "third": "done before",
    }
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")} == made


def test_cancel_in_the_middle_and_going_on(panel, tmp_path, scans):
    """At once no process is left, nothing is half written; a click goes on from there."""
    ui, out = panel.ui, tmp_path / "results"
    (scans / "second.nrrd").unlink()
    image = sitk.ReadImage(str(DATA / "chest_ts_aorta.nii.gz"))[:96, :96, 40:88]
    sitk.WriteImage(image, str(scans / "third.mha"))  # sixteen times the first one: not done before the click
    choose(ui.qualityBox, "fast")
    click(ui.batchRunButton)
    wait_until(lambda: rows(panel).get("first", ("",))[0] == "done", PATIENCE)
    processes = [panel.batch._command.pid, *descendants(panel.batch._command.pid)]
    assert len(processes) == 2, "the batch and its worker"
    click(ui.batchRunButton)
    wait_until(lambda: not panel.batch.running and not any(alive(pid) for pid in processes), AT_ONCE)
    assert ui.batchStatusLabel.text == "Cancelled: 1 of 2 done. Run it again to continue."
    assert hidden(out) == [] and not (out / "third.mha").exists()
    with open(out / "status.csv", newline="", encoding="utf-8") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "waiting"]
    made = (out / "first.json").stat().st_mtime_ns
    click(ui.batchRunButton)
    wait_until(lambda: not panel.batch.running, PATIENCE)
    assert ui.batchStatusLabel.text == "2 of 2 done."
    assert [state for state, _ in rows(panel).values()] == ["done before", "done"]
    assert (out / "first.json").stat().st_mtime_ns == made


def test_a_closed_panel_leaves_no_process(panel):
    ui = panel.ui
    ui.stepsBox.value = STEPS_TO_CANCEL
    click(ui.batchRunButton)
    wait_until(lambda: "running" in [state.split(",")[0] for state, _ in rows(panel).values()], PATIENCE)
    processes = [panel.batch._command.pid, *descendants(panel.batch._command.pid)]
    panel.onQuit()
    wait_until(lambda: not any(alive(pid) for pid in processes))
    assert not panel.batch.running and ui.batchSection.visible


def type_into(edit, text):
    import qt

    edit.text = str(text)
    harness.press(edit, qt.Qt.Key_Return)


def test_folders_are_looked_at_only_once_they_are_typed(slicer, panel, tmp_path, monkeypatch):
    """A server that does not answer would halt Slicer at each key; a click on Run looks too."""
    from MedDiffFMPanels.sections import batch as batch_part

    asked = []
    for name in ("isdir", "isfile", "realpath"):
        real = getattr(os.path, name)
        spy = lambda path, real=real: asked.append(str(path)) or real(path)  # noqa: E731
        monkeypatch.setattr(batch_part.os.path, name, spy)
    ui = panel.ui
    ui.batchInputEdit.text = ""
    harness.type_text(ui.batchInputEdit, "/no/where")
    panel.update()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    assert [path for path in asked if "/no" in path] == []
    assert ui.batchRunButton.enabled and not ui.batchOpenButton.enabled
    click(ui.batchRunButton)
    assert not panel.batch.running and ui.batchStatusLabel.text == "Choose the folder with the inputs."
    assert "/no/where" in asked


def test_paths_of_this_computer_stay_here(slicer, panel, tmp_path):
    """A scene that is given away names no folder; the panel knows them as long as Slicer runs."""
    path, typed = tmp_path / "given.mrml", panel.ui.batchInputEdit.text
    panel.ui.batchMaskEdit.text = "/home/me/masks/{name}.nii.gz"
    assert slicer.util.saveScene(str(path))
    text = path.read_text(encoding="utf-8")
    assert typed and typed not in text and "/home/me" not in text
    slicer.mrmlScene.Clear(False)
    assert panel.ui.batchInputEdit.text == typed


def test_what_cannot_be_is_said(panel, tmp_path, scans):
    ui = panel.ui
    assert ui.batchRunButton.enabled
    type_into(ui.batchOutputEdit, scans)
    assert not ui.batchRunButton.enabled and "another folder" in ui.batchRunButton.toolTip
    type_into(ui.batchOutputEdit, tmp_path / "results")
    type_into(ui.batchInputEdit, tmp_path / "nowhere")
    assert not ui.batchRunButton.enabled
    assert "folder with the inputs" in ui.batchRunButton.toolTip
    empty = tmp_path / "empty"
    empty.mkdir()
    type_into(ui.batchInputEdit, empty)
    click(ui.batchRunButton)
    wait_until(lambda: not panel.batch.running, PATIENCE)
    assert "empty holds no volumes: put files" in ui.batchStatusLabel.text
    assert not os.path.exists(tmp_path / "results")


def test_masks_are_paired_by_name_and_tables_are_written(slicer, open_panel, tmp_path):
    """The words of the command, for tasks with a second input or further outputs."""
    masks = open_panel("MedDiffFMInpaintLesion")
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    assert "scan7" in masks.ui.batchIntroLabel.text and not masks.ui.batchMaskRow.isHidden()
    masks.ui.batchInputEdit.text, masks.ui.batchOutputEdit.text = str(source), str(out)
    assert "lesion masks" in masks.batch.problem()
    harness.dialogs.choose_file(str(tmp_path / "masks"))
    click(masks.ui.batchMaskButton)
    words = masks.batch._arguments()
    assert words[:4] == ["batch", "inpaint-lesion", str(source), str(out)]
    assert words[words.index("--lesion-mask") + 1] == str(tmp_path / "masks" / "{name}.nii.gz")
    detect = open_panel("MedDiffFMDetectAnomalies")
    detect.ui.batchInputEdit.text, detect.ui.batchOutputEdit.text = str(source), str(out)
    words = detect.batch._arguments()
    assert words[words.index("--findings") + 1] == str(out / "{name}-findings.csv")
    assert words[words.index("--mask") + 1] == str(out / "{name}-mask.nii.gz") and detect.ui.batchMaskRow.isHidden()


def test_why_a_batch_cannot_run_is_read_above_its_button(panel, scans):
    ui = panel.ui
    assert ui.batchRunButton.enabled and ui.batchReasonLabel.isHidden()
    ui.batchOutputEdit.text = str(scans)
    assert not ui.batchRunButton.enabled and ui.batchReasonLabel.isVisible()
    assert "another folder for the results" in ui.batchReasonLabel.text
