"""The tables of an evaluation: layout, JSON and plot; the paper's figures as the paper prints them."""

import io
import json
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from MedDiffFMTraining.evaluate.reports import paper
from MedDiffFMTraining.evaluate.reports.report import (
    Metric,
    Report,
    ReportRow,
    plot,
    print_report,
    with_means,
    write_json,
)

REPORT = Report(
    task="super-resolve",
    title="Super-resolution ×5",
    metrics=paper.SUPER_RESOLUTION,
    lines=[ReportRow("chest", "spline", (27.683, 0.84)), ReportRow("chest", "model", (27.62, None))],
    paper_table="Table VII",
    paper=paper.TABLE_VII,
    notes=["One case."],
    facts={"seed": 3},
)


def test_the_table_says_what_was_measured_and_what_was_not():
    console = Console(width=120, record=True, file=io.StringIO())
    print_report(REPORT, console)
    text = console.export_text()
    assert re.search(r"chest\s*│\s*spline\s*│\s*27\.68\s*│\s*0\.840", text)
    assert re.search(r"│\s*│\s*model\s*│\s*27\.62\s*│\s*–", text)
    assert "PSNR (dB) ↑" in text and "Table VII, on other data" in text and re.search(r"TVSRN\s*│\s*38\.61", text)
    assert Metric("gain", "up", 2, signed=True).text(0.5) == "+0.50"


def test_a_group_s_name_stands_once_a_line_of_it_beside_each_row():
    lines = [ReportRow("chest *\n5 mm", method, (1.0, 1.0)) for method in ("a", "b", "c")]
    lines += [ReportRow("head\n3 mm\n30 HU", method, (1.0, 1.0)) for method in ("a", "b")]
    console = Console(width=120, record=True, file=io.StringIO())
    print_report(Report("t", "T", paper.SUPER_RESOLUTION, lines), console)
    rows = [re.split(r"\s*│\s*", row)[1:3] for row in console.export_text().splitlines() if row.startswith("│")]
    assert rows == [["chest *", "a"], ["5 mm", "b"], ["", "c"], ["head", "a"], ["3 mm", "b"], ["30 HU", ""]]


def test_means_are_of_what_was_measured():
    lines = [ReportRow("x", "a", (1.0, None)), ReportRow("x", "b", (5.0, None)), ReportRow("y", "a", (2.0, 4.0))]
    assert with_means(lines)[3:] == [ReportRow("mean", "a", (1.5, 4.0)), ReportRow("mean", "b", (5.0, None))]
    assert with_means(lines[:2]) == lines[:2]


def test_json_is_valid_where_images_are_equal(tmp_path):
    write_json(replace(REPORT, cases=[{"psnr": [math.inf, 1.5]}]), tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["cases"] == [{"psnr": [None, 1.5]}]


def test_json_holds_every_value_and_a_dash_is_null(tmp_path):
    write_json(REPORT, tmp_path / "r.json")
    read = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert read["seed"] == 3 and read["table"][0]["PSNR (dB)"] == 27.683 and read["table"][1]["SSIM"] is None
    assert {"group": "", "method": "TVSRN", "values": [38.609, 0.936]} in read["paper"]["rows"]
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_the_plot_shows_a_bar_for_each_value(tmp_path):
    plot(REPORT, tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("table", "metrics"),
    [
        (paper.TABLE_IV, paper.SYNTHESIS),
        (paper.TABLE_V, paper.DENOISING),
        (paper.TABLE_VI, paper.DETECTION),
        (paper.TABLE_VII, paper.SUPER_RESOLUTION),
        (paper.TABLE_VIII, paper.SYNTHESIS),
        (paper.TABLE_IX, (paper.DICE,)),
    ],
)
def test_every_row_of_the_paper_has_every_metric(table, metrics):
    assert all(len(values) == len(metrics) for values in table.values())


def test_overall_lies_between_the_regions():
    """A slip of a digit would show: Dice and MS-SSIM of all regions lie between the least and the largest."""
    for method in ("DDPM", "MAISI", "MedDiff-FM"):
        own = [paper.TABLE_IV[group, method] for group in ("head-neck", "chest", "abdomen")]
        for column in (0, 1, 4):
            low, high = min(v[column] for v in own), max(v[column] for v in own)
            assert low <= paper.TABLE_IV["overall", method][column] <= high
