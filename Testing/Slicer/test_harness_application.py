"""slicer.app and what stands around it: files and scenes, dialogs, packages, sample data, settings, pictures."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from harness import dialogs, packages, without_main_window
from harness.errors import NotInSlicer


@pytest.fixture
def volume(slicer):
    voxels = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=np.diag([-1.0, -1, 2, 1]), name="CT")


@pytest.mark.parametrize("suffix", ["mrb", "mrml"])
def test_a_scene_is_saved_and_loaded(slicer, volume, tmp_path, suffix):
    parameters = slicer.ScriptedLoadableModule.ScriptedLoadableModuleLogic().getParameterNode()
    parameters.SetParameter("strength", "0.5")
    parameters.SetNodeReferenceID("input", volume.GetID())
    if suffix == "mrml":
        assert slicer.util.saveNode(volume, str(tmp_path / "CT.nrrd"))
    assert slicer.util.saveScene(str(tmp_path / f"scene.{suffix}"))
    expected = slicer.util.arrayFromVolume(volume).copy()
    events = []
    scene = slicer.mrmlScene
    names = ("StartCloseEvent", "EndCloseEvent")
    tags = [scene.AddObserver(getattr(scene, name), lambda *_, name=name: events.append(name)) for name in names]
    scene.Clear(False)
    for tag in tags:
        scene.RemoveObserver(tag)
    assert events == ["StartCloseEvent", "EndCloseEvent"] and not slicer.util.getNodes("CT")
    slicer.util.loadScene(str(tmp_path / f"scene.{suffix}"))
    loaded = slicer.ScriptedLoadableModule.ScriptedLoadableModuleLogic().getParameterNode()
    assert loaded.GetParameter("strength") == "0.5"
    assert np.array_equal(slicer.util.arrayFromVolume(loaded.GetNodeReference("input")), expected)


def test_messages_are_recorded_and_questions_answered(slicer):
    dialogs.answer("yes", False, "cancel")
    assert slicer.util.confirmYesNoDisplay("Remove the model?")
    assert not slicer.util.confirmOkCancelDisplay("Download 2 GB?", detailedText="details")
    assert not slicer.util.confirmOkCancelDisplay("Again?")
    slicer.util.errorDisplay("The disk is full.", detailedText="the log")
    slicer.util.infoDisplay("Done.")
    assert [(box.kind, box.text, box.details) for box in dialogs.shown[-2:]] == [
        ("error", "The disk is full.", "the log"),
        ("info", "Done.", ""),
    ]
    assert dialogs.shown[0].answer == "yes" and dialogs.shown[1].details == "details"
    with pytest.raises(NotInSlicer, match="Really"):
        slicer.util.confirmYesNoDisplay("Really?")
    dialogs.answer("perhaps")
    with pytest.raises(NotInSlicer, match="no button 'perhaps'"):
        slicer.util.confirmYesNoDisplay("Really?")


def test_dialogs_and_file_choices(slicer, tmp_path):
    import qt

    dialogs.choose_file(str(tmp_path / "a.json"), "")
    assert qt.QFileDialog.getOpenFileName(None, "Open parameters") == str(tmp_path / "a.json")  # no filter beside it
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == ""
    dialog = qt.QDialog()
    dialogs.when_shown(lambda shown: shown.accept())
    assert dialog.exec_()
    with pytest.raises(NotInSlicer, match="does not answer"):
        dialog.exec_()


def test_packages_in_new_and_old_slicer(slicer):
    packages.pretend_missing("monai")
    assert slicer.packaging.pip_check("numpy>=1.26") and not slicer.packaging.pip_check(["numpy", "monai>=1.6"])
    dialogs.answer("no", "yes")
    with pytest.raises(RuntimeError, match="declined"):
        slicer.packaging.pip_ensure(["monai>=1.6"], requester="MedDiff-FM")
    slicer.packaging.pip_ensure(["numpy", "monai>=1.6"], requester="MedDiff-FM")
    assert [request.requirements for request in packages.requests] == [("monai>=1.6",)]
    assert slicer.packaging.pip_check("monai>=1.6" if "monai" in sys.modules else "numpy")
    packages.fail_next("No space left on device")
    with pytest.raises(subprocess.CalledProcessError):
        slicer.util.pip_install("torch")

    packages.as_in_slicer("5.10")
    assert not hasattr(slicer, "packaging")
    with pytest.raises(ImportError):
        import slicer.packaging
    with pytest.raises(TypeError):
        slicer.util.pip_install("torch", requester="MedDiff-FM")
    slicer.util.pip_install(["torch>=2.8"])
    assert packages.requests[-1].function == "slicer.util.pip_install"


def test_pytorch_extension_present_or_not(slicer):
    with pytest.raises(ImportError):
        import PyTorchUtils
    packages.pytorch_extension(True)
    import PyTorchUtils

    packages.pretend_missing("torch")
    assert not PyTorchUtils.PyTorchUtilsLogic.torchInstalled()


def test_sample_data_of_a_local_file(slicer, volume, tmp_path):
    import SampleData

    file = tmp_path / "small.nrrd"
    slicer.util.saveNode(volume, str(file))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    known = {"uris": file.as_uri(), "fileNames": "small.nrrd", "nodeNames": "Small", "sampleName": "Small CT"}
    logic = SampleData.SampleDataLogic
    logic.registerCustomSampleDataSource(category="Test data", checksums=f"SHA256:{digest}", **known)
    node = SampleData.downloadSample("Small CT")
    assert node.GetName() == "Small"
    assert np.array_equal(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(volume))
    wrong = known | {"sampleName": "Wrong", "fileNames": "wrong.nrrd"}
    logic.registerCustomSampleDataSource(category="Test data", checksums="SHA256:" + "0" * 64, **wrong)
    with pytest.raises(ValueError, match=r"[Cc]hecksum"):
        SampleData.downloadSample("Wrong")
    far = known | {"sampleName": "Far", "uris": "https://example.org/ct.nrrd"}
    logic.registerCustomSampleDataSource(category="Test data", **far)
    with pytest.raises(NotInSlicer, match="network"):
        SampleData.downloadSample("Far")


def test_settings_are_private(slicer):
    import qt

    slicer.app.settings().setValue("MedDiff-FM/model", "small")
    assert slicer.app.userSettings().value("MedDiff-FM/model") == "small"
    for settings in (slicer.app.settings(), qt.QSettings()):
        assert settings.fileName().startswith(slicer.app.temporaryPath)


def test_layout_and_no_main_window(slicer):
    manager = slicer.app.layoutManager()
    heard = []
    manager.connect("layoutChanged(int)", heard.append)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
    assert heard == [slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView] == [manager.layout]
    with pytest.raises(NotInSlicer, match="no layout"):
        manager.setLayout(98765)
    with without_main_window():
        assert slicer.app.layoutManager() is None and slicer.util.mainWindow() is None
    assert slicer.app.layoutManager() is manager


def test_application_signals(slicer):
    heard = []
    for signal in ("startupCompleted()", "aboutToQuit()"):
        slicer.app.connect(signal, lambda signal=signal: heard.append(signal))
    slicer.app.startupCompleted.emit()
    slicer.app.aboutToQuit.emit()
    assert heard == ["startupCompleted()", "aboutToQuit()"]
    with pytest.raises(NotInSlicer, match="startupDone"):
        slicer.app.connect("startupDone()", print)
    assert not slicer.app.extensionsManagerModel().isExtensionInstalled("PyTorch")
