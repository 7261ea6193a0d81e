"""The application `meddiff-fm`: its commands, those of other installed parts, and how it handles errors and signals."""

from __future__ import annotations

import contextlib
import locale
import logging
import os
import signal
import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer
from typer.main import get_command

from .. import __version__
from ..errors import Cancelled
from ..parameters import TASKS
from .batch import batch_app
from .doctor import doctor
from .errors import exit_code, report
from .models import models_app
from .options import task_command
from .place_lesion import place_lesion
from .terminal import take_any_text
from .worker import worker

log = logging.getLogger("MedDiffFMLib")
PLUGINS = "meddiff_fm.commands"  # entry points: each a function register(app) that adds commands

NOTICE = "One diffusion foundation model of CT. For research only: not a medical device."


def _version(asked: bool) -> None:
    if asked:
        print(f"meddiff-fm {__version__}")
        raise typer.Exit


def _start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options before a command; the commands do the work."""


def build_app() -> typer.Typer:
    """The application with all commands. A plugin that cannot be loaded is left out; the rest goes on."""
    app = typer.Typer(help=NOTICE, no_args_is_help=True, add_completion=False, context_settings=HELP_NAMES)
    app.callback(help=NOTICE)(_start)
    for task in TASKS:
        app.command(task, context_settings=HELP_NAMES)(task_command(task))
    app.add_typer(batch_app(), name="batch")
    app.add_typer(models_app, name="models")
    app.command("place-lesion", context_settings=HELP_NAMES)(place_lesion)
    app.command("doctor", context_settings=HELP_NAMES)(doctor)
    app.command("worker", context_settings=HELP_NAMES)(worker)
    for plugin in entry_points(group=PLUGINS):
        try:
            plugin.load()(app)
        except Cancelled:
            raise
        except Exception as error:
            log.debug("The commands of %s could not be loaded: %s", plugin.value, error)
    return app


def _has_details(app: typer.Typer, arguments: list[str]) -> bool:
    """Whether the command that these arguments name has -v."""
    command = get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    return any("--verbose" in parameter.opts for parameter in command.params)


HELP_NAMES = {"help_option_names": ["-h", "--help"]}


def _cancel(number, frame) -> None:
    """Cancel the work at a signal; a second one while it cleans up is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Cancelled


def _open_any_name() -> None:
    """Let C libraries such as ITK open files by names in UTF-8 on Windows, where they otherwise know the letters of one
    language only.
    """
    if os.name == "nt":
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, ".UTF8")


def main(arguments: list[str] | None = None) -> int:
    """Run `meddiff-fm` with `arguments` (default: the shell's). Returns the exit code."""
    take_any_text()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    _open_any_name()
    before = {number: signal.signal(number, _cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    app = build_app()
    try:
        return app(args=arguments, prog_name="meddiff-fm", standalone_mode=False) or 0
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        sys.stderr.close()
        return 1
    except Exception as error:
        report(error, details=_has_details(app, sys.argv[1:] if arguments is None else arguments))
        return exit_code(error)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    raise SystemExit(main())
