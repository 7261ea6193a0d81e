"""A training store made of SimpleITK images, without a manifest: for tests of what reads it."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from MedDiffFMLib.anatomy.tissue import BodyImage, complete_labels, find_tissue
from MedDiffFMTraining.data.store import CaseFacts, write_case


def add_case(
    folder: Path,
    split: str,
    facts: CaseFacts,
    image: sitk.Image,
    labels: sitk.Image | None,
    lesions: sitk.Image | None = None,
    pair: sitk.Image | None = None,
) -> None:
    """Write one case: RAS order, own grid; where no organ is given, body, lung, bone or gas."""
    hu, given, lesion, second = (
        None if i is None else sitk.GetArrayFromImage(sitk.DICOMOrient(i, "RAS"))
        for i in (image, labels, lesions, pair)
    )
    labeled = complete_labels(given, find_tissue(BodyImage(hu, facts.spacing)))
    write_case(folder, split, facts, hu, labeled, lesion, second)
