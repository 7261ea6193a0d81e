"""Stand-in: a version that numbers its classes in another order, so that only names can be right."""

from MedDiffFMLib.anatomy.classes import ORGANS

class_map = {"total": {number: ORGANS[118 - number] for number in range(1, 118)}}
