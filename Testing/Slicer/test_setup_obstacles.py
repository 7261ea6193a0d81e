"""What makes a set-up or a panel impossible is said before anything is tried."""

from __future__ import annotations

import types
from collections import namedtuple

import harness
import pytest
from panels import add_chest


@pytest.fixture
def on(slicer, monkeypatch):
    """Another system, as the module sees it."""
    from MedDiffFMPanels.runner import setup_obstacles

    def other(platform, machine="x86_64", folder=None, modules=()):
        system = types.SimpleNamespace(platform=platform, modules=dict.fromkeys(modules))
        monkeypatch.setattr(setup_obstacles, "sys", system)
        monkeypatch.setattr(setup_obstacles, "platform", types.SimpleNamespace(machine=lambda: machine))
        if folder:
            monkeypatch.setattr(setup_obstacles.sysconfig, "get_paths", lambda: {"purelib": str(folder)})
        return setup_obstacles

    return other


def version(monkeypatch, major, minor):
    from MedDiffFMPanels.runner import setup_obstacles

    app = types.SimpleNamespace(majorVersion=major, minorVersion=minor)
    monkeypatch.setattr(setup_obstacles, "slicer", types.SimpleNamespace(app=app))
    return setup_obstacles


@pytest.mark.parametrize(
    ("major", "minor", "fits"), [(5, 8, False), (4, 11, False), (5, 10, True), (5, 13, True), (6, 0, True)]
)
def test_the_versions_of_slicer(slicer, monkeypatch, major, minor, fits):
    problem = version(monkeypatch, major, minor).slicerProblem()
    assert (problem is None) == fits
    if problem:
        assert f"needs Slicer 5.10 or newer, and this is Slicer {major}.{minor}." in problem.text
        assert "Install a newer Slicer" in problem.text


def test_a_panel_in_an_old_slicer_says_so_and_does_not_run(slicer, monkeypatch, open_panel):
    version(monkeypatch, 5, 8)
    add_chest()
    panel = open_panel("MedDiffFMDenoise")
    assert not panel.ui.runButton.enabled and "needs Slicer 5.10 or newer" in panel.ui.reasonLabel.text


def test_a_mac_with_an_intel_processor(on):
    setup_obstacles = on("darwin")
    said = setup_obstacles.obstacle(["torch"]).text
    assert "no longer made for Macs with Intel processors" in said and "Where it runs" in said
    assert setup_obstacles.obstacle([]) is None, "nothing is missing"
    assert on("darwin", "arm64").obstacle(["torch"]) is None


def test_pytorch_that_is_in_use_is_not_replaced_on_windows(on):
    said = on("win32", modules=["torch"]).obstacle(["torch"]).text
    assert "using it" in said and "Restart Slicer" in said
    assert on("win32", modules=["torch"]).obstacle(["monai"]) is None
    assert on("linux", modules=["torch"]).obstacle(["torch"]) is None


@pytest.mark.parametrize(
    ("platform", "way"), [("darwin", "Applications"), ("win32", "current user only"), ("linux", "folder of your own")]
)
def test_a_folder_that_cannot_be_written_to(on, tmp_path, platform, way):
    said = on(platform, "arm64", tmp_path / "nowhere").obstacle(["monai"]).text
    assert f"Nothing can be written to {tmp_path / 'nowhere'}." in said and way in said


def test_the_dialog_names_the_obstacle_and_installs_nothing(on, monkeypatch):
    from MedDiffFMPanels.dialogs.setup import SetUpDialog
    from MedDiffFMPanels.runner import environment

    monkeypatch.setattr(environment, "PACKAGES", {"meddiff_probe": ("meddiff_probe>=1", 3)})
    on("darwin")
    dialog = SetUpDialog()
    assert "Intel processors" in dialog.ui.introLabel.text and not dialog.ui.installButton.enabled


def test_what_may_go_wrong_is_said_before(on, tmp_path, monkeypatch):
    """3 GB to download may take 9 GB; Windows takes paths of 259 characters, and one of PyTorch's files has 171."""
    from MedDiffFMPanels.runner.environment import Package

    needed = [Package("torch", "torch>=2.8", 3000, "missing")]
    short, long = tmp_path, tmp_path / ("x" * 60) / ("y" * 60)
    long.mkdir(parents=True)
    setup_obstacles = on("win32", folder=long)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(setup_obstacles.shutil, "disk_usage", lambda folder: usage(0, 0, int(8.9e9)))
    full, length = setup_obstacles.warnings(needed)
    assert "8.9 GB left" in full and "9.0 GB" in full
    assert f"long ({len(str(long))} characters)" in length and "long paths" in length
    monkeypatch.setattr(setup_obstacles.shutil, "disk_usage", lambda folder: usage(0, 0, int(9.1e9)))
    assert on("win32", folder=short).warnings(needed) == []


def test_megabytes_of_pytorch(slicer, monkeypatch):
    """On Windows the PyTorch extension may choose a build for the card, ten times as large."""
    from MedDiffFMPanels.runner import environment

    monkeypatch.setattr(environment, "sys", types.SimpleNamespace(platform="win32"))
    assert environment._megabytes("torch") == environment.TORCH_MEGABYTES
    harness.packages.pytorch_extension(True)
    assert environment._megabytes("torch") == 3000


def test_dialogs_do_not_stay(slicer, monkeypatch):
    """Each would be one more hidden child of Slicer's main window."""
    from MedDiffFMPanels.dialogs.models import manageModels
    from MedDiffFMPanels.dialogs.setup import offerSetUp

    window = slicer.util.mainWindow()
    harness.delete_now()  # what earlier tests have left to the event loop
    before = set(window.children())
    for show in (manageModels, offerSetUp):
        harness.dialogs.when_shown(lambda dialog: dialog.reject())
        show(window)
    slicer.app.processEvents()
    harness.delete_now()
    assert set(window.children()) - before == set()
