"""A picture of image quality's curves: the noise power spectrum and task transfer functions of every method."""

from __future__ import annotations

from pathlib import Path

from ..reports.report import Report


def plot_curves(report: Report, file: Path) -> None:
    """Draw the curves of a report of `evaluate image-quality` (PNG, whole or not at all): a row a scene."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scenes = list(dict.fromkeys(case["case"] for case in report.cases))
    inserts = [ttf["insert_hu"] for ttf in report.cases[0]["ttf"]]
    figure = Figure(figsize=(3.6 * (1 + len(inserts)), 1 + 3.2 * len(scenes)), layout="constrained")
    panels = figure.subplots(len(scenes), 1 + len(inserts), squeeze=False)
    for case in report.cases:
        row = panels[scenes.index(case["case"])]
        power = case["nps"]["power"]
        row[0].plot(case["nps"]["frequencies"], [value / max(power) for value in power], label=case["method"])
        for panel, ttf in zip(row[1:], case["ttf"], strict=True):
            panel.plot(ttf["frequencies"], ttf["values"])
    for scene, row in zip(scenes, panels, strict=True):
        row[0].set_title(f"{scene}: noise power, over its peak", fontsize=9)
        for panel, value in zip(row[1:], inserts, strict=True):
            panel.set_title(f"TTF, insert of {value:g} HU", fontsize=9)
            panel.set_ylim(0, 1.3)
            panel.axhline(0.5, color="0.8", zorder=0)
        for panel in row:
            panel.set_xlabel("1/mm", fontsize=8)
            panel.tick_params(labelsize=8)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    part = file.with_name(f".{file.name}.part")
    FigureCanvasAgg(figure).print_png(part)
    part.replace(file)
