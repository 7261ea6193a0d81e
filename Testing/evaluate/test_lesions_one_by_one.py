"""Tables VIII and IX hold one CT of a data set in memory at a time, whatever is measured on it."""

import itertools
import json
import weakref

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_controls, save_tiny_model

pytest.importorskip("medmetric", reason="medmetric is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from MedDiffFMTraining.evaluate.cases import lesions, synthesis
from MedDiffFMTraining.evaluate.cases.volumes import TESTING_DATA

NAMES = ("one", "two", "three")
LINE = "{0}.nii.gz,{0}_seg.nii.gz,chest,{0},none"


@pytest.fixture
def listed(tmp_path):
    """A list of three CTs with a lesion each, and a folder with what another method made of them."""
    image = sitk.ReadImage(str(TESTING_DATA / "chest_ts_aorta.nii.gz"))[20:68, 30:78, 60:92]
    z, y, x = np.indices(image.GetSize()[::-1])
    ball = sitk.GetImageFromArray(((z - 16) ** 2 + (y - 24) ** 2 + (x - 24) ** 2 < 9).astype(np.uint8))
    ball.CopyInformation(image)
    (tmp_path / "other").mkdir()
    for name in NAMES:
        for path, what in ((f"{name}", image), (f"{name}_seg", ball), (f"other/{name}", image)):
            sitk.WriteImage(what, str(tmp_path / f"{path}.nii.gz"))
    table = tmp_path / "list.csv"
    table.write_text("\n".join(["ct,lesion,region,name,anatomy", *map(LINE.format, NAMES)]) + "\n", encoding="utf-8")
    return table


@pytest.fixture
def alive(monkeypatch):
    """Watches the volumes that are read: when the next CT's is, all of the CTs before must be gone. Returns the names
    of the CTs in the order that they were come to.
    """
    kept, order = {}, []

    def watched(module, name, of_case):
        original = getattr(module, name)

        def call(file, *arguments, **options):
            case = file.name.removesuffix(".nii.gz").removesuffix("_seg")
            held = {other for other, volume in itertools.chain(*kept.values()) if other != case and volume()}
            assert not held, f"{held} held while {case} is read"
            order.extend([case] if order[-1:] != [case] else [])
            made = original(file, *arguments, **options)
            kept.setdefault(case, []).extend((case, weakref.ref(volume)) for volume in of_case(made))
            return made

        monkeypatch.setattr(module, name, call)

    watched(lesions, "read_volume", lambda volume: [volume])
    watched(lesions, "read_labels", lambda volume: [volume])
    watched(synthesis, "load_pair", lambda pair: [pair, pair.ct, pair.labels])
    return order


@pytest.mark.parametrize(
    "words",
    [
        ("generate-lesion", "--quality", "fast", "--spacing", "3", "--features", "none"),
        ("inpaint-lesion", "--anatomy", "threshold"),
    ],
)
def test_one_ct_is_in_memory_at_a_time(words, run, listed, alive, tmp_path):
    model = save_tiny_controls(save_tiny_model(tmp_path / "tiny", patch=16))
    task, *options = words
    named = ("--list", listed, "--model", model, "--device", "cpu", "--steps", "1", "--diameters", "none")
    made = ("--result", tmp_path / "other", "--keep", tmp_path / "kept", "--real", "--json", tmp_path / "r.json")
    run("evaluate", task, *named, *options, *made)
    cases = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["cases"]
    assert list(dict.fromkeys(case["method"] for case in cases)) == ["real", "tiny", "other"]
    assert {case["case"].partition("_")[0] for case in cases if case["method"] == "tiny"} == set(NAMES)
    assert alive[-3:] == list(NAMES)


@pytest.mark.parametrize("task", ["generate-lesion", "inpaint-lesion"])
def test_one_ct_is_in_memory_at_a_time_where_inputs_are_written(task, run, listed, alive, tmp_path):
    run("evaluate", task, "--list", listed, "--diameters", "none", "--write-inputs", tmp_path / "inputs")
    assert len(list((tmp_path / "inputs" / "lesion").iterdir())) == 3
