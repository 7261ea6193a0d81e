"""The geometry of a scanner with a fan beam: a source on a circle, a flat detector across, views over 360°. Its rays
are rebinned to parallel ones, as scanners do, and then reconstructed.

A ray of the view β through the detector at u is the parallel ray of the angle θ = β − γ at the distance s = R·sin γ
from the axis, tan γ = u/(R + D). Every line is seen twice, from either end, and the mean of both is taken.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import map_coordinates

from .scanner import Scanner, attenuation, import_astra, project

SOURCE_MM, DETECTOR_MM = 570.0, 470.0  # R and D, from the axis; R grows with fields of view that a gantry does not have
ELEMENT_MM = 1.1  # between two detector elements: .6 mm on the axis
VIEWS = 720  # over 360°
PARALLEL_VIEWS, RAY_MM = 360, 0.6  # after rebinning, over 180°


class FanScanner:
    """A fan beam over one slice grid, forward and back. shape, pixel_mm, kernel: as of `Scanner`."""

    def __init__(self, shape: tuple[int, int], pixel_mm: float, kernel: str = "hann"):
        self.astra = import_astra()
        self.parallel = Scanner(shape, pixel_mm, kernel, RAY_MM)
        self.source_mm = max(SOURCE_MM, 1.3 * self.parallel.radius_mm)
        widest = self._on_detector(self.parallel.radius_mm)
        self.elements = 2 * math.ceil(widest / ELEMENT_MM) + 2

    @property
    def offsets_mm(self) -> np.ndarray:
        """The distance from the axis at which the ray of each element passes, s = R·sin γ, in mm."""
        u = (np.arange(self.elements) - (self.elements - 1) / 2) * ELEMENT_MM
        return self.source_mm * np.sin(np.arctan(u / (self.source_mm + DETECTOR_MM)))

    def path_integral(self, image: np.ndarray, views: int) -> np.ndarray:
        """The integrals of an image (Y, X) along the rays, in its unit · mm: float32 (views over 360°, elements)."""
        angles = np.linspace(0, 2 * np.pi, views, endpoint=False)
        rays = self.astra.create_proj_geom("fanflat", ELEMENT_MM, self.elements, angles, self.source_mm, DETECTOR_MM)
        projector = self.astra.create_projector("line_fanflat", rays, self.parallel.grid)
        return project(self.astra, np.asarray(image, np.float32), projector)

    def path_attenuation(self, hu: np.ndarray, views: int) -> np.ndarray:
        """The path attenuation p = ∫µ dl of every ray through a slice (Y, X) in HU: float32 (views, elements)."""
        return self.path_integral(attenuation(hu), views)

    def rebin(self, sinogram: np.ndarray) -> np.ndarray:
        """A sinogram (views, elements) as parallel rays: float32 (angles over 180°, rays)."""
        s = self.parallel.offsets_mm.clip(-self.parallel.radius_mm, self.parallel.radius_mm)[None]
        theta = np.linspace(0, np.pi, PARALLEL_VIEWS, endpoint=False)[:, None]
        return (self._rays(sinogram, theta, s) + self._rays(sinogram, theta + np.pi, -s)) / 2

    def reconstruct(self, sinogram: np.ndarray) -> np.ndarray:
        """Filtered back-projection of a sinogram (views, elements). Returns float32 (Y, X): differences in HU."""
        return self.parallel.reconstruct(self.rebin(sinogram))

    def _rays(self, sinogram: np.ndarray, theta: np.ndarray, s: np.ndarray) -> np.ndarray:
        """The rays at θ and s, linear between views and elements: β = θ + γ, u = (R + D)·tan γ."""
        view = (theta + np.arcsin(s / self.source_mm)) * len(sinogram) / (2 * np.pi) % len(sinogram)
        element = self._on_detector(s) / ELEMENT_MM + (self.elements - 1) / 2 + 0 * theta
        closed = np.concatenate([sinogram, sinogram[:1]])
        return map_coordinates(closed, (view, element), np.float32, order=1, mode="nearest")

    def _on_detector(self, s: np.ndarray | float) -> np.ndarray | float:
        return (self.source_mm + DETECTOR_MM) * s / np.sqrt(self.source_mm**2 - np.square(s))
