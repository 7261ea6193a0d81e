"""A real chest CT slab and the same slab with simulated low dose, made once; and the command line."""

import numpy as np
import pytest
import typer

from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume


@pytest.fixture(scope="session")
def chest(data) -> Volume:
    """Twelve axial slices of the real chest, whole in plane: 12 × 126 × 120 voxels of 1.5 mm, int16 HU."""
    return Volume.from_sitk(read_volume(data / "chest_ts_aorta.nii.gz").to_sitk()[:, :, 70:82], "chest")


@pytest.fixture(scope="session")
def low(chest) -> np.ndarray:
    """The slab with 40 HU of noise, float32."""
    pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")
    from MedDiffFMTraining.data.low_dose import simulate_low_dose

    return simulate_low_dose(chest.voxels, 1.5, sigma_hu=40, seed=3)


@pytest.fixture
def run(capfd):
    """A function that runs a command of the training part and returns its output; errors come through."""
    from MedDiffFMTraining.commands import register

    app = typer.Typer()
    register(app)

    def call(*arguments) -> str:
        app(args=[str(argument) for argument in arguments], standalone_mode=False)
        return capfd.readouterr().out

    return call
