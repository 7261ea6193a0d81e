"""What is refused, and what is only said, of CTs whose faults were made by hand."""

import numpy as np
import pytest

from MedDiffFMLib.anatomy.regions import ABDOMEN, CHEST
from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.manifest import write_manifest
from MedDiffFMTraining.data.quality import content_hash, examine

SPACING = (3.0, 2.0, 2.0)


@pytest.fixture
def ct():
    """20 slices of 40 × 50 voxels: a body of 40 ± 12 HU in rows 10–29 and columns 10–39, air of −1000 ± 12 around."""
    rng = np.random.default_rng(0)
    body = np.zeros((20, 40, 50), bool)
    body[:, 10:30, 10:40] = True
    hu = np.where(body, 40.0, -1000.0) + rng.normal(0, 12, body.shape)
    return hu.astype(np.float32), body


def look(hu, body, padding=None, region=ABDOMEN, spacing=SPACING):
    return examine(hu, spacing, body, np.zeros(body.shape, bool) if padding is None else padding, [region])


def test_a_sound_ct_is_measured(ct):
    quality = look(*ct)
    assert quality.air_hu == pytest.approx(-1000, abs=10) and quality.tissue_hu == pytest.approx(40, abs=10)
    assert quality.noise_hu == pytest.approx(12, abs=1.5) and quality.size_mm == (60, 80, 100)
    assert (quality.cut_slices, quality.cut_border, quality.ends, quality.placed) == (0, 0, (True, True), True)
    assert quality.warnings == ["only 60 mm along an axis"]


def test_a_wrong_scale_is_refused(ct):
    hu, body = ct
    with pytest.raises(InputError, match=r"air is at -8.. HU"):
        look(hu + 150, body)
    with pytest.raises(InputError, match=r"soft tissue is at 2.. HU"):
        look(np.where(body, hu + 200, hu), body)
    with pytest.raises(InputError, match="Hardly any of its body"):
        look(np.where(body, hu + 900, hu), body)


def test_values_clipped_inside_the_window_are_refused(ct):
    """A chest's window ends at 400 HU, an abdomen's at 240: clipping at 300 hurts only the first."""
    hu, body = ct
    bone = hu.copy()
    bone[:, 15:20, 15:20] = 800
    assert "clipped at 300 HU" in look(np.minimum(bone, 300), body).warnings
    with pytest.raises(InputError, match="clipped at 300 HU, inside the region's window"):
        look(np.minimum(bone, 300), body, region=CHEST)
    with pytest.raises(InputError, match=r"clipped at -160 HU|air is at -1"):
        look(np.maximum(hu, -160), body)


def test_a_body_at_the_border_is_cut(ct):
    """Columns 0–29 of 50: 20 of the border's 176 voxels are body in every slice, 11 %."""
    hu, body = (np.roll(array, -10, axis=2) for array in ct)
    quality = look(hu, body)
    assert quality.cut_slices == 1.0 and quality.cut_border == pytest.approx(20 / 176, abs=1e-4) and quality.placed
    cut = look(np.ascontiguousarray(hu[:, 12:28, 2:28]), np.ascontiguousarray(body[:, 12:28, 2:28]), spacing=(3, 3, 3))
    assert cut.cut_border == 1.0 and not cut.placed and "place in the body unknown" in cut.warnings


def test_a_round_field_of_view_cuts_where_padding_begins(ct):
    """Padding up to column 9, beside the body that begins in column 10: 20 voxels a slice touch it."""
    hu, body = ct
    padding = np.zeros(body.shape, bool)
    padding[:, :, :10] = True
    quality = look(hu, body, padding)
    assert quality.cut_border == pytest.approx(20 / 176, abs=1e-4) and quality.padding == pytest.approx(0.2)
    assert "padding made air (20%)" in quality.warnings


def test_sizes_are_refused_or_said(ct):
    hu, body = ct
    with pytest.raises(InputError, match="too small"):
        look(hu[:7], body[:7])
    with pytest.raises(InputError, match="12 mm apart"):
        look(hu, body, spacing=(12.0, 2.0, 2.0))
    assert "slices of 7 mm" in look(hu, body, spacing=(7.0, 2.0, 2.0)).warnings


def test_the_content_hash_knows_voxels_and_shape_alone(ct):
    hu = np.rint(ct[0])
    assert content_hash(hu) == content_hash(hu.astype(np.int16)) == content_hash(np.asfortranarray(hu))
    assert content_hash(hu) != content_hash(hu.reshape(40, 20, 50)) != content_hash(hu + 1)


def test_the_command_refuses_with_what_to_do(tmp_path):
    """Nothing accepted, a wrong spacing, two places to compute: each is an InputError, which ends with code 2."""
    import typer
    from typer.testing import CliRunner

    from MedDiffFMTraining.commands import register

    app = typer.Typer()
    register(app)
    manifest = tmp_path / "manifest.csv"
    write_manifest(manifest, [{"path": "none.nii", "patient": "p", "region": "auto", "anatomy": "none"}])
    messages = {}
    for name, options in {"none": [], "spacing": ["--spacing", "x"], "both": ["--jobs=2", "--scheduler=a"]}.items():
        result = CliRunner().invoke(app, ["train", "prepare", str(manifest), str(tmp_path / "store"), *options])
        assert isinstance(result.exception, InputError)
        messages[name] = str(result.exception)
    assert "was accepted" in messages["none"] and (tmp_path / "store" / "report.csv").exists()
    assert "--spacing cannot be 'x'" in messages["spacing"] and "give one of them" in messages["both"]
