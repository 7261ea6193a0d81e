"""Stand-in for TotalSegmentator's Python interface (see the package's docstring)."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np

from .map_to_binary import class_map


def send_usage_stats(config, params):
    Path(os.environ["STAND_IN_LOG"]).write_text("usage statistics were sent")


def totalsegmentator(input, output=None, ml=False, nr_thr_resamp=1, nr_thr_saving=6, fast=False, nora_tag="None",
                     preview=False, task="total", roi_subset=None, statistics=False, radiomics=False, crop_path=None,
                     body_seg=False, force_split=False, output_type="nifti", quiet=False, verbose=False, test=0,
                     skip_saving=False, device="gpu", **others):  # fmt: skip
    """HU above 150 are aorta, soft tissue is liver."""
    if not isinstance(input, nibabel.Nifti1Image) or output is not None or not ml or task != "total":
        raise ValueError("the stand-in does only what MedDiffFMLib asks for")
    print("TotalSegmentator prints what nobody may see")
    send_usage_stats(None, {})
    wish = os.environ.get("STAND_IN", "")
    if wish == "fail":
        raise RuntimeError("no memory left")
    if wish == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(os.environ["STAND_IN_LOG"]).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    number = {name: number for number, name in class_map["total"].items()}
    hu = input.get_fdata()
    labels = np.where(hu > 150, number["aorta"], np.where(hu > -100, number["liver"], 0)).astype(np.uint8)
    affine = input.affine.copy()
    if wish == "shift":
        affine[:3, 3] += 1
    assert device == "cpu" and fast is (os.environ.get("STAND_IN_FAST", "1") == "1")
    return nibabel.Nifti1Image(labels, affine)
