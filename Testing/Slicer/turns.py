"""How long Slicer stands still between two turns of its event loop, in the measure of the computer it runs on."""

from __future__ import annotations

import gc
import time

import numpy as np


class Turns:
    """What Slicer's main thread computes in a turn, by the CPU's clock, and what it waits for a disk, a pipe or another
    process, by the clock on the wall; both against the time that a known piece of work takes here and now.
    """

    # times the known work; on a fast computer 0.3 s, which nobody notices, and 3 s, less than a worker takes to start
    COMPUTED, WAITED = 20, 200

    def __init__(self):
        import qt

        gc.collect()  # what earlier tests left: not this panel's to clear up
        self._known = [known_work() for _ in range(3)]
        self._times, self._timer = [self._now()], qt.QTimer()
        self._timer.connect("timeout()", lambda: self._times.append(self._now()))
        self._timer.start(5)

    def stop(self):
        """The longest turn: seconds computed and seconds passed."""
        self._timer.stop()
        longest = np.diff([*self._times, self._now()], axis=0).max(axis=0)
        self._known += [known_work() for _ in range(3)]
        return longest

    def check(self, longest=None):
        computed, passed = self.stop() if longest is None else longest
        known = max(self._known)
        said = f"Slicer's main thread computed for {computed:.2f} s and stood still for {passed:.2f} s in one turn"
        assert computed < self.COMPUTED * known, f"{said}; {self.COMPUTED * known:.2f} s are allowed"
        assert passed < self.WAITED * known, f"{said}; {self.WAITED * known:.2f} s of standing still are allowed"

    @staticmethod
    def _now():
        return time.thread_time(), time.monotonic()


def known_work() -> float:
    """Seconds of this thread's CPU for a little work in Python and in NumPy: about 0.015 on a fast computer."""
    began = time.thread_time()
    sum(map(ord, "".join(map(str, range(40_000)))))
    np.sort(np.arange(1 << 20, dtype=np.int32)[::-1].copy())
    return time.thread_time() - began
