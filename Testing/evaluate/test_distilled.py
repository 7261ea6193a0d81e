"""Few steps beside many: walks, distances and detail on cases with a known answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import TINY

from MedDiffFMLib.diffusion.schedule import cosine_schedule
from MedDiffFMTraining.data.crop import Crop
from MedDiffFMTraining.evaluate.probes.crops import Sample
from MedDiffFMTraining.evaluate.probes.distillation import compare_steps, detail, measure, steps_of


def sample_of(x0):
    """A crop of a chest, all body, and its noise."""
    axes = tuple(torch.linspace(-1, 1, n) for n in x0.shape[1:])
    crop = Crop(x0, axes, True, torch.full(x0.shape[1:], 118, dtype=torch.uint8), 1, "patch")
    return Sample(crop, torch.randn(x0.shape, generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def sample():
    z, y, x = torch.meshgrid(*(torch.arange(16.0),) * 3, indexing="ij")
    return sample_of(((x + y + z) / 45 - 0.5)[None])


class Knows(torch.nn.Module):
    """v of one image, whatever it is shown."""

    def __init__(self, x0):
        super().__init__()
        self.config, self.x0 = replace(TINY, prediction="v"), x0
        self.alpha_bar = torch.from_numpy(cosine_schedule().alpha_bar)

    def forward(self, x_t, t, position, anatomy, region, residuals=None):
        alpha = self.alpha_bar[t].view(-1, 1, 1, 1, 1)
        return ((alpha.sqrt() * x_t - self.x0) / (1 - alpha).sqrt()).float()


def test_measures_by_hand(sample):
    """900 HU a unit; the ramp rises by 20 HU a voxel along each axis. Twice the contrast: twice the detail."""
    real = sample.hu(sample.crop.x0)
    assert detail(real, np.ones(real.shape, bool)) == pytest.approx(20, rel=1e-4)
    same = measure(real.copy(), real, sample)
    assert same["HU from 50 steps"] == 0 and same["SSIM to CT"] == pytest.approx(1) and same["histogram HU"] == 0
    shifted = measure(real + 18, real, sample)
    assert shifted["HU from 50 steps"] == pytest.approx(18, rel=1e-4) and shifted["histogram HU"] == pytest.approx(
        18, rel=1e-4
    )
    assert shifted["PSNR"] == pytest.approx(40, abs=0.01)  # 18 HU of a window of 1800
    assert shifted["detail"] == pytest.approx(1, rel=1e-4)
    assert measure(real * 2, real, sample)["detail"] == pytest.approx(2, rel=1e-4)


def test_detail_counts_neighbors_within_the_body_alone():
    hu, body = np.zeros((1, 1, 4), np.float32), np.array([[[True, True, True, False]]])
    hu[0, 0] = 0, 10, 40, 1000
    assert detail(hu, body) == pytest.approx(20)


def test_a_student_that_knows_as_much_is_as_near(sample, tiny_model):
    """Teacher and student know the crop's own image: no distance to 50 steps, none to the CT, each by its own steps."""
    teacher = replace(tiny_model, network=Knows(sample.crop.x0), name="teacher")
    other = replace(teacher, network=Knows(sample.crop.x0 / 2), config=distilled(2))
    student = replace(teacher, config=distilled(4))
    assert (steps_of(teacher), steps_of(student)) == (0, 4)
    report = compare_steps(teacher, [other, student], [sample], lambda line: None)
    rows = {line.method: dict(zip([m.name for m in report.metrics], line.values, strict=True)) for line in report.lines}
    assert list(rows) == [
        *("teacher, 50 steps", "teacher, other noise"),
        *("teacher, 4 steps", "student, 4 steps", "teacher, 2 steps", "student, 2 steps"),
    ]
    assert [row["evaluations"] for row in rows.values()] == [50, 50, 4, 4, 2, 2]
    assert rows["student, 4 steps"]["HU from 50 steps"] == pytest.approx(0, abs=0.01)
    assert rows["student, 4 steps"]["SSIM to CT"] == pytest.approx(1, abs=1e-4)
    assert rows["teacher, 50 steps"]["PSNR"] is None
    halved = np.abs(sample.crop.x0.numpy()).mean() * 450  # half of x0, 900 HU a unit
    assert rows["student, 2 steps"]["HU from 50 steps"] == pytest.approx(halved, rel=1e-3)
    assert rows["student, 2 steps"]["detail"] == pytest.approx(0.5, rel=1e-3)


def distilled(count):
    return {"training": {"config": {"distilled_to": count}}}
