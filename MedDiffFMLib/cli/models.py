"""`meddiff-fm models`: what models are on this computer, what is in them, and whether they are whole."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .events import EVENTS, download_events, send

if TYPE_CHECKING:
    from ..models.store import ModelFolder

models_app = typer.Typer(help="Models on this computer: list, show, verify, download, remove.", no_args_is_help=True)

ModelName = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="A name, a folder or a Hub id; without it the default model.")
]


@models_app.command("list")
def list_models() -> None:
    """List the models on this computer: name, where from, size, folder."""
    from rich import print as show
    from rich.markup import escape
    from rich.table import Column, Table

    from ..models.store import installed

    table = Table("model", "from", "size", Column("folder", overflow="fold"), box=None)
    for model_folder in installed():
        size = sum(file.stat().st_size for file in model_folder.folder.rglob("*.safetensors")) / 1e6
        row = (_name(model_folder), model_folder.source, f"{size:.1f} MB", str(model_folder.folder))
        table.add_row(*map(escape, row))  # names with brackets are no markup
    show(table if table.row_count else "No model is installed: name a model folder or a Hub id with --model.")


@models_app.command("show")
def show_model(model: ModelName = None) -> None:
    """Show a model's config.json (architecture, conditions, training, license, checksum), ControlNets and refiners."""
    from ..models.components import COMPONENTS
    from ..models.store import find_model

    model_folder = find_model(model)
    config = _read(model_folder)
    schedule = {key: value for key, value in config["schedule"].items() if key != "alpha_bar"}
    more = {
        kind.folder: {name: kind.config(model_folder.folder, name) for name in kind.names(model_folder.folder)}
        for kind in COMPONENTS
    }
    print(json.dumps(config | {"schedule": schedule} | more, indent=2, ensure_ascii=False))


@models_app.command("verify")
def verify_model(model: ModelName = None) -> None:
    """Check a model's files, its ControlNets and refiners too, against the checksums in their config.json."""
    from ..models.components import COMPONENTS
    from ..models.config import verify
    from ..models.store import find_model

    model_folder = find_model(model)
    config = verify(model_folder.folder)
    print(
        f"{config['name']}: the weights have the stated SHA-256 {config['weights']['sha256']} ({model_folder.folder})"
    )
    for kind in COMPONENTS:
        for name in kind.names(model_folder.folder):
            checksum = kind.verify(model_folder.folder, name)["weights"]["sha256"]
            print(f"{kind.word} {name}: belongs to them, and has the stated SHA-256 {checksum}")


@models_app.command("download")
def download_model(
    model: Annotated[str, typer.Argument(metavar="HUB_ID", help="Hub id OWNER/NAME, or OWNER/NAME@REVISION.")],
    events: Annotated[bool, EVENTS] = False,
) -> None:
    """Fetch a model from the Hub, so that it works without a connection from then on. What cannot be used is removed
    again.
    """
    from ..errors import InputError
    from ..models.store import HUB_ID, from_hub, hub_folder, remove

    if not (match := HUB_ID.fullmatch(model)):
        raise InputError(f"{model!r} is not a Hub id: write OWNER/NAME or OWNER/NAME@REVISION.")
    with download_events(match["repo"], match["revision"]) if events else contextlib.nullcontext():
        model_folder = from_hub(match["repo"], match["revision"])
    if events:
        send("verifying")
    try:
        verify_model(str(model_folder.folder))
    except InputError as error:
        remove(hub_folder(match["repo"]))
        raise InputError(f"The model {model} cannot be used and was removed again: {error}") from error


@models_app.command("remove")
def remove_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The name of your own model, or OWNER/NAME.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a model from your data folder, with all its files. Bundled models stay."""
    from ..errors import Cancelled, InputError
    from ..models.store import own_folder, remove

    folder = own_folder(model)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"Removing {folder} needs a yes: run it again with --yes.")
        if not typer.confirm(f"Remove {folder} and everything in it?", err=True):
            raise Cancelled
    remove(folder)
    print(f"Removed {folder}")


def _name(model_folder: ModelFolder) -> str:
    """The name in a model's config, or its folder's name and that it is damaged."""
    from ..errors import InputError

    try:
        return _read(model_folder)["name"]
    except (InputError, KeyError):  # one damaged folder must not hide the others
        return f"{model_folder.folder.name} (damaged)"


def _read(model_folder: ModelFolder) -> dict:
    """The config of a model folder."""
    from ..models.config import read_config

    return read_config(model_folder.folder)
