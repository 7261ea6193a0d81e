"""Stand-in: where weights lie, as the real one decides it."""

import os
from pathlib import Path


def get_weights_dir():
    if "TOTALSEG_WEIGHTS_PATH" in os.environ:
        return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    return Path.home() / ".totalsegmentator" / "nnunet/results"
