"""The settings and the refiner of a denoising, from its model and parameters."""

from __future__ import annotations

from dataclasses import replace

from ..models.components import REFINERS
from ..models.loading import Model
from ..networks.refiner import Refiner
from ..parameters import DenoiseParameters
from ..refinement.low_dose import LOW_DOSE
from .denoise_region import QUALITIES, DenoiseSettings
from .settings import settings_for


def denoise_settings(model: Model, params: DenoiseParameters) -> DenoiseSettings:
    """The settings of a run: the quality's, overridden by the model's, and those by the parameters."""
    settings = settings_for(model, "denoise", QUALITIES[params.quality], params.quality, params.overlap)
    settings = replace(settings, steps=params.steps or settings.steps)
    return replace(settings, nlm_share=0.0) if params.alone else settings


def denoise_refiner(model: Model, settings: DenoiseSettings) -> Refiner | None:
    """The model's refiner, where it has one and the foundation model is not to work alone."""
    has_refiner = settings.nlm_share > 0 and LOW_DOSE.kind in REFINERS.names(model.folder)
    return model.refiner(LOW_DOSE.kind) if has_refiner else None
