"""The set-up: what is missing, half installed or there, and how it is put there."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import zipfile

import harness
import pytest

NAME = "meddiff_probe"


@pytest.fixture
def wheels(tmp_path):
    """A folder with one wheel, made by hand."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    files = {
        f"{NAME}/__init__.py": "ready = True\n",
        f"{NAME}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
        f"{NAME}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{NAME}-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(folder / f"{NAME}-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in (files | {f"{NAME}-1.0.dist-info/RECORD": record}).items():
            wheel.writestr(name, text)
    return folder


@pytest.fixture
def site(slicer, tmp_path, monkeypatch):
    """A folder in place of Slicer's site-packages, into which the real pip installs."""
    from MedDiffFMPanels.runner import environment

    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(environment, "PACKAGES", {NAME: (f"{NAME}>=1.0", 3)})

    def pip(arguments, constraints):
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--target",
            str(folder),
            "--upgrade",
            "-c",
            constraints,
        ]
        subprocess.run([*command, *arguments], check=True, capture_output=True)
        importlib.invalidate_caches()

    monkeypatch.setattr(environment, "_pipInstall", pip)
    yield folder
    sys.modules.pop(NAME, None)


def state():
    from MedDiffFMPanels.runner import environment

    (package,) = environment.packages()
    return package.state


def test_from_missing_to_half_to_ready_without_a_network(site, wheels):
    from MedDiffFMPanels.runner import environment

    assert state() == "missing" and environment.missing() == [NAME]
    environment.install([NAME], str(wheels))
    assert state() == "ready" and environment.missing() == []
    (site / NAME / "__init__.py").unlink()
    assert state() == "half installed", "files of the package are gone"
    environment.install([NAME], str(wheels))
    assert state() == "ready"
    shutil.rmtree(next(site.glob("*.dist-info")))
    assert state() == "half installed", "pip did not come to its end"
    environment.install([NAME], str(wheels))
    assert state() == "ready"


def test_a_version_that_does_not_fit(site, wheels, monkeypatch):
    from MedDiffFMPanels.runner import environment

    environment.install([NAME], str(wheels))
    monkeypatch.setattr(environment, "PACKAGES", {NAME: (f"{NAME}>=2", 3)})
    assert state() == "too old or too new"


def test_the_dialog_says_what_and_where_and_installs(site, wheels, slicer):
    from MedDiffFMPanels.dialogs.setup import SetUpDialog

    dialog = SetUpDialog()
    dialog.widget.show()
    assert "3 MB" in dialog.ui.introLabel.text and NAME in dialog.ui.packagesLabel.text
    dialog.ui.folderEdit.text = "/nowhere"
    harness.click(dialog.ui.installButton)
    assert "could not be installed" in dialog.ui.statusLabel.text and dialog.ui.installButton.enabled
    dialog.ui.folderEdit.text = str(wheels)
    harness.click(dialog.ui.installButton)
    assert dialog.ui.introLabel.text == "All packages are installed." and not dialog.ui.installButton.enabled


def test_what_makes_tasks_faster_is_offered_and_only_installed_if_chosen(site, wheels, slicer, monkeypatch):
    from MedDiffFMPanels.dialogs.setup import SetUpDialog
    from MedDiffFMPanels.runner import environment

    monkeypatch.setattr(environment, "OPTIONAL", {NAME: (f"{NAME}>=1.0", 60)})
    monkeypatch.setattr(environment, "PACKAGES", {"pytest": ("pytest>=1", 1)})
    dialog = SetUpDialog()
    dialog.widget.show()
    box, install = dialog.ui.fasterBox, dialog.ui.installButton
    assert dialog.ui.introLabel.text == "All packages are installed."
    assert box.visible and not box.checked and not install.enabled, "tasks run without it"
    harness.click(box)
    assert install.enabled and "60 MB" in dialog.ui.introLabel.text
    harness.click(box)
    assert not install.enabled
    harness.click(box)
    dialog.ui.folderEdit.text = str(wheels)
    harness.click(install)
    assert [p.state for p in environment.optionalPackages()] == ["ready"] and environment.missing() == []
    assert not SetUpDialog().ui.fasterBox.visible, "there is nothing more to offer"


def test_what_is_offered_is_the_extra_for_processors(slicer):
    from pathlib import Path

    import tomllib

    from MedDiffFMPanels.runner.environment import OPTIONAL

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [requirement for requirement, _ in OPTIONAL.values()] == project["optional-dependencies"]["cpu"]


