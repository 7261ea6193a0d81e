"""The commands `meddiff-fm evaluate …`, one a file: each task with the paper's metrics, and probes of training."""

from __future__ import annotations

import typer

from .ablation import evaluate_ablation
from .condition import evaluate_condition
from .denoise import evaluate_denoise
from .detect_anomalies import evaluate_detect_anomalies
from .distillation import evaluate_distillation
from .generate_lesion import evaluate_generate_lesion
from .image_quality import evaluate_image_quality
from .inpaint_lesion import evaluate_inpaint_lesion
from .nnunet_split import nnunet_split
from .pictures import pictures
from .super_resolve import evaluate_super_resolve
from .synthesize import evaluate_synthesize
from .tune_classical import tune_classical

evaluate_app = typer.Typer(help="Measure how good the model is, beside other tools.", no_args_is_help=True)
for name, command in {
    "pictures": pictures,
    "denoise": evaluate_denoise,
    "image-quality": evaluate_image_quality,
    "super-resolve": evaluate_super_resolve,
    "detect-anomalies": evaluate_detect_anomalies,
    "tune-classical": tune_classical,
    "synthesize": evaluate_synthesize,
    "ablation": evaluate_ablation,
    "generate-lesion": evaluate_generate_lesion,
    "inpaint-lesion": evaluate_inpaint_lesion,
    "nnunet-split": nnunet_split,
    "distillation": evaluate_distillation,
    "condition": evaluate_condition,
}.items():
    evaluate_app.command(name)(command)
