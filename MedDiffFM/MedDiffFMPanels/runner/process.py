"""The worker's process: it takes requests from stdin and writes events to a file that this end reads.

Nothing here waits: a timer calls `poll`. (Slicer's main thread holds Python's lock while it idles, so threads starve.)
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

LOG_CHARACTERS = 10_000  # of the messages that the log shows
CHUNK = 1 << 20  # bytes passed in one poll


class WorkerProcess:
    """A running worker, or another command of meddiff-fm that writes events. OSError if it cannot be started.

    words: the command after `meddiff-fm`. home: the private folder in which the process runs; None for a folder of its
    own.
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
        """The number of bytes read from the events file. The file is never truncated: on Windows the other process
        would go on writing at its old position.
        """
        return self._events.tell()

    def send(self, request):
        """Queue a request; `poll` writes it to the pipe as the pipe takes it."""
        self._unsent.append(memoryview(json.dumps(request).encode() + b"\n"))
        self._pass()

    def poll(self):
        """Write queued requests, and return the events that have arrived."""
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
        """Write queued requests to the pipe, as many bytes as it takes and `CHUNK` at most."""
        with contextlib.suppress(BlockingIOError, OSError):  # the pipe is full, or the process has ended
            sent = 0
            while self._unsent and sent < CHUNK and self._stdin is not None:
                count = os.write(self._stdin, self._unsent[0][: 1 << 16])
                if not count:
                    break
                sent += count
                rest = self._unsent[0][count:]
                self._unsent[:1] = [rest] if rest else []

    def messages(self):
        """The last `LOG_CHARACTERS` that the process wrote to stderr."""
        with contextlib.suppress(OSError), open(self._messagesPath, "rb") as file:
            file.seek(max(0, self._messagesPath.stat().st_size - LOG_CHARACTERS))
            return file.read().decode("utf-8", "replace").strip()
        return ""

    def close(self):
        """Ask the process to end by closing its stdin."""
        writer, self._stdin = self._stdin, None
        if writer is not None:
            os.close(writer)

    def end(self, patience=0.5):
        """End the process and every process that it started, and remove its folder. After `patience` seconds it is
        killed.
        """
        self.close()
        end_process_group(self._process, patience)
        self._events.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def temporaryFolder():
    """Slicer's temporary folder, or the system's if Slicer's cannot be made."""
    path = slicer.app.temporaryPath
    with contextlib.suppress(OSError):
        os.makedirs(path, exist_ok=True)
        return path
    return tempfile.gettempdir()


def _pipe():
    """A pipe as (read end, write end), with a buffer of `CHUNK` bytes where the system allows that."""
    if os.name != "posix":
        import _winapi  # as subprocess makes its pipes, but with a larger buffer than 4096 bytes
        import msvcrt

        reader, writer = _winapi.CreatePipe(None, CHUNK)
        return msvcrt.open_osfhandle(reader, os.O_RDONLY), msvcrt.open_osfhandle(writer, 0)
    reader, writer = os.pipe()
    with contextlib.suppress(ImportError, AttributeError, OSError):  # only Linux has it, up to a limit
        import fcntl

        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, CHUNK)
    return reader, writer


def _event(line):
    """A line as an event, or None for other lines, such as the greeting of a remote shell."""
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        return event if isinstance(event, dict) and "event" in event else None
    return None
