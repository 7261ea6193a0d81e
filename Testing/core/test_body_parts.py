"""A whole-body scan is cut where the body says so, and joined so that nobody sees where."""

import numpy as np
import pytest
from whole_body import whole_body

from MedDiffFMLib.anatomy.body_regions import RegionBlender, RegionSpan, split_body, whole_scan
from MedDiffFMLib.anatomy.regions import ABDOMEN, CHEST, HEAD_NECK
from MedDiffFMLib.anatomy.tissue import BodyImage, find_tissue
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.io import read_volume

SPACING = (10.0, 5.0, 5.0)  # z, y, x in mm


def phantom(abdomen, chest, head, chest_hu=-800):
    """Slices of 10 mm: a body of 300 × 200 mm, in the chest with two lungs, above a neck of 100 × 100 mm."""
    trunk = np.full((60, 80), -1000.0)
    trunk[10:50, 10:70] = 40
    lungs = trunk.copy()
    lungs[15:45, 15:35] = lungs[15:45, 45:65] = chest_hu
    neck = np.full((60, 80), -1000.0)
    neck[20:40, 30:50] = 40
    hu = np.stack([trunk] * abdomen + [lungs] * chest + [neck] * head)
    return hu, hu > -1000


def image(hu, body):
    return BodyImage(hu, SPACING, body)


def cuts(parts):
    """Regions and the slices between which one takes over from the other."""
    found = [(p.region.name, p.start + int(np.flatnonzero(p.weights >= 0.5)[0])) for p in parts]
    return found, parts[-1].stop if parts else None


def test_three_regions_by_threshold():
    hu, body = phantom(20, 15, 12)
    parts = split_body(image(hu, body))
    assert cuts(parts) == ([("abdomen", 0), ("chest", 20), ("head-neck", 35)], 47)
    assert [(p.start, p.stop) for p in parts] == [(0, 22), (18, 37), (33, 47)]  # 20 mm more on each side of a cut
    # four slices, whose centers lie 1/8, 3/8, 5/8 and 7/8 along the fade
    fade = [0.9619398, 0.6913417, 0.3086583, 0.0380602]  # cos²(π/16), cos²(3π/16), …
    assert parts[0].weights[-4:] == pytest.approx(fade, abs=1e-6) and (parts[0].weights[:-4] == 1).all()
    assert parts[1].weights[:4] == pytest.approx(fade[::-1], abs=1e-6)


@pytest.mark.parametrize(
    ("slices", "regions"),
    [
        ((7, 15, 7), []),  # what a chest CT shows of neck and abdomen
        ((8, 15, 7), ["abdomen", "chest"]),
        ((7, 15, 8), ["chest", "head-neck"]),
        ((20, 7, 0), []),  # lung bases above an abdomen
        ((20, 8, 0), ["abdomen", "chest"]),
        ((30, 0, 0), []),
        ((0, 0, 30), []),
        ((0, 30, 0), []),
    ],
)
def test_a_region_needs_eight_centimetres(slices, regions):
    assert [p.region.name for p in split_body(image(*phantom(*slices)))] == regions


def test_air_above_the_body_is_no_region():
    hu, body = phantom(20, 15, 0)
    hu, body = (
        np.concatenate([hu, np.full((12, 60, 80), -1000.0)]),
        np.concatenate([body, np.zeros((12, 60, 80), bool)]),
    )
    parts = split_body(image(hu, body))
    assert [(p.region.name, p.stop) for p in parts] == [("abdomen", 22), ("chest", 47)]


def test_a_few_odd_slices_do_not_move_a_cut():
    """Gas in the bowel that looks like lung, and a slice of the chest without any."""
    hu, body = phantom(20, 15, 12)
    hu[5:7] = hu[25]
    hu[28] = hu[0]
    assert cuts(split_body(image(hu, body)))[0] == [("abdomen", 0), ("chest", 20), ("head-neck", 35)]


