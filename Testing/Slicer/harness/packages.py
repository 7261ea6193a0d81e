"""slicer.packaging, slicer.util.pip_install and the PyTorch extension, recorded: nothing is ever installed.

harness.packages.pretend_missing("torch", "monai")     # what pip_check() then says
harness.packages.fail_next("no space left on device")  # the next installation fails as pip would
harness.packages.as_in_slicer("5.10")                  # without slicer.packaging
harness.packages.pytorch_extension(True)               # import PyTorchUtils works
assert harness.packages.requests[0].requirements == ("torch>=2.8",)
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

from . import dialogs
from .errors import NotInSlicer


@dataclass(frozen=True)
class Request:
    """One call that would install: by which function, what, and with which other arguments."""

    function: str
    requirements: tuple[str, ...]
    options: dict = field(default_factory=dict)


requests: list[Request] = []
_missing: set[str] = set()
_failures: list[str] = []
_real: dict = {}


def reset() -> None:
    """Everything that is really installed is there, Slicer is the newest, no PyTorch extension, no request yet."""
    requests.clear()
    _missing.clear()
    _failures.clear()
    as_in_slicer("5.13")
    pytorch_extension(False)


def pretend_missing(*distributions: str) -> None:
    _missing.update(name.lower() for name in distributions)


def fail_next(output: str) -> None:
    _failures.append(output)


def as_in_slicer(version: str) -> None:
    """slicer.packaging came with 5.12; before there is only slicer.util.pip_install."""
    import slicer

    if tuple(int(part) for part in version.split(".")[:2]) >= (5, 12):
        slicer.packaging = sys.modules["slicer.packaging"] = _real["packaging"]
        slicer.util.pip_install = _real["pip_install"]
    else:
        slicer.__dict__.pop("packaging", None)
        sys.modules["slicer.packaging"] = None  # import fails
        slicer.util.pip_install = _pip_install_5_10


def pytorch_extension(present: bool) -> None:
    sys.modules["PyTorchUtils"] = _real["PyTorchUtils"] if present else None


def install(slicer) -> None:
    """Publish the modules; called once by harness.start()."""
    packaging = types.ModuleType("slicer.packaging", "stand-in of Base/Python/slicer/packaging.py")
    for function in (load_requirements, pip_check, pip_ensure, pip_install, isPipInstallInProgress):
        setattr(packaging, function.__name__, function)
    torch_utils = types.ModuleType("PyTorchUtils", "stand-in of the PyTorch extension's module")
    torch_utils.PyTorchUtilsLogic = PyTorchUtilsLogic
    _real.update(packaging=packaging, PyTorchUtils=torch_utils, pip_install=slicer.util.pip_install)
    reset()


def load_requirements(path):
    """The packaging.requirements.Requirement of each line of a requirements file."""
    from packaging.requirements import Requirement

    lines = [line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line]


def pip_check(req) -> bool:
    """Whether requirement(s) are fulfilled by what is installed and not pretended missing."""
    return all(_fulfilled(requirement) for requirement in _parsed(req))


def _parsed(requirements):
    from packaging.requirements import Requirement

    several = requirements if isinstance(requirements, (list, tuple)) else [requirements]
    return [Requirement(str(requirement)) for requirement in several]


def _fulfilled(requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    if requirement.name.lower() in _missing:
        return False
    try:
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def isPipInstallInProgress() -> bool:
    return False


def pip_ensure(
    requirements,
    constraints=None,
    skip_packages=None,
    prompt_install=True,
    prompt_restart=True,
    requester=None,
    skip_in_testing=True,
    show_progress=True,
):
    """Ask once, install what is missing; RuntimeError when declined, CalledProcessError when pip fails."""
    import slicer

    missing = [str(requirement) for requirement in _parsed(requirements) if not pip_check(str(requirement))]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return None
    if prompt_install and dialogs.ask(f"{requester or 'This module'} needs {', '.join(missing)}") not in (
        "yes",
        "ok",
        True,
    ):
        raise RuntimeError("User declined package installation")
    return pip_install(missing, constraints=constraints, skip_packages=skip_packages, requester=requester)


def pip_install(
    requirements,
    constraints=None,
    no_deps_requirements=None,
    skip_packages=None,
    blocking=True,
    show_progress=True,
    requester=None,
    logCallback=None,
    completedCallback=None,
):
    """Record; afterwards the packages count as installed. Without `blocking` the callbacks come from the event loop."""
    options = {"constraints": constraints, "no_deps_requirements": no_deps_requirements, "skip_packages": skip_packages}
    code = 0
    try:
        _record("slicer.packaging.pip_install", requirements, options | {"requester": requester, "blocking": blocking})
    except subprocess.CalledProcessError as error:
        if blocking:
            raise
        code = error.returncode
    if not blocking:
        from PySide6.QtCore import QTimer

        for callback, value in ((logCallback, "Collecting"), (completedCallback, code)):
            if callback is not None:
                QTimer.singleShot(0, lambda callback=callback, value=value: callback(value))
    return [] if skip_packages else None


def _pip_install_5_10(requirements):
    """slicer.util.pip_install of Slicer 5.10: a text or a list, nothing else."""
    _record("slicer.util.pip_install", requirements, {})


def _record(function: str, requirements, options: dict) -> None:
    wanted = tuple(requirements.split()) if isinstance(requirements, str) else tuple(map(str, requirements))
    requests.append(Request(function, wanted, options))
    if _failures:
        raise subprocess.CalledProcessError(1, ["pip", "install", *wanted], output=_failures.pop(0))
    for requirement in wanted:
        if not requirement.startswith("-") and "/" not in requirement:
            _missing.discard(_parsed(requirement)[0].name.lower())


class PyTorchUtilsLogic:
    """PyTorchUtils.PyTorchUtilsLogic of the extension SlicerPyTorch (PyTorchUtils/PyTorchUtils.py)."""

    @staticmethod
    def torchInstalled():
        return pip_check("torch")

    @property
    def torch(self):
        if not self.torchInstalled():
            self.installTorch()
        return __import__("torch")

    def installTorch(
        self,
        askConfirmation=False,
        forceComputationBackend=None,
        torchVersionRequirement=None,
        torchvisionVersionRequirement=None,
    ):
        if askConfirmation and dialogs.ask("PyTorch will be downloaded and installed") not in ("yes", "ok", True):
            return None
        _record(
            "PyTorchUtils.installTorch",
            [f"torch{torchVersionRequirement or ''}"],
            {"forceComputationBackend": forceComputationBackend},
        )
        return __import__("torch")

    def uninstallTorch(self, askConfirmation=False, forceComputationBackend=None):
        _record("PyTorchUtils.uninstallTorch", ["torch", "torchvision"], {})

    def getCompatibleComputationBackends(self):
        return ["cpu"]

    def __getattr__(self, name):
        raise NotInSlicer(f"PyTorchUtilsLogic has no {name} in the harness")
