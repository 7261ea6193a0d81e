"""Timers: long work on the main thread in short pieces, so that Slicer stays responsive, and delayed calls."""

import time

import qt

INTERVAL = 20  # ms between two polls
TURN_SECONDS = 0.02  # how long a poll may work


class TimerLoop:
    """Resumes a generator until its end; onEnd(result, error) is called once then, but not after `stop`."""

    def __init__(self, steps, onEnd):
        self._steps, self._onEnd = steps, onEnd
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL)
        self._timer.connect("timeout()", self._poll)
        self._timer.start()

    def stop(self):
        """Close the generator before its end, so that it cleans up."""
        self._release()
        self._steps.close()

    def _poll(self):
        until = time.monotonic() + TURN_SECONDS
        try:
            while self._timer is not None and time.monotonic() < until:  # a step may process events that stop this loop
                next(self._steps)
        except StopIteration as end:
            self._end(end.value, None)
        except (OSError, ValueError) as error:
            self._end(None, error)

    def _end(self, result, error):
        onEnd = self._onEnd
        self._release()
        onEnd(result, error)

    def _release(self):
        """Delete the timer: a connection keeps its function alive, and all that the function refers to."""
        timer, self._timer, self._onEnd = self._timer, None, None
        if timer is not None:
            timer.stop()
            timer.disconnect("timeout()", self._poll)
            timer.deleteLater()


class Delay:
    """Calls a function once, so many milliseconds after the last `start`, unless it is stopped before."""

    def __init__(self, milliseconds, function):
        self._milliseconds, self._function, self._timer = milliseconds, function, None

    def start(self):
        """Start or restart the delay."""
        if self._timer is None:
            self._timer = qt.QTimer()
            self._timer.setSingleShot(True)
            self._timer.setInterval(self._milliseconds)
            self._timer.connect("timeout()", self._onTimeout)
        self._timer.start()

    def stop(self):
        """Cancel the call, and delete the timer so that it keeps nothing alive."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.disconnect("timeout()", self._onTimeout)
            timer.deleteLater()

    def _onTimeout(self):
        self.stop()
        self._function()