def test_organs_tell_where_lungs_are_full_of_fluid():
    """At 20 HU no threshold finds them; their labels do. In the dome (slices 20, 21) the liver has 780 voxels and the
    lungs 420, which alone would be a chest (a twelfth of the body is 200): the larger organ has the slice.
    """
    hu, body = phantom(20, 15, 12, chest_hu=20)
    assert split_body(image(hu, body)) == []
    lungs = phantom(20, 15, 12)[0] == -800
    labels = np.where(lungs, 10, 0).astype(np.uint8)
    labels[:20, 20:40, 20:60] = 5  # liver
    labels[35:, 25:35, 35:45] = 91  # skull
    labels[20:22, :, 29:][lungs[20:22, :, 29:]] = 5
    assert [(labels[20] == n).sum() for n in (5, 10)] == [780, 420]
    assert cuts(split_body(image(hu, body), labels))[0] == [("abdomen", 0), ("chest", 22), ("head-neck", 35)]


def test_a_liver_alone_is_not_taken_for_the_whole_truth():
    """Labels without lungs cannot say where the chest is: the threshold does."""
    hu, body = phantom(20, 15, 12)
    labels = np.zeros(hu.shape, np.uint8)
    labels[15:30, 20:40, 20:30] = 5
    assert cuts(split_body(image(hu, body), labels))[0][1] == ("chest", 20)
    assert cuts(split_body(image(hu, body), find_tissue(image(hu, body))))[0][1] == ("chest", 20)


@pytest.mark.parametrize("name", ["abd_ts_example", "chest_ts_aorta"])
def test_real_scans_of_one_region_stay_whole(data, name):
    frame = prepare(read_volume(data / f"{name}.nii.gz"))
    assert split_body(BodyImage(frame.hu, frame.spacing)) == []


def test_a_whole_body_of_real_ct(data):
    """Abdomen, chest and a toy head, stacked at slices 12 and 24; with and without the abdomen's organs."""
    volume, organs = whole_body(data)
    frame = prepare(volume)
    for labels in (None, organs):
        parts = split_body(BodyImage(frame.hu, frame.spacing), labels)
        names, _ = cuts(parts)
        assert [name for name, _ in names] == ["abdomen", "chest", "head-neck"]
        assert (names[1][1], names[2][1]) == (12, 24)


def test_weights_sum_to_one_and_a_join_of_agreeing_parts_changes_no_bit():
    hu, body = phantom(20, 15, 12)
    parts = split_body(image(hu, body))
    total = np.zeros(47)
    for part in parts:
        total[part.z] += part.weights
    assert total == pytest.approx(np.ones(47), abs=1e-6)
    values = np.random.default_rng(0).normal(0, 300, hu.shape).astype(np.float32)
    for some in (parts, [whole_scan(CHEST, 47)]):
        joined = RegionBlender(hu.shape)
        for part in some:
            joined.add(part, values[part.z])
        assert np.array_equal(joined.values, values)


def test_a_join_passes_smoothly_from_one_value_to_the_next():
    """Parts that say 0, 100 and 300: in the middle of a fade 50 and 200, never a step over what cos² makes at 10 mm."""
    hu, body = phantom(20, 15, 12)
    parts = split_body(image(hu, body))
    values = {ABDOMEN: 0, CHEST: 100, HEAD_NECK: 300}
    joined = RegionBlender(hu.shape)
    for part in parts:
        joined.add(part, np.full((part.stop - part.start, 60, 80), values[part.region], np.float32))
    line = joined.values[:, 0, 0]
    assert (line[:18] == 0).all() and (line[22:33] == 100).all() and (line[37:] == 300).all()
    assert line[18:22] == pytest.approx([3.80602, 30.86583, 69.13417, 96.19398], abs=1e-3)
    assert line[33:37] == pytest.approx([107.612, 161.7317, 238.2683, 292.388], abs=1e-3)


def test_a_part_knows_its_slices():
    part = RegionSpan(CHEST, 3, 7, np.ones(4, np.float32))
    assert part.z == slice(3, 7)
