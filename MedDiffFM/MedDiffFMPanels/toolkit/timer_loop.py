"""Timers: a longer piece of work on the main thread in turns, so that Slicer stays alive, and a call that waits."""

import time

import qt

INTERVAL = 20  # ms between the turns
TURN_SECONDS = 0.02  # seconds of a turn


class TimerLoop:
    """Drives a generator. onEnd(result, error) is called once at its end, and not after `stop`."""

    def __init__(self, steps, onEnd):
        self._steps, self._onEnd = steps, onEnd
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL)
        self._timer.connect("timeout()", self._poll)
        self._timer.start()

    def stop(self):
        """Give up; what the generator cleans up is cleaned up."""
        self._release()
        self._steps.close()

    def _poll(self):
        until = time.monotonic() + TURN_SECONDS
        try:
            while self._timer is not None and time.monotonic() < until:  # a step may let Slicer go on, and stop this
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
        """Let go of the timer: what is connected lives as long as it, and with it all that the functions know."""
        timer, self._timer, self._onEnd = self._timer, None, None
        if timer is not None:
            timer.stop()
            timer.disconnect("timeout()", self._poll)
            timer.deleteLater()


class Delay:
    """Calls a function once, a time after the last `start`, unless it is stopped before."""

    def __init__(self, milliseconds, function):
        self._milliseconds, self._function, self._timer = milliseconds, function, None

    def start(self):
        """Wait from now on, anew if it waits already."""
        if self._timer is None:
            self._timer = qt.QTimer()
            self._timer.setSingleShot(True)
            self._timer.setInterval(self._milliseconds)
            self._timer.connect("timeout()", self._onTimeout)
        self._timer.start()

    def stop(self):
        """Do not call the function; nothing keeps what it knows alive then."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.disconnect("timeout()", self._onTimeout)
            timer.deleteLater()

    def _onTimeout(self):
        self.stop()
        self._function()
