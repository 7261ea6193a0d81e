"""`meddiff-fm evaluate` and `meddiff-fm demo`: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

evaluate_app = typer.Typer(help="Measure how good the model is, beside other tools.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder with the CT volumes NAME.nii.gz.")]
Cases = Annotated[str | None, typer.Option("--cases", metavar="NAME[:REGION],...", help="Which volumes.")]
Slices = Annotated[int | None, typer.Option("--slices", min=1, help="Central axial slices. Default: all.")]
Cache = Annotated[Path | None, typer.Option("--cache", metavar="DIR", help="Folder that keeps simulated low dose.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the simulated noise and of the model.")]
ModelName = Annotated[str | None, typer.Option("--model", metavar="NAME|DIR|HUB_ID", help="Model to measure.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the model computes.")]


@evaluate_app.command("denoise")
def evaluate_denoise(
    data: Data = None,
    cases: Cases = None,
    slices: Slices = None,
    tools: Annotated[str, typer.Option(help='Classical tools; "none" for none.')] = "bm3d,nlm,tv,curvature",
    qualities: Annotated[str, typer.Option(help='Qualities of the model; "none" for none.')] = "fast,balanced",
    model: ModelName = None,
    device: Device = "auto",
    cache: Cache = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results there.")] = None,
    seed: Seed = 0,
) -> None:
    """Denoise simulated low-dose CT with the model and with classical tools; PSNR and SSIM inside the body.

    With --data the three test volumes, without it the small ones of the repository.
    """
    import json

    from MedDiffFMLib.errors import InputError

    from ..evaluate.cases import REPOSITORY, TEST, TESTING_DATA, find_volume, load_case, named_cases

    chosen_tools = _chosen(tools, ("bm3d", "nlm", "tv", "curvature"), "tool")
    chosen_qualities = _chosen(qualities, ("fast", "balanced", "paper"), "quality")
    if json_file and not json_file.parent.is_dir():
        raise InputError(f"{json_file} cannot be written, its folder does not exist; create it first.")
    regions = named_cases(cases, TEST if data else REPOSITORY)
    files = {name: find_volume(data or TESTING_DATA, name) for name in regions}
    _require_comparison_packages()

    from MedDiffFMLib.models import load_model

    from ..evaluate.denoise import as_json, compare, print_tables

    loaded = load_model(model, device=device) if chosen_qualities else None
    slabs = (load_case(files[name], region, slices, seed, cache) for name, region in regions.items())
    rows = compare(slabs, chosen_tools, chosen_qualities, loaded, seed)
    print_tables(rows)
    if json_file:
        facts = {"model": loaded and loaded.name, "sha256": loaded and loaded.sha256, "seed": seed, "slices": slices}
        json_file.write_text(json.dumps(as_json(rows, facts), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@evaluate_app.command("tune-classical")
def tune_classical(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the validation volumes.")],
    tools: Annotated[str, typer.Option(help="Classical tools.")] = "bm3d,nlm,tv,curvature",
    slices: Annotated[int, typer.Option("--slices", min=1, help="Central axial slices.")] = 8,
    cache: Cache = None,
    seed: Seed = 0,
) -> None:
    """Choose the classical tools' settings on the validation patients: the best mean PSNR gain of a small grid."""
    from ..evaluate.cases import VALIDATION, find_volume, load_case

    chosen = _chosen(tools, ("bm3d", "nlm", "tv", "curvature"), "tool")
    files = {name: find_volume(data, name) for name in VALIDATION}
    _require_comparison_packages()
    from ..evaluate.tune import tune

    cases = [load_case(files[name], region, slices, seed, cache) for name, region in VALIDATION.items()]
    print("PSNR gain (dB) on", ", ".join(VALIDATION))
    for tool in chosen:
        best = tune(tool, cases, lambda settings, gains, tool=tool: print(_line(tool, settings, gains), flush=True))
        print(f"{tool}: best {best}")


def demo(
    output: Annotated[Path, typer.Argument(metavar="[OUTPUT_DIR]", help="Folder for the results.")] = Path("demo"),
    model: ModelName = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """See it work: a real CT, the same with simulated low dose, and denoised; with a picture."""
    _require_comparison_packages()
    from ..evaluate.demo import run_demo

    run_demo(output, model, device, seed)


@evaluate_app.command("pictures")
def evaluate_pictures(
    folder: Annotated[Path, typer.Argument(help="Folder that exists, to write TASK.png into.")],
    tasks: Annotated[str | None, typer.Option(help="Which tasks, with commas; without it all but denoising.")] = None,
    model: ModelName = None,
    device: Device = "auto",
) -> None:
    """Make a picture of what each task makes of the repository's real CT, to be looked at."""
    from MedDiffFMLib.cli.bar import progress_bar
    from MedDiffFMLib.errors import InputError
    from MedDiffFMLib.models import load_model

    from ..evaluate.gallery import PICTURES, make_gallery

    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: create the folder first.")
    chosen = _chosen(tasks, tuple(PICTURES), "task") if tasks else list(PICTURES)
    with progress_bar("Pictures") as progress:
        for path, summary in make_gallery(folder, load_model(model, device=device), chosen, progress):
            print(f"{path}: {summary}", flush=True)


def _chosen(text: str, possible: tuple[str, ...], noun: str) -> list[str]:
    """The names in a comma-separated option; none for "none". InputError for an unknown one."""
    from MedDiffFMLib.errors import InputError

    names = [] if text == "none" else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in possible:
            raise InputError(f"There is no {noun} {name!r}; use {', '.join(possible)}, or none.")
    return names


def _require_comparison_packages() -> None:
    """InputError if a package of the extra `training` that comparing needs is missing."""
    from importlib.util import find_spec

    from MedDiffFMLib.errors import InputError

    if missing := [name for name in ("astra", "skimage", "bm3d", "matplotlib") if find_spec(name) is None]:
        raise InputError(
            f"This needs packages that are not installed ({', '.join(missing)}); "
            "install them with: pip install 'meddiff-fm[training]'"
        )


def _line(tool: str, settings: dict, gains: list[float]) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in settings.items())
    return (
        f"{tool}, {values}: " + ", ".join(f"{gain:+.2f}" for gain in gains) + f"; mean {sum(gains) / len(gains):+.2f}"
    )
