"""A command in another process, watched from the Qt main thread by a qt.QTimer that tails its log file.

No Python threads (in Slicer the main thread keeps the GIL while the event loop idles, so a reader thread may starve),
no pipe to fill up, the log stays for the error report, and the whole process tree can be ended.
"""

import json
import os
import signal
import subprocess

import qt


class Job:
    def __init__(self, args, progress=None, done=None, log=None, interval=50):
        self.args, self.progress, self.done, self.interval = args, progress, done, interval
        self.log = log
        self.proc, self.cancelled, self.code, self._buffer, self._tail = None, False, None, b"", []

    @property
    def running(self):
        return self.proc is not None and self.code is None

    def start(self):
        import slicer

        kw = (
            {"start_new_session": True} if os.name == "posix" else {"creationflags": 0x08000200}
        )  # own group, no console window
        with open(self.log, "wb") as f:
            self.proc = subprocess.Popen(
                self.args,
                stdin=subprocess.DEVNULL,
                stdout=f,
                stderr=subprocess.STDOUT,
                env=slicer.util.startupEnvironment(),
                **kw,
            )
        self._file = open(self.log, "rb")
        self._timer = qt.QTimer()
        self._timer.setInterval(self.interval)
        self._timer.connect("timeout()", self._poll)
        self._timer.start()

    def _poll(self):
        code = self.proc.poll()  # before reading: nothing written earlier is missed
        self._buffer += self._file.read(1 << 20)
        *lines, self._buffer = self._buffer.split(b"\n")
        last = None
        for line in lines:
            text = line.decode("utf-8", "replace")
            if text.startswith("@progress "):
                last = text[10:]  # only the newest matters to the bar
            else:
                self._tail = [*self._tail, text][-50:]
        if last and self.progress:
            try:
                m = json.loads(last)
                self.progress(float(m["fraction"]), m["text"])
            except (ValueError, KeyError, TypeError):
                self._tail.append(last)
        if code is not None:
            self.code = code
            self._timer.stop()
            self._file.close()
            if self.done:
                self.done(code, "\n".join(self._tail[-20:]))

    def cancel(self):
        self.cancelled = True
        if os.name == "posix":
            pid = self.proc.pid
            os.killpg(pid, signal.SIGTERM)
            qt.QTimer.singleShot(3000, lambda: self.running and os.killpg(pid, signal.SIGKILL))
        else:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(self.proc.pid)], capture_output=True)
