"""Metrics of anomaly maps against known lesions: those of BMAD (Bao et al. 2024) as the paper's Table VI takes them.

An image is an axial slice. Everything is counted among `counted` voxels, an organ's: BMAD's images are organs on a
black background that is easily distinguished from a lesion and raises its pixel AUROC; ours leave it out.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

IN_PLANE = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])  # a region does not reach the next slice


def detection_quality(score: np.ndarray, lesion: np.ndarray, counted: np.ndarray) -> tuple[float | None, ...]:
    """Image AUROC, pixel AUROC, PRO and Dice of a map: higher `score` is more abnormal.

    All (Z, Y, X), z across axial slices; lesion and counted are bool. ValueError unless some of the counted voxels are
    lesion and some are not. Image AUROC is None if every counted slice shows the lesion.
    """
    lesion = lesion & counted
    if not 0 < np.count_nonzero(lesion) < np.count_nonzero(counted):
        raise ValueError("there must be voxels with and without a lesion")
    scores, truth = score[counted], lesion[counted]
    return (
        image_auroc(score, lesion, counted),
        auroc(scores, truth),
        pro(score, lesion, counted),
        dice_at_half(score, lesion, counted),
    )


def auroc(score: np.ndarray, abnormal: np.ndarray) -> float:
    """Area under the ROC curve: how often an abnormal one scores higher than a normal one, ties counting half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(abnormal, score))


def image_auroc(score: np.ndarray, lesion: np.ndarray, counted: np.ndarray) -> float | None:
    """AUROC of slices, each scoring as its highest counted voxel. None if all or none of them show the lesion."""
    slices = np.flatnonzero(counted.any(axis=(1, 2)))
    abnormal = lesion[slices].any(axis=(1, 2))
    if abnormal.all() or not abnormal.any():
        return None
    return auroc(np.array([score[z][counted[z]].max() for z in slices]), abnormal)


def pro(score: np.ndarray, lesion: np.ndarray, counted: np.ndarray, limit: float = 0.3) -> float:
    """Per-region overlap (Bergmann et al. 2021): the share of a region that is found, averaged over the regions, over
    the false positive rate from 0 to `limit`, its area divided by `limit`.

    A region is a part of the lesion that hangs together in a slice (edges or corners). The regions' mean share is the
    true positive rate if each voxel weighs 1/size of its region, so the curve is scikit-learn's, at every threshold.
    """
    from sklearn.metrics import auc, roc_curve

    regions, _ = ndimage.label(lesion & counted, structure=IN_PLANE)
    size = np.bincount(regions[counted])
    weight = np.where(regions > 0, 1 / size[regions], 1.0)
    fpr, overlap, _ = roc_curve(lesion[counted], score[counted], sample_weight=weight[counted])
    within = fpr <= limit
    area = auc([*fpr[within], limit], [*overlap[within], np.interp(limit, fpr, overlap)])
    return float(area / limit)


def dice_at_half(score: np.ndarray, lesion: np.ndarray, counted: np.ndarray) -> float:
    """Dice of what scores above the middle between a slice's lowest and highest score, averaged over the slices with a
    lesion (as BMAD: each image's map scaled to [0, 1], threshold 0.5).
    """
    from sklearn.metrics import f1_score

    found = []
    for z in np.flatnonzero(lesion.any(axis=(1, 2))):
        scores = score[z][counted[z]]
        found.append(f1_score(lesion[z][counted[z]], scores > (scores.min() + scores.max()) / 2))
    return float(np.mean(found))
