"""The modules' self-tests on a small real CT, in Slicer or in the test harness; skipped if packages are missing."""

import functools
import unittest

import numpy as np
import slicer

from .runner import environment
from .runner.backend import savedBackend
from .scene import exchange
from .scene.sample_data import sampleFile

MARGIN = 40  # voxels cropped from each side, so that a test takes seconds


def loadSample(name="chest_ts_aorta.nii.gz"):
    """Load a crop of a sample as a volume node."""
    whole = slicer.util.loadVolume(str(sampleFile(name)), {"show": False})
    cut = slice(MARGIN, -MARGIN)
    matrix = exchange.ijkToRAS(whole)
    matrix[:3, 3] = (matrix @ [MARGIN, MARGIN, MARGIN, 1])[:3]
    voxels = slicer.util.arrayFromVolume(whole)[cut, cut, cut].copy()
    slicer.mrmlScene.RemoveNode(whole)
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name="Chest")


def _skipWithoutPackages(test):
    if savedBackend().kind == "slicer" and environment.missing():
        test.skipTest("the Python packages are not installed")


def _orSkipped(check):
    """A check that shows why it was skipped; Slicer's *Test* button would report a SkipTest as a failure."""

    @functools.wraps(check)
    def checked(test, logic, **options):
        try:
            check(test, logic, **options)
        except unittest.SkipTest as reason:
            test.delayDisplay(f"Skipped: {reason}.")

    return checked


@_orSkipped
def checkDenoise(test, logic):
    """Check that denoising reduces the noise, keeps the grid and leaves the input unchanged."""
    _skipWithoutPackages(test)
    source = loadSample()
    before = slicer.util.arrayFromVolume(source).copy()
    result = logic.process(source, quality="fast")
    facts = exchange.provenanceOf(result)["facts"]
    test.assertLess(facts["noise_after_hu"], facts["noise_before_hu"])
    test.assertEqual(exchange.ijkToRAS(result).tolist(), exchange.ijkToRAS(source).tolist())
    test.assertTrue((slicer.util.arrayFromVolume(source) == before).all())


@_orSkipped
def checkSuperResolve(test, logic):
    """Check that means of real slices become as many thin slices again, with the same means."""
    _skipWithoutPackages(test)
    sample = loadSample()
    voxels = slicer.util.arrayFromVolume(sample)
    blocks = voxels[: len(voxels) // 4 * 4].reshape(-1, 4, *voxels.shape[1:]).mean(1).round()
    matrix = exchange.ijkToRAS(sample)
    matrix[:, 3] = matrix @ [0, 0, 1.5, 1]
    matrix[:3, 2] *= 4
    source = slicer.util.addVolumeFromArray(blocks.astype("int16"), ijkToRAS=matrix, name="Thick")
    result = logic.process(source, quality="fast", factor=4)
    thin = slicer.util.arrayFromVolume(result).astype(float)
    test.assertEqual((thin.reshape(-1, 4, *thin.shape[1:]).mean(1) - blocks).max(), 0)


@_orSkipped
def checkInpaintLesion(test, logic):
    """Check that voxels change within the mask, and none outside."""
    _skipWithoutPackages(test)
    from .scene.lesion_segmentation import addEllipsoid, newLesion

    source = loadSample()
    lesion, bounds = newLesion(source), [0.0] * 6
    source.GetRASBounds(bounds)
    center = [(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2], strict=True)]
    addEllipsoid(lesion, source, center, 12.0)
    result = logic.process(source, lesion, region="chest", anatomy="none", steps=2, resample=1)
    inside = slicer.util.arrayFromSegmentBinaryLabelmap(lesion, "Lesion", source) > 0
    change = slicer.util.arrayFromVolume(result) != slicer.util.arrayFromVolume(source)
    test.assertFalse(change[~inside].any())
    test.assertTrue(change[inside].any())


@_orSkipped
def checkGenerateLesion(test, logic, **options):
    """Check that a synthetic CT with a lesion has the label map's grid. options: parameters of the task."""
    _skipWithoutPackages(test)
    from .scene.lesion_segmentation import addEllipsoid, newLesion

    labels = np.zeros((24, 40, 40), np.uint8)
    labels[4:20, 8:30, 8:30] = 5  # liver
    source = slicer.util.addVolumeFromArray(labels, name="Organs", nodeClassName="vtkMRMLLabelMapVolumeNode")
    lesion = newLesion(source)
    addEllipsoid(lesion, source, (exchange.ijkToRAS(source) @ [19, 19, 12, 1])[:3], 8.0)
    few = {"synthesis_steps": 2, "steps": 2, "resample": 1}  # the image itself is not tested
    options = {"quality": "fast", "region": "abdomen"} | few | options
    result = logic.process(source, lesion, **options)
    test.assertEqual(slicer.util.arrayFromVolume(result).shape, labels.shape)
    test.assertEqual(result.GetAttribute(exchange.ATTRIBUTE + "synthetic"), "true")


@_orSkipped
def checkSynthesize(test, logic):
    """Check that a synthetic CT has the label map's grid and is marked as synthetic."""
    _skipWithoutPackages(test)
    labels = np.zeros((24, 40, 40), np.uint8)
    labels[4:20, 8:30, 8:30] = 5  # liver
    source = slicer.util.addVolumeFromArray(labels, name="Organs", nodeClassName="vtkMRMLLabelMapVolumeNode")
    result = logic.process(source, quality="fast", region="abdomen", steps=2)
    test.assertEqual(slicer.util.arrayFromVolume(result).shape, labels.shape)
    test.assertEqual(result.GetAttribute(exchange.ATTRIBUTE + "synthetic"), "true")


@_orSkipped
def checkDetectAnomalies(test, logic):
    """Check that the map has the CT's grid and is 0 outside the organ, and that it has findings."""
    _skipWithoutPackages(test)
    source = loadSample()
    result = logic.process(source, organ="lungs")
    test.assertEqual(exchange.ijkToRAS(result).tolist(), exchange.ijkToRAS(source).tolist())
    test.assertTrue((slicer.util.arrayFromVolume(result) == 0).any())
    nodes = logic.findings(result)
    test.assertEqual(nodes.segmentation.GetSegmentation().GetNumberOfSegments(), 2)
    test.assertEqual(nodes.table.GetNumberOfColumns(), 13)
