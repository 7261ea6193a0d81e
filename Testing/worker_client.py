"""The other side of a worker's pipes in tests: sends lines, and waits for events for a limited time."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading

from patience import PATIENCE

WORKER = [sys.executable, "-m", "MedDiffFMLib", "worker"]


class Client:
    """A running worker. Every line of its stdout must be an event, else reading it fails here."""

    def __init__(self, command=None, **options):
        self.process = subprocess.Popen(
            command or WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )
        self._left = False
        self._events = queue.Queue()
        self.errors = b""
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            self._events.put(line)
            if self._left:
                self.process.stdout.close()
                break
        self._events.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors += line

    def send(self, request):
        line = request if isinstance(request, bytes) else json.dumps(request).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def until(self, *names, **wanted):
        """The first event of one of these names (and with these values), and those before it."""
        before = []
        while True:
            line = self._events.get(timeout=PATIENCE)
            assert line is not None, f"the worker ended: {self.errors.decode()}"
            event = json.loads(line)
            if event["event"] in names and all(event.get(key) == value for key, value in wanted.items()):
                return event, before
            before.append(event)

    def end(self):
        """Close its stdin and return exit code and what it still said."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        code = self.process.wait(PATIENCE)
        self._threads[0].join(PATIENCE)
        rest = []
        while (line := self._events.get(timeout=PATIENCE)) is not None:
            rest.append(json.loads(line))
        return code, rest

    def leave(self):
        """Read no further events, as a program that died: the pipe is broken."""
        self._left = True

    def kill(self):
        self.process.kill()
        self.process.wait()
