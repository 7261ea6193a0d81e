"""The three anatomical regions of the model with their HU windows and class embeddings (paper, III-B and IV-A2).

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """A region class. `index` is its class embedding; `window` the HU range (low, high) scaled to [-1, 1]."""

    name: str
    index: int
    window: tuple[float, float]


HEAD_NECK = Region("head-neck", 0, (-150.0, 250.0))
CHEST = Region("chest", 1, (-1400.0, 400.0))
ABDOMEN = Region("abdomen", 2, (-120.0, 240.0))
REGIONS = {region.name: region for region in (HEAD_NECK, CHEST, ABDOMEN)}
