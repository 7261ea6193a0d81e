"""The Python packages that the tasks need in Slicer's Python: what stands, what is missing or half installed."""

import csv
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

TORCH = "torch"
# of PyTorch's wheel on PyPI: for NVIDIA's cards on Linux, for Apple's own on macOS, for the processor on Windows
TORCH_MEGABYTES = {"linux": 2500, "darwin": 100}.get(sys.platform, 200)
TORCH_CUDA_MEGABYTES = 3000  # on Windows, where the PyTorch extension may choose it
# name to import: (what pip is asked for, about how many MB it downloads)
PACKAGES = {
    TORCH: ("torch>=2.8,!=2.9.*", TORCH_MEGABYTES),
    "monai": ("monai>=1.6,<1.7", 2),
    "einops": ("einops>=0.8", 1),
    "safetensors": ("safetensors>=0.5", 1),
    "huggingface_hub": ("huggingface_hub>=0.30,<3", 5),
    "filelock": ("filelock>=3.15", 1),
    "typer": ("typer>=0.15", 1),
    "rich": ("rich>=13", 1),
    "numpy": ("numpy>=1.26,<3", 20),
    "scipy": ("scipy>=1.11", 40),
    "SimpleITK": ("SimpleITK>=2.4", 50),
    "pydicom": ("pydicom>=2.4.4,<4", 2),
}
SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "pydicom")  # these stay as they are, whatever state they are in
CHECKED_FILES = 40  # of each package, to see that its files are there
IGNORED_FILES = re.compile(r"\.pyc$|^/\.\.|/tests?/")


@dataclass(frozen=True)
class Package:
    """state: ready | missing | half installed | too old or too new"""

    name: str
    requirement: str
    megabytes: int
    state: str
    version: str = ""


def packages():
    """Every package with its state. Imports none of them."""
    importlib.invalidate_caches()
    return [Package(name, about[0], _megabytes(name), *_state(name, about[0])) for name, about in PACKAGES.items()]


def missing():
    """Names of the packages that a run would miss."""
    return [package.name for package in packages() if package.state != "ready"]


def _megabytes(name):
    byExtension = name == TORCH and sys.platform == "win32" and pyTorchExtension() is not None
    return TORCH_CUDA_MEGABYTES if byExtension else PACKAGES[name][1]


def _state(name, requirement):
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return ("half installed" if spec and spec.origin else "missing"), ""
    version = _version(distribution)
    # of its own packages, Slicer leaves out files that the record names
    if spec is None or not version or not (name in SLICERS_OWN or _filesExist(distribution)):
        return "half installed", version
    from packaging.requirements import Requirement

    fits = Requirement(requirement).specifier.contains(version, prereleases=True)
    return ("ready" if fits else "too old or too new"), version


def _version(distribution):
    """`distribution.metadata` would take apart all of it, with a long description."""
    found = re.search(r"^Version:\s*(\S+)", distribution.read_text("METADATA") or "", re.MULTILINE)
    return found[1] if found else ""


def _filesExist(distribution):
    """Whether some of a package's files, from its first to its last, are on the disk. Its tests and its scripts do not
    count: an application that brings the package may have left them out.
    """
    record = distribution.read_text("RECORD")  # which pip writes at the end
    if record is None:
        return False
    lines = record.splitlines()  # PyTorch has 10,000: `distribution.files` would take a tenth of a second
    some = lines[:: max(1, len(lines) // CHECKED_FILES)]
    names = [row[0] for row in csv.reader(some) if row and not IGNORED_FILES.search(f"/{row[0]}")]
    folder = os.fspath(distribution.locate_file(""))
    return all(os.path.exists(os.path.join(folder, name)) for name in names)


def unfitPackages():
    """Slicer's own packages that do not fit. No set-up can help there."""
    return [p for p in packages() if p.name in SLICERS_OWN and p.state == "too old or too new"]


def unfitText(package):
    found = {"name": package.name, "version": package.version, "needed": package.requirement}
    return _("Slicer's own {name} is {version}, and {needed} is needed.").format(**found)


def install(names, folder="", log=lambda text: None):
    """Install packages, PyTorch first, Slicer's own ones left as they are.

    names: of PACKAGES. folder: with wheels, in place of the network. RuntimeError names the step that failed.
    """
    for own in unfitPackages():
        raise RuntimeError(unfitText(own))
    repair = [
        p.name for p in packages() if p.state == "half installed" and p.name in names and p.name not in SLICERS_OWN
    ]
    steps = [([TORCH], _("PyTorch"))] if TORCH in names else []
    steps.append(([name for name in names if name != TORCH], _("the other packages")))
    for some, title in steps:
        if not some:
            continue
        log(_("Installing {what}… This may take minutes, in which Slicer does not answer.").format(what=title))
        try:
            if some != [TORCH] or folder or not _installWithPyTorchExtension(again=TORCH in repair):
                _pip(some, folder, repair)
        except Exception as error:
            raise RuntimeError(_("{what} could not be installed: {error}").format(what=title, error=error)) from error
    left = [name for name in missing() if name in names]
    if left:
        raise RuntimeError(_("Still not complete: {names}.").format(names=", ".join(left)))


def pyTorchExtension():
    """The module of the PyTorch extension, or None."""
    try:
        import PyTorchUtils
    except ImportError:
        return None
    return PyTorchUtils


def _installWithPyTorchExtension(again):
    """Let the PyTorch extension choose the build that fits the graphics card; False where it is not there. again: what
    is there is broken, and pip would take it for complete.
    """
    utils = pyTorchExtension()
    if utils is None:
        return False
    requirement = PACKAGES[TORCH][0].removeprefix(TORCH)
    logic = utils.PyTorchUtilsLogic()
    if again:
        logic.uninstallTorch()
    if logic.installTorch(askConfirmation=False, torchVersionRequirement=requirement) is None:
        raise RuntimeError(_("the PyTorch extension gave up; its own module says why"))
    return True


def _pip(names, folder, repair):
    arguments = [PACKAGES[name][0] for name in names]
    if folder:
        arguments += ["--no-index", "--find-links", folder]
    broken = [name for name in names if name in repair]
    with constraintsFile() as constraints:
        if broken:  # pip takes a half installed package for complete, and would not touch it
            again = [PACKAGES[name][0] for name in broken]
            _pipInstall([*again, "--force-reinstall", "--no-deps", *arguments[len(names) :]], constraints)
        _pipInstall(arguments, constraints)


def _pipInstall(arguments, constraints):
    """Slicer's own way of calling pip: with a dialog from 5.12 on."""
    try:
        import slicer.packaging as slicersPip
    except ImportError:
        slicer.util.pip_install([*arguments, "-c", constraints])
        return
    slicersPip.pip_install(arguments, constraints=constraints, requester="MedDiff-FM")


@contextmanager
def constraintsFile():
    """A file that holds Slicer's own packages, and PyTorch once it is there, at their versions."""
    lines = [f"{p.name}=={p.version}" for p in packages() if p.version and _stays(p)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="MedDiffFM-constraints-", delete=False) as file:
        file.write("\n".join(lines))
    try:
        yield file.name
    finally:
        os.unlink(file.name)


def _stays(package):
    return package.name in SLICERS_OWN or (package.name == TORCH and package.state == "ready")
