"""The modules' self tests: on a small real CT, in Slicer or in the harness. Skipped where the packages are missing."""

import slicer

from . import environment, exchange
from .place import savedPlace
from .sample_data import sampleFile

MARGIN = 40  # voxels cut off at each side, so that a test takes seconds


def loadSample(name="chest_ts_aorta.nii.gz"):
    """A crop of a sample as a volume node."""
    whole = slicer.util.loadVolume(str(sampleFile(name)), {"show": False})
    cut = slice(MARGIN, -MARGIN)
    matrix = exchange.ijkToRAS(whole)
    matrix[:3, 3] = (matrix @ [MARGIN, MARGIN, MARGIN, 1])[:3]
    voxels = slicer.util.arrayFromVolume(whole)[cut, cut, cut].copy()
    slicer.mrmlScene.RemoveNode(whole)
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name="Chest")


def checkDenoise(test, logic):
    """Less noise, the same grid, the input untouched."""
    if savedPlace().kind == "slicer" and environment.missing():
        test.skipTest("the Python packages are not installed")
    source = loadSample()
    before = slicer.util.arrayFromVolume(source).copy()
    result = logic.process(source, quality="fast")
    facts = exchange.provenanceOf(result)["facts"]
    test.assertLess(facts["noise_after_hu"], facts["noise_before_hu"])
    test.assertEqual(exchange.ijkToRAS(result).tolist(), exchange.ijkToRAS(source).tolist())
    test.assertTrue((slicer.util.arrayFromVolume(source) == before).all())


def checkDetectAnomalies(test, logic):
    """A map on the same grid, 0 outside of the organ, and its findings."""
    if savedPlace().kind == "slicer" and environment.missing():
        test.skipTest("the Python packages are not installed")
    source = loadSample()
    result = logic.process(source, organ="lungs")
    test.assertEqual(exchange.ijkToRAS(result).tolist(), exchange.ijkToRAS(source).tolist())
    test.assertTrue((slicer.util.arrayFromVolume(result) == 0).any())
    nodes = logic.findings(result)
    test.assertEqual(nodes.segmentation.GetSegmentation().GetNumberOfSegments(), 2)
    test.assertEqual(nodes.table.GetNumberOfColumns(), 13)
