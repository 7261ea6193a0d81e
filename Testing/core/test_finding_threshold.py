"""What is a finding: one rule, for the task and for the panel that moves its threshold afterwards."""

import subprocess
import sys

import numpy as np
import pytest

from MedDiffFMLib.tasks.findings import find_parts
from MedDiffFMLib.tasks.threshold import Threshold, is_large

MAP = np.zeros((3, 3, 12), np.float32)
MAP[1, 1] = [0, 39.5, 40, 40.5, 0, -39.5, -40, -40.5, 0, 40, 0, 1]
ORGAN = MAP != 0


def test_a_voxel_at_the_threshold_is_part_of_a_finding():
    """`--threshold`: the deviation from which on a voxel is part of a finding."""
    parts = find_parts(MAP, ORGAN, Threshold(0.0, 40.0), smallest_ml=0, voxel_ml=1)
    assert (parts[1, 1] > 0).tolist() == [False, False, True, True, False, False, True, True, False, True, False, False]


@pytest.mark.parametrize("limit", [39.5, 40.0, 40.25, 40.5, 41.0])
@pytest.mark.parametrize("center", [0.0, 0.5])
def test_panel_and_task_agree_on_every_voxel(limit, center, monkeypatch, data):
    monkeypatch.syspath_prepend(str(data.parents[1] / "MedDiffFM"))
    from MedDiffFMPanels.scene.findings import Rule, markFindings

    marks = np.zeros(MAP.shape, np.uint8)
    for _turn in markFindings(MAP, Rule(center, limit), marks):
        pass
    parts = find_parts(MAP, ORGAN, Threshold(center, limit), smallest_ml=0, voxel_ml=1)
    assert ((marks > 0) == (parts > 0)).all()


def test_one_side_alone():
    (bright,) = Threshold(0.0, 40.0, darker=False).sides(MAP, ORGAN)
    (dark,) = Threshold(0.0, 40.0, brighter=False).sides(MAP, ORGAN)
    assert bright[1].sum() == 3 and dark[1].sum() == 2
    assert not Threshold(0.0, 40.0, darker=False).signed and Threshold(0.0, 40.0).signed


def test_a_finding_of_exactly_the_smallest_volume_counts():
    """100 voxels of 1 mm³ are 0.1 ml, also where the volume of a voxel has a rounding error from a rotated grid."""
    assert is_large(100, 1e-3, 0.1) and is_large(100, 1e-3 * (1 - 1e-15), 0.1)
    assert not is_large(99, 1e-3, 0.1)
    assert is_large(np.array([99, 100]), 1e-3, 0.1).tolist() == [False, True]


def test_slicers_python_can_import_it():
    """It has numpy, and no PyTorch."""
    code = "import sys; import MedDiffFMLib.tasks.threshold; print({'torch', 'scipy', 'monai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
