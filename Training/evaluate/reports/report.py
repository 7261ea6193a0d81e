"""Reports of evaluations: a table in the paper's layout beside the paper's own, JSON, and a plot."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Metric:
    """A column of a table: its name, whether more is better, and how it is written."""

    name: str
    better: Literal["up", "down", ""]
    digits: int = 3
    signed: bool = False

    @property
    def heading(self) -> str:
        return self.name + {"up": " ↑", "down": " ↓", "": ""}[self.better]

    def text(self, value: float | None) -> str:
        """The text of a value in a table; "–" where nothing was measured."""
        if value is None or math.isnan(value):
            return "–"
        return f"{value:{'+' if self.signed else ''}.{self.digits}f}"


@dataclass(frozen=True)
class ReportRow:
    """A row of a table: what one method reached in one group (a region, a data set, a case); values as the metrics. A
    group's name may have several lines.
    """

    group: str
    method: str
    values: Values


@dataclass(frozen=True)
class Report:
    """An evaluation's result.

    `paper`: {(group, method): values} of the paper's table `paper_table`, in `paper_metrics` (the same as `metrics`
    if empty). `notes`: what a reader must know (protocol, feature extractor, volumes trained on, what falls short).
    `facts`: model, checksum, seed and the like. `cases`: every single measurement, as it goes into the JSON.
    """

    task: str
    title: str
    metrics: tuple[Metric, ...]
    lines: Sequence[ReportRow]
    paper_table: str = ""
    paper: Mapping[tuple[str, str], Values] = field(default_factory=dict)
    paper_metrics: tuple[Metric, ...] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    cases: Sequence[Mapping[str, object]] = ()


def with_means(lines: Sequence[ReportRow], most: int = 12) -> list[ReportRow]:
    """The lines, and a group "mean" of every method over the groups: of what was measured, None if nothing was. No such
    group if there is only one; of more than `most` the means alone, which say of how many they are.
    """
    count = len({line.group for line in lines})
    if count < 2:
        return list(lines)
    means, name = [], "mean" if count <= most else f"mean of {count} cases"
    for method in dict.fromkeys(line.method for line in lines):
        columns = zip(*(line.values for line in lines if line.method == method), strict=True)
        known = [[value for value in column if value is not None] for column in columns]
        means.append(ReportRow(name, method, tuple(sum(column) / len(column) if column else None for column in known)))
    return [*lines, *means] if count <= most else means


def print_report(report: Report, console=None) -> None:
    """Print the measured table, the paper's for orientation, and the notes. `console`: rich's, wide enough."""
    from rich.console import Console

    console = console or Console(width=140)
    console.print(report.title, style="bold", highlight=False)
    console.print(_table(report.metrics, report.lines))
    if report.paper:
        console.print(f"The paper's {report.paper_table}, on other data: for orientation only", highlight=False)
        lines = [ReportRow(group, method, values) for (group, method), values in report.paper.items()]
        console.print(_table(report.paper_metrics or report.metrics, lines))
    for note in report.notes:
        console.print(f"· {note}", highlight=False, markup=False)


def _table(metrics: Sequence[Metric], lines: Sequence[ReportRow]):
    from rich.markup import escape
    from rich.table import Table

    grouped = any(line.group for line in lines)
    table = Table()
    for heading in [*(["group"] if grouped else []), "method"]:
        table.add_column(heading)
    for metric in metrics:
        table.add_column(metric.heading, justify="right")
    followings = [*lines[1:], None]
    for line, following, head in zip(lines, followings, _heads(lines), strict=True):
        cells = [metric.text(value) for metric, value in zip(metrics, line.values, strict=True)]
        ends = following is not None and following.group != line.group
        table.add_row(*([escape(head)] if grouped else []), escape(line.method), *cells, end_section=ends)
    return table


def _heads(lines: Sequence[ReportRow]) -> list[str]:
    """The first column of a table: a line of a group's name beside each of its rows, the rest beside the last."""
    heads: list[str] = []
    for _, group in itertools.groupby(lines, key=lambda line: line.group):
        group = list(group)
        words = group[0].group.split("\n")
        heads += [*words[: len(group) - 1], *[""] * (len(group) - 1 - len(words)), "\n".join(words[len(group) - 1 :])]
    return heads


def write_json(report: Report, file: Path) -> None:
    """Write every measurement and the paper's table as JSON; the file appears whole or not at all."""
    content = {
        "task": report.task,
        **report.facts,
        "metrics": [asdict(metric) for metric in report.metrics],
        "table": [_named(report.metrics, line) for line in report.lines],
        "cases": list(report.cases),
        "notes": list(report.notes),
        "paper": {
            "table": report.paper_table,
            "rows": [
                {"group": group, "method": method, "values": list(values)}
                for (group, method), values in report.paper.items()
            ],
        },
    }
    part = file.with_name(file.name + ".part")
    part.write_text(json.dumps(_valid(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(file)


def _valid(content: object) -> object:
    """A copy of a value that JSON can hold: a number that is not finite (PSNR of equal images) becomes null."""
    if isinstance(content, Mapping):
        return {name: _valid(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_valid(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _named(metrics: Sequence[Metric], line: ReportRow) -> dict[str, object]:
    values = {metric.name: value for metric, value in zip(metrics, line.values, strict=True)}
    return {"group": line.group.replace("\n", ", "), "method": line.method, **values}


def plot(report: Report, file: Path) -> None:
    """The table as a picture (PNG, whole or not at all): a panel a metric, a row a line, a dot and its value."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows: list[tuple[str, ReportRow | None]] = []  # the text at the left, and the values; none in a group's heading
    for name, group in itertools.groupby(report.lines, key=lambda line: line.group):
        rows += [(name.replace("\n", ", "), None)] if name else []
        rows += [(line.method, line) for line in group]
    size = (4 + 2.6 * len(report.metrics), 1.2 + 0.25 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(report.metrics), squeeze=False, sharey=True)[0]
    for index, (metric, panel) in enumerate(zip(report.metrics, panels, strict=True)):
        _dots(panel, metric, [None if line is None else line.values[index] for _, line in rows])
    panels[0].set_yticks(range(len(rows)), [text for text, _ in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    for label, (_, line) in zip(panels[0].get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if line is None else "normal")
    figure.suptitle(report.title)
    part = file.with_name(f".{file.name}.part")
    FigureCanvasAgg(figure).print_png(part)
    part.replace(file)


def _dots(panel, metric: Metric, values: Sequence[float | None]) -> None:
    """One metric: a dot and its value in every row that has one."""
    for row, value in enumerate(values):
        if value is None or not math.isfinite(value):
            continue
        panel.plot(value, row, "o", color="tab:orange" if metric.better == "down" else "tab:blue")
        panel.annotate(metric.text(value), (value, row), (6, 0), textcoords="offset points", va="center", fontsize=8)
    panel.set_title(metric.heading, fontsize=10)
    panel.margins(x=0.2)
    low, high = panel.get_xlim()
    panel.set_xlim(low, high + 0.25 * (high - low))  # room for the values
    panel.grid(axis="y", alpha=0.3)
    panel.tick_params(axis="x", labelsize=8)
