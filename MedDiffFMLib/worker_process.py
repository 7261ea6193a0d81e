"""`WorkerProcess`, under the name that programs import it by (Docs/worker.md)."""

from .worker.client import WorkerProcess

__all__ = ["WorkerProcess"]
