"""The geometry of simulated scans: parallel rays over one slice grid, as they are after a scanner has rebinned its fan;
path attenuations forward, a sinogram back to HU by filtered back-projection.
"""

from __future__ import annotations

import math

import numpy as np

from MedDiffFMLib.errors import InputError

MU_WATER = 0.019  # per mm, at about 70 keV, the mean energy of a 120 kV scan


class Scanner:
    """Parallel rays over one slice grid: path attenuations forward, a sinogram back to HU. Rays cover the whole slice;
    around it is air.

    shape: (Y, X) of the slices, square pixels of `pixel_mm`; kernel: the filter of the back-projection, by ASTRA's
    names; detector_mm: the distance of the rays.
    """

    def __init__(self, shape: tuple[int, int], pixel_mm: float, kernel: str = "hann", detector_mm: float = 1.0):
        self.astra = import_astra()
        height, width = (n * pixel_mm / 2 for n in shape)
        self.radius_mm = math.hypot(height, width)
        self.detector_mm = detector_mm
        self.detectors = math.ceil(2 * self.radius_mm / detector_mm) + 2
        self.grid = self.astra.create_vol_geom(*shape, -width, width, -height, height)
        self.kernel = kernel

    @property
    def offsets_mm(self) -> np.ndarray:
        """The distance of each ray from the axis, in mm."""
        return (np.arange(self.detectors) - (self.detectors - 1) / 2) * self.detector_mm

    def path_attenuation(self, hu: np.ndarray, angles: int) -> np.ndarray:
        """The path attenuation p = ∫µ dl of every ray through a slice (Y, X) in HU. Returns float32 (angles over 180°,
        detectors).
        """
        return project(self.astra, attenuation(hu), self._projector(angles))

    def reconstruct(self, sinogram: np.ndarray) -> np.ndarray:
        """Filtered back-projection of a sinogram (angles, detectors). Returns float32 (Y, X): differences in HU."""
        astra = self.astra
        projector = self._projector(len(sinogram))
        rays = astra.data2d.create("-sino", astra.projector.projection_geometry(projector), sinogram)
        image = astra.data2d.create("-vol", self.grid)
        data = {"ProjectorId": projector, "ProjectionDataId": rays, "ReconstructionDataId": image}
        option = {"option": {"FilterType": self.kernel}}
        algorithm = astra.algorithm.create(astra.astra_dict("FBP") | data | option)
        try:
            astra.algorithm.run(algorithm)
            return astra.data2d.get(image) * np.float32(1000 / MU_WATER)
        finally:
            astra.algorithm.delete(algorithm)
            astra.data2d.delete([rays, image])
            astra.projector.delete(projector)

    def _projector(self, angles: int) -> int:
        views = np.linspace(0, np.pi, angles, endpoint=False)
        rays = self.astra.create_proj_geom("parallel", self.detector_mm, self.detectors, views)
        return self.astra.create_projector("linear", rays, self.grid)


def attenuation(hu: np.ndarray) -> np.ndarray:
    """The linear attenuation coefficient µ per mm of HU, float32; nothing attenuates less than air."""
    return np.maximum(hu.astype(np.float32) / 1000 + 1, 0) * np.float32(MU_WATER)


def project(astra, mu: np.ndarray, projector: int) -> np.ndarray:
    """The integrals of an image along the rays of an ASTRA projector, which is deleted. Returns float32 (angles,
    detectors).
    """
    try:
        data_id, sinogram = astra.create_sino(mu, projector)
        astra.data2d.delete(data_id)
    finally:
        astra.projector.delete(projector)
    return sinogram


def import_astra():
    """The module astra. InputError if astra-toolbox is not installed."""
    try:
        import astra
    except ImportError:
        raise InputError(
            "Low dose is simulated with astra-toolbox, which is not installed; "
            "install it with: pip install 'meddiff-fm[training]'"
        ) from None
    return astra
