"""The process that `segmenter` starts: python -m MedDiffFMLib.anatomy.segmenter_process FOLDER DEVICE MODE.

It reads FOLDER/ct.nii and writes FOLDER/organs.nii and FOLDER/organs.json, the names of the labels. It ends with all
that it started when its stdin closes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path


def segment(folder: Path, device: str, mode: str) -> None:
    """Run TotalSegmentator's Python interface on FOLDER/ct.nii."""
    import nibabel
    from totalsegmentator import python_api
    from totalsegmentator.map_to_binary import class_map

    python_api.send_usage_stats = lambda *_: None  # nothing leaves this computer
    ct = nibabel.load(folder / "ct.nii")
    organs = python_api.totalsegmentator(
        ct, None, ml=True, task="total", fast=mode == "total_fast", device=device, quiet=True
    )
    organs.header.extensions.clear()  # the names go beside it, from the version that made it
    nibabel.save(organs, folder / "organs.nii")
    names = {str(number): name for number, name in class_map["total"].items()}
    (folder / "organs.json").write_text(json.dumps(names), encoding="utf-8")


def end_with_stdin() -> None:
    """Kill this process and its children once the other end of stdin is closed."""
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():  # a session of its own: nobody else is in the group
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_stdin, daemon=True).start()
    segment(Path(sys.argv[1]), *sys.argv[2:])
