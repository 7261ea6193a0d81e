"""The slice thickness of a volume in the scene, from the DICOM files that it was loaded from."""

import math

import slicer

THICKNESS = "0018,0050"
UIDS = "DICOM.instanceUIDs"


def sliceThickness(volumeNode):
    """The thickness in mm that the first and the last slice of a volume state alike, or None: it was not loaded from
    DICOM, its files are not in the database any more, or they do not state it.
    """
    uids = (volumeNode.GetAttribute(UIDS) or "").split()
    database = slicer.app.dicomDatabase()
    if not uids or database is None or not database.isOpen:
        return None
    first, last = (_number(database.instanceValue(uid, THICKNESS)) for uid in (uids[0], uids[-1]))
    return first if first is not None and last is not None and math.isclose(first, last, rel_tol=0.01) else None


def _number(text):
    """The positive number that a text is, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None
