"""The range of HU in which the median of an organ lies in real patients, without contrast medium or with any phase of
it.

By what textbooks of radiology give for unenhanced, arterial and portal venous CT at 120 kV, widened where the
repository's CTs or training volumes with masks lie outside. A wide range: what is out of it is wrong, what is within
may be.
"""

from __future__ import annotations

from MedDiffFMLib.anatomy.classes import BONE, LUNG, label_numbers

_RANGES = {
    "vertebrae": (50, 350),
    "ribs": (80, 600),
    "lungs": (-930, -600),
    "vessels": (25, 600),
    "muscles": (-10, 90),
    "spleen": (30, 160),
    "kidney": (10, 250),
    "gallbladder": (-10, 40),
    "liver": (10, 150),
    "stomach": (-50, 150),
    "pancreas": (-20, 140),
    "adrenal gland": (-20, 120),
    "esophagus": (-20, 110),
    "trachea": (-1010, -850),
    "thyroid gland": (50, 250),
    "small bowel": (-50, 150),
    "duodenum": (-50, 150),
    "colon": (-950, 150),
    "urinary bladder": (-10, 80),
    "prostate": (0, 110),
    "kidney cyst": (-15, 40),
    "sacrum": (10, 300),
    "heart": (25, 600),
    "atrial appendage left": (25, 600),
    "humerus": (50, 700),
    "scapula": (50, 600),
    "clavicula": (100, 700),
    "femur": (30, 600),
    "hip": (50, 450),
    "spinal cord": (0, 60),
    "brain": (15, 50),
    "skull": (300, 1500),
    "sternum": (50, 350),
    "costal cartilages": (60, 180),
}

REAL_HU: dict[int, tuple[float, float]] = {n: ends for name, ends in _RANGES.items() for n in label_numbers(name)}
REAL_HU |= {LUNG: (-930, -600), BONE: (180, 1200)}
