"""The usual HU of every class of the anatomy condition, without contrast medium. Standard library only.

Medians of a class in adults, as textbooks of radiology give them for unenhanced CT at 120 kV; bones with their marrow,
hollow organs with their contents. Where a training volume has the organ's mask its own median was measured beside them
(Training/RUNS.md): the liver 47, aorta 44, T12 112, a rib 220, cartilage 114, lung −830, fat −103 HU.
"""

from __future__ import annotations

from .classes import BODY, BONE, GAS, LUNG, ORGANS, label_numbers

AIR, FAT, SOFT_TISSUE = -1000.0, -100.0, 30.0

# by class or group (`classes.GROUPS`); later entries have precedence
_USUAL = {
    "vertebrae": 130,
    "ribs": 220,
    "lungs": -830,
    "vessels": 42,
    "spleen": 46,
    "kidney": 30,
    "gallbladder": 8,
    "liver": 52,
    "stomach": 35,
    "pancreas": 35,
    "adrenal gland": 12,
    "esophagus": 30,
    "trachea": -970,
    "thyroid gland": 95,
    "small bowel": 25,
    "duodenum": 25,
    "colon": -10,
    "urinary bladder": 10,
    "prostate": 35,
    "kidney cyst": 5,
    "sacrum": 90,
    "vertebrae S1": 140,
    "heart": 42,
    "atrial appendage left": 42,
    "humerus": 250,
    "scapula": 220,
    "clavicula": 300,
    "femur": 220,
    "hip": 150,
    "spinal cord": 28,
    "gluteus maximus": 35,
    "gluteus medius": 45,
    "gluteus minimus": 45,
    "autochthon": 42,
    "iliopsoas": 55,
    "brain": 30,
    "skull": 850,
    "sternum": 130,
    "costal cartilages": 112,
}

USUAL_HU: dict[int, float] = {number: float(hu) for name, hu in _USUAL.items() for number in label_numbers(name)}
USUAL_HU |= {BODY: SOFT_TISSUE, LUNG: -830.0, BONE: 420.0, GAS: -950.0}
BONE_OF_A_HEAD = 850.0  # what thresholds find there is skull and jaw, with little marrow

assert set(USUAL_HU) == set(ORGANS)