OWN = ("numpy", "scipy", "SimpleITK", "pydicom")


def test_what_slicer_brings_is_ready_in_a_packaged_slicer(slicer, tmp_path, monkeypatch):
    """Slicer's package lacks the tests and scripts of its packages, and pip's record still names them."""
    from MedDiffFMPanels.runner import environment

    site = harness.packaged_python.skeleton(tmp_path / "site", *OWN)
    assert not (site / "numpy/tests/test_reloading.py").exists() and (site / "numpy/__init__.py").exists()
    monkeypatch.syspath_prepend(str(site))
    found = {package.name: package.state for package in environment.packages()}
    assert {name: found[name] for name in OWN} == dict.fromkeys(OWN, "ready")
    environment.install([name for name in environment.PACKAGES if name not in OWN])
    asked = [word for request in harness.packages.requests for word in request.requirements]
    assert not [word for word in asked if word.startswith(OWN)] and "--force-reinstall" not in asked


def test_the_packages_of_a_packaged_slicer_may_be_stripped_too(site, wheels, slicer):
    """A custom application may bring any of them, packaged by the same rule."""
    from MedDiffFMPanels.runner import environment

    environment.install([NAME], str(wheels))
    record = next(site.glob("*.dist-info/RECORD"))
    record.write_text(f"../../../bin/probe,,\n{NAME}/tests/a.py,,\n{NAME}/test/b.py,,\n" + record.read_text())
    assert state() == "ready"


def test_slicers_own_are_never_replaced(site, wheels, slicer, monkeypatch):
    """One that does not fit is named, with a way on; pip is not asked for it."""
    from MedDiffFMPanels.runner import environment

    environment.install([NAME], str(wheels))
    monkeypatch.setattr(environment, "PACKAGES", {NAME: (f"{NAME}>=2", 3)})
    monkeypatch.setattr(environment, "SLICERS_OWN", (NAME,))
    with pytest.raises(RuntimeError, match=f"{NAME} is 1.0, and {NAME}>=2 is needed"):
        environment.install([NAME], str(wheels))
    assert not harness.packages.requests


@pytest.mark.parametrize(("version", "function"), [("5.10", "slicer.util"), ("5.13", "slicer.packaging")])
def test_torch_comes_first_and_slicers_packages_stay(slicer, version, function):
    from MedDiffFMPanels.runner import environment

    harness.packages.as_in_slicer(version)
    environment.install(["monai", "torch", "einops"])
    first, second = harness.packages.requests
    assert first.function == second.function == f"{function}.pip_install"
    assert first.requirements[0] == "torch>=2.8,!=2.9.*" and "monai>=1.6,<1.7" in second.requirements
    assert not any("torch" in word for word in second.requirements)
    assert "-c" in first.requirements or first.options["constraints"]


def test_the_constraints_hold_slicers_versions(slicer):
    import numpy

    from MedDiffFMPanels.runner.environment import constraintsFile

    with constraintsFile() as path, open(path, encoding="utf-8") as file:
        lines = file.read().split()
    assert f"numpy=={numpy.__version__}" in lines and any(line.startswith("SimpleITK==") for line in lines)


def test_the_pytorch_extension_chooses_the_build(slicer):
    from MedDiffFMPanels.runner import environment

    harness.packages.pytorch_extension(True)
    environment.install(["torch"])
    (request,) = harness.packages.requests
    assert request.function == "PyTorchUtils.installTorch" and request.requirements == ("torch>=2.8,!=2.9.*",)


def test_the_pytorch_extension_mends_what_it_installed(slicer, monkeypatch):
    """Also where another package is half installed: what it does not choose is for the processor alone on Windows."""
    from MedDiffFMPanels.runner import environment

    harness.packages.pytorch_extension(True)
    real, broken = environment._state, {"monai", "torch"}
    half = ("half installed", "2.8.0")
    monkeypatch.setattr(environment, "_state", lambda name, *rest: half if name in broken else real(name, *rest))
    monkeypatch.setattr(environment, "missing", lambda: [])
    environment.install(["torch", "monai"])
    functions = [request.function for request in harness.packages.requests]
    assert functions[:2] == ["PyTorchUtils.uninstallTorch", "PyTorchUtils.installTorch"]
    assert functions[2:] and not [r for r in harness.packages.requests[2:] if "torch" in " ".join(r.requirements)]
