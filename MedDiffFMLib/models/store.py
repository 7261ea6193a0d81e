"""The places of models: an explicit folder, the user's data folder, the bundled ones, the Hub. Needs the standard
library, and huggingface_hub only to download.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from ..atomic import DAY, hidden_name, remove_partial_files
from ..errors import Cancelled, InputError, MissingModelError

DEFAULT_MODELS = ("meddiff-fm-base", "meddiff-fm-small")  # the best that is installed comes first
BUNDLED = Path(__file__).resolve().parents[1] / "bundled"
HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
MODEL_FILES = [
    "config.json",
    "model.safetensors",
    "README.md",
    "controlnets/*/config.json",
    "controlnets/*/model.safetensors",
    "refiners/*/config.json",
    "refiners/*/model.safetensors",
]


@dataclass(frozen=True)
class ModelFolder:
    """A model folder and where it comes from: `folder` (an explicit path), `user`, `bundled`, or
    `hub:OWNER/NAME@COMMIT`.
    """

    folder: Path
    source: str


def data_folder() -> Path:
    """The user's data folder of MedDiff-FM; the environment variable MEDDIFF_FM_HOME moves it. It need not exist."""
    if moved := os.environ.get("MEDDIFF_FM_HOME"):
        return Path(moved)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "meddiff-fm"


def hub_folder(repo: str | None = None) -> Path:
    """The folder of downloaded models: of all, or of one OWNER/NAME."""
    folder = data_folder() / "hub"
    return folder / f"models--{repo.replace('/', '--')}" if repo else folder


def installed() -> list[ModelFolder]:
    """The models on this computer: the user's have precedence over bundled ones of the same name; then those from the
    Hub.
    """
    named = {}
    for source, parent in (("bundled", BUNDLED), ("user", data_folder() / "models")):
        named |= {
            config.parent.name: ModelFolder(config.parent, source) for config in sorted(parent.glob("*/config.json"))
        }
    snapshots = sorted(hub_folder().glob("models--*/snapshots/*/config.json"))
    return [*named.values(), *(ModelFolder(config.parent, _hub_source(config.parent)) for config in snapshots)]


def find_model(name_or_path: str | os.PathLike | None = None) -> ModelFolder:
    """The model folder of a path, a name, a Hub id OWNER/NAME[@REVISION], or the default. MissingModelError says what
    was looked for.
    """
    local = {entry.folder.name: entry for entry in installed() if not entry.source.startswith("hub:")}
    if name_or_path is None:
        for name in DEFAULT_MODELS:
            if name in local:
                return local[name]
        raise MissingModelError("No model is installed: name a model folder or a Hub id with --model.")
    text = os.fspath(name_or_path)
    if Path(text).is_dir():
        return ModelFolder(Path(text), "folder")
    if text in local:
        return local[text]
    if (match := HUB_ID.fullmatch(text)) and not text.startswith((".", "/")):
        return from_hub(match["repo"], match["revision"])
    known = ", ".join(local) or "none"
    raise MissingModelError(
        f"There is no model {text!r}: name a folder, a Hub id OWNER/NAME, or an installed model ({known})."
    )


def own_folder(name: str) -> Path:
    """The folder of a model that the user may remove: of that name in the data folder, or a downloaded OWNER/NAME.

    InputError if there is none, or if it is a bundled one.
    """
    folders = {
        folder.name: folder for folder in (data_folder() / "models").glob("*/") if not folder.name.startswith(".")
    }
    for folder in hub_folder().glob("models--*/"):
        folders[folder.name.removeprefix("models--").replace("--", "/")] = folder
    if name in folders:
        return folders[name]
    if (BUNDLED / name / "config.json").is_file() and Path(name).name == name:
        raise InputError(f"{name} came with the program and stays: only models in {data_folder()} can be removed.")
    raise MissingModelError(f"There is no model {name!r} in {data_folder()}: it has {', '.join(folders) or 'none'}.")


def remove(folder: Path) -> None:
    """Remove a folder that `own_folder` gave. It is renamed first, so that no half model is found."""
    if folder.is_symlink():  # what it points to is not ours
        folder.unlink()
        return
    remove_partial_files(folder.parent, older_than=DAY)
    gone = hidden_name(folder, "")
    os.replace(folder, gone)
    shutil.rmtree(gone)


def from_hub(repo: str, revision: str | None = None) -> ModelFolder:
    """The model folder of a Hub repository: what is on this computer if it is complete, else downloaded (resumed if
    interrupted).

    `revision` pins a commit or tag; without one the repository's main branch as it was when first downloaded. Only
    the named JSON, safetensors and text files are taken. MissingModelError if it cannot be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    download = {"revision": revision, "cache_dir": hub_folder(), "allow_patterns": MODEL_FILES}
    try:
        folder = Path(snapshot_download(repo, local_files_only=True, **download))
        if all((folder / name).is_file() for name in MODEL_FILES[:2]):
            return ModelFolder(folder, _hub_source(folder))
    except (LocalEntryNotFoundError, OSError):  # not here, or only in part
        pass
    try:
        folder = Path(snapshot_download(repo, **download))
    except Cancelled:
        raise
    except Exception as error:  # the Hub's client raises its own, the HTTP library's and the system's errors
        name = f"{repo}@{revision}" if revision else repo
        raise MissingModelError(
            f"The model {name} could not be downloaded ({type(error).__name__}): check the id and the connection, "
            "or name the folder of a model that is on this computer."
        ) from error
    return ModelFolder(folder, _hub_source(folder))


def _hub_source(snapshot: Path) -> str:
    """The source of a downloaded model: hub:OWNER/NAME@COMMIT."""
    repo = snapshot.parents[1].name.removeprefix("models--").replace("--", "/")
    return f"hub:{repo}@{snapshot.name}"
