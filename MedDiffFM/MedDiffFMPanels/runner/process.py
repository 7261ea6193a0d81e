"""The worker's process: requests to its stdin, events from its log file, and its end with everything it started.

Nothing here waits: a timer calls `poll` (Slicer's main thread keeps Python's lock while it idles, so threads starve).
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import slicer

from MedDiffFMLib.processes import end_process_group, own_group

LOG_CHARACTERS = 10_000  # characters of the messages that are kept for the log
CHUNK = 1 << 20  # bytes passed in one turn


class WorkerProcess:
    """A running worker, or another command of meddiff-fm that tells events. OSError if it cannot be started.

    home: a private folder that it works in; without one it has its own.
    """

    def __init__(self, backend, words=("worker",), home=None):
        self.backend, self._words = backend, words
        self.folder = Path(
            tempfile.mkdtemp(prefix="MedDiffFM-" if home is None else "log-", dir=home or temporaryFolder())
        )
        self._home = home or self.folder
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _start(self):
        self._eventsPath, self._messagesPath = self.folder / "events.jsonl", self.folder / "messages.txt"
        reader, self._stdin = _pipe()
        try:
            with open(self._eventsPath, "wb") as events, open(self._messagesPath, "wb") as messages:
                self._process = subprocess.Popen(
                    self.backend.arguments(self._words),
                    stdin=reader,
                    stdout=events,
                    stderr=messages,
                    env=self.backend.environment(),
                    cwd=self._home,
                    **own_group(),
                )
        except BaseException:
            self.close()
            raise
        finally:
            os.close(reader)
        os.set_blocking(self._stdin, False)
        self._events = open(self._eventsPath, "rb")
        self._line, self._unsent = b"", []

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process.poll() is None

    @property
    def exitCode(self):
        return self._process.poll()

    @property
    def bytesRead(self):
        """How many bytes of events were read, all of which lie on the disk. The file is never emptied: on Windows the
        other process would go on writing where it was.
        """
        return self._events.tell()

    def send(self, request):
        """Put a request in line; `poll` passes it on as the pipe takes it."""
        self._unsent.append(memoryview(json.dumps(request).encode() + b"\n"))
        self._pass()

    def poll(self):
        """Pass on what waits, and return the events that have arrived."""
        self._pass()
        data = self._events.read(CHUNK)
        if not data:
            return []
        *lines, rest = data.split(b"\n")
        if not lines:
            self._line += rest
            return []
        lines[0] = self._line + lines[0]
        self._line = rest
        return [event for line in lines if (event := _event(line))]

    def _pass(self):
        with contextlib.suppress(BlockingIOError, OSError):  # full, or its process is gone, which others notice
            sent = 0
            while self._unsent and sent < CHUNK and self._stdin is not None:
                count = os.write(self._stdin, self._unsent[0][: 1 << 16])
                if not count:
                    break
                sent += count
                rest = self._unsent[0][count:]
                self._unsent[:1] = [rest] if rest else []

    def messages(self):
        """The end of what it wrote to stderr."""
        with contextlib.suppress(OSError), open(self._messagesPath, "rb") as file:
            file.seek(max(0, self._messagesPath.stat().st_size - LOG_CHARACTERS))
            return file.read().decode("utf-8", "replace").strip()
        return ""

    def close(self):
        """Ask it to end by itself, as it does when its stdin closes."""
        writer, self._stdin = self._stdin, None
        if writer is not None:
            os.close(writer)

    def end(self, patience=0.5):
        """End it and every process that it started, and remove its folder. Takes `patience` seconds at most, then
        kills.
        """
        self.close()
        end_process_group(self._process, patience)
        self._events.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def temporaryFolder():
    """Slicer's temporary folder, or the system's where Slicer has none."""
    path = slicer.app.temporaryPath
    with contextlib.suppress(OSError):
        os.makedirs(path, exist_ok=True)
        return path
    return tempfile.gettempdir()


def _pipe():
    """A pipe's two ends, which holds as much as is passed in one turn, where the system allows that."""
    if os.name != "posix":
        import _winapi  # as subprocess itself makes them, but for the size: 4096 bytes there
        import msvcrt

        reader, writer = _winapi.CreatePipe(None, CHUNK)
        return msvcrt.open_osfhandle(reader, os.O_RDONLY), msvcrt.open_osfhandle(writer, 0)
    reader, writer = os.pipe()
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux alone has it, up to a limit
        import fcntl

        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, CHUNK)
    return reader, writer


def _event(line):
    """A line as an event; None for what is none, such as a greeting of a remote shell."""
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        return event if isinstance(event, dict) and "event" in event else None
    return None
