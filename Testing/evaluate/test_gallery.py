"""The thick slices that the picture of super-resolution starts from."""

import numpy as np

from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.evaluate.cases.slice_pairs import thick_slices


def test_thick_slices_are_means_at_the_middle_of_those_they_average():
    """Nine slices 0, 10, …, 80 HU of 1.5 mm by four: means 15 and 55, centers 2.25 mm above the first; one is left out.
    The slices run along the direction's third column, here tilted by hand: (0, −0.6, 0.8).
    """
    voxels = np.broadcast_to((np.arange(9) * 10).reshape(9, 1, 1), (9, 2, 2)).astype(np.int16)
    direction = (1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8)
    thick = thick_slices(Volume(voxels, (1.0, 1.0, 1.5), (5.0, 6.0, 7.0), direction), 4)
    assert thick.voxels[:, 0, 0].tolist() == [15, 55] and thick.spacing == (1.0, 1.0, 6.0)
    assert np.allclose(thick.origin, (5.0, 6.0 - 0.6 * 2.25, 7.0 + 0.8 * 2.25))
