"""`meddiff-fm worker`: tasks for other programs, over pipes."""

from __future__ import annotations

import logging
from typing import Annotated

import typer


def worker(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Details and tracebacks on stderr.")] = False,
) -> None:
    """Serve other programs: JSON requests on stdin, JSON events on stdout, one a line (see Docs/worker.md)."""
    from ..worker.server import serve

    if verbose:
        logging.getLogger("MedDiffFMLib").setLevel(logging.DEBUG)
    serve()
