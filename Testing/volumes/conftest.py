from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.volumes.volume import Volume

DATA = Path(__file__).parents[1] / "Data"


def rotation(axis, degrees):
    turn = sitk.VersorRigid3DTransform()
    turn.SetRotation(axis, np.deg2rad(degrees))
    return np.reshape(turn.GetMatrix(), (3, 3))


GRIDS = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "flipped": np.diag([1.0, -1.0, -1.0]),
    "sagittal": np.eye(3)[[2, 0, 1]],
    "oblique": rotation((1, 2, 3), 17.3) @ np.diag([1.0, -1.0, 1.0]),
    "oblique2": rotation((0.3, -0.2, 1.0), 123.456),
}


@pytest.fixture(scope="session")
def ct():
    """A crop (20, 40, 50) of a real chest CT, int16 HU, with air, lung, contrast and bone in it."""
    image = sitk.ReadImage(str(DATA / "chest_ts_aorta.nii.gz"))
    return Volume.from_sitk(image[20:70, 30:70, 40:60])


@pytest.fixture(params=GRIDS)
def placed(ct, request):
    """The crop on an anisotropic grid whose numbers float32 cannot hold, in every orientation."""
    return Volume(
        ct.voxels,
        (0.7421875, 0.763, 2.123456789),
        (-123.4567891234, 17.1, -1001.7),
        tuple(GRIDS[request.param].ravel()),
    )
