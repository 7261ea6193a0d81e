"""Whether two volumes can be one scan: a turned sign, another patient or swapped files would teach or prove nothing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from MedDiffFMLib.errors import InputError

LEAST_LIKENESS = 0.5  # correlation without fine noise; two doses of a scan have over .9, a scan and its negative −1
SHOWN_HU = (-1000.0, 1000.0)  # metal and padding shall not decide
NOISIER = 1.1  # times the noise of the low dose that a full dose may have, for both are estimates


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two volumes (Z, Y, X) in HU on one grid, without the noise between neighboring pixels; 1 where
    one of them has no structure, since then nothing can be told.
    """
    smooth = [gaussian_filter(np.clip(hu, *SHOWN_HU).astype(np.float32), (0, 2, 2)).ravel() for hu in (one, other)]
    if min(image.std() for image in smooth) < 1:
        return 1.0
    return float(np.corrcoef(*smooth)[0, 1])


def check_same_scan(one: np.ndarray, other: np.ndarray, names: str) -> None:
    """InputError unless two volumes in HU on one grid look like one scan. names: of the two, for the message."""
    if (found := likeness(one, other)) < LEAST_LIKENESS:
        raise InputError(
            f"{names} do not show the same (correlation {found:.2f}): give two reconstructions of one scan, both in HU "
            "with the same sign."
        )


def check_doses(low_hu: float | None, full_hu: float | None, names: str) -> None:
    """InputError if the low dose has clearly less noise (HU) than the full dose; None: it could not be measured."""
    if low_hu is not None and full_hu is not None and full_hu > NOISIER * low_hu:
        raise InputError(
            f"{names}: the low dose has less noise ({low_hu:.1f} HU) than the full dose ({full_hu:.1f} HU); were the "
            "two files swapped?"
        )
