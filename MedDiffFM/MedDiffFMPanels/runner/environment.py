"""The Python packages that the tasks need in Slicer's Python: their states, and how to install them."""

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
# size of PyTorch's wheel on PyPI: with CUDA on Linux, with Metal on macOS, for the processor alone on Windows
TORCH_MEGABYTES = {"linux": 2500, "darwin": 100}.get(sys.platform, 200)
TORCH_CUDA_MEGABYTES = 3000  # on Windows, where the PyTorch extension may choose the build with CUDA
# import name: (requirement for pip, approximate MB to download)
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
# not needed, in the same form: OpenVINO evaluates the networks faster than PyTorch on a processor
OPTIONAL = {"openvino": ("openvino>=2025.4,<2027", 60)}
SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "pydicom")  # never installed or replaced, whatever their state
CHECKED_FILES = 40  # files of each package whose presence is checked
IGNORED_FILES = re.compile(r"\.pyc$|^/\.\.|/tests?/")


@dataclass(frozen=True)
class Package:
    """A package and its state: ready, missing, half installed, or too old or too new."""

    name: str
    requirement: str
    megabytes: int
    state: str
    version: str = ""


def packages():
    """All packages that are needed, with their states, found without importing any of them."""
    importlib.invalidate_caches()
    return [Package(name, about[0], _megabytes(name), *_state(name, about[0])) for name, about in PACKAGES.items()]


def optionalPackages():
    """The packages that are of use and not needed, as `packages`."""
    return [Package(name, *about, *_state(name, about[0])) for name, about in OPTIONAL.items()]


def missing():
    """The names of the packages that are not ready."""
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
    # Slicer removes files of its own packages that their RECORD still lists
    if spec is None or not version or not (name in SLICERS_OWN or _filesExist(distribution)):
        return "half installed", version
    from packaging.requirements import Requirement

    fits = Requirement(requirement).specifier.contains(version, prereleases=True)
    return ("ready" if fits else "too old or too new"), version


def _version(distribution):
    """A distribution's version; `distribution.metadata` would parse the long description too."""
    match = re.search(r"^Version:\s*(\S+)", distribution.read_text("METADATA") or "", re.MULTILINE)
    return match[1] if match else ""


def _filesExist(distribution):
    """Whether a sample of a package's files is on the disk. Tests and scripts are not checked: an application that
    bundles the package may have removed them.
    """
    record = distribution.read_text("RECORD")  # pip writes it last
    if record is None:
        return False
    lines = record.splitlines()  # PyTorch has 10,000: `distribution.files` would take a tenth of a second
    sample = lines[:: max(1, len(lines) // CHECKED_FILES)]
    names = [row[0] for row in csv.reader(sample) if row and not IGNORED_FILES.search(f"/{row[0]}")]
    folder = os.fspath(distribution.locate_file(""))
    return all(os.path.exists(os.path.join(folder, name)) for name in names)


def unfitPackages():
    """Slicer's own packages of a version that does not fit; the set-up does not replace them."""
    return [p for p in packages() if p.name in SLICERS_OWN and p.state == "too old or too new"]


def unfitText(package):
    """A sentence on a package of Slicer's whose version does not fit."""
    values = {"name": package.name, "version": package.version, "needed": package.requirement}
    return _("Slicer's own {name} is {version}, and {needed} is needed.").format(**values)


def install(names, folder="", log=lambda text: None):
    """Install packages, PyTorch first. Slicer's own packages stay as they are.

    names: keys of PACKAGES and OPTIONAL. folder: where the wheels are, to install without a network. log: called with
    a sentence before each step. RuntimeError names the step that failed.
    """
    for package in unfitPackages():
        raise RuntimeError(unfitText(package))
    asked = [p for p in [*packages(), *optionalPackages()] if p.name in names]
    repair = [p.name for p in asked if p.state == "half installed" and p.name not in SLICERS_OWN]
    steps = [([TORCH], _("PyTorch"))] if TORCH in names else []
    steps.append(([name for name in names if name != TORCH], _("the other packages")))
    for group, title in steps:
        if not group:
            continue
        log(_("Installing {what}… This may take minutes, during which Slicer does not respond.").format(what=title))
        try:
            if group != [TORCH] or folder or not _installWithPyTorchExtension(again=TORCH in repair):
                _pip(group, folder, repair)
        except Exception as error:
            raise RuntimeError(_("{what} could not be installed: {error}").format(what=title, error=error)) from error
    left = missing() + [package.name for package in optionalPackages() if package.state != "ready"]
    incomplete = [name for name in left if name in names]
    if incomplete:
        raise RuntimeError(_("Still not complete: {names}.").format(names=", ".join(incomplete)))


def pyTorchExtension():
    """The module of the PyTorch extension, or None."""
    try:
        import PyTorchUtils
    except ImportError:
        return None
    return PyTorchUtils


def _installWithPyTorchExtension(again):
    """Let the PyTorch extension install the build that fits the graphics card. Returns False without that extension.

    again: uninstall PyTorch first, because a half installed one looks complete to pip.
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
    """Install packages by pip; those in `repair` are installed over their incomplete files."""
    requirements = {name: about[0] for name, about in (PACKAGES | OPTIONAL).items()}
    arguments = [requirements[name] for name in names]
    if folder:
        arguments += ["--no-index", "--find-links", folder]
    broken = [name for name in names if name in repair]
    with constraintsFile() as constraints:
        if broken:  # a half installed package looks complete to pip, which would skip it
            again = [requirements[name] for name in broken]
            _pipInstall([*again, "--force-reinstall", "--no-deps", *arguments[len(names) :]], constraints)
        _pipInstall(arguments, constraints)


def _pipInstall(arguments, constraints):
    """Call pip as Slicer does: from 5.12 on with a progress dialog."""
    try:
        import slicer.packaging as slicersPip
    except ImportError:
        slicer.util.pip_install([*arguments, "-c", constraints])
        return
    slicersPip.pip_install(arguments, constraints=constraints, requester="MedDiff-FM")


@contextmanager
def constraintsFile():
    """A constraints file for pip with the versions of Slicer's own packages, and of PyTorch once it is installed."""
    lines = [f"{p.name}=={p.version}" for p in packages() if p.version and _isPinned(p)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="MedDiffFM-constraints-", delete=False) as file:
        file.write("\n".join(lines))
    try:
        yield file.name
    finally:
        os.unlink(file.name)


def _isPinned(package):
    return package.name in SLICERS_OWN or (package.name == TORCH and package.state == "ready")
