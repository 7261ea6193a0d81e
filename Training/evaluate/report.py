"""What an evaluation found: a table in the paper's layout beside the paper's own, JSON, and a plot."""

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
        """A value as it stands in a table; "–" where nothing was measured."""
        if value is None or math.isnan(value):
            return "–"
        return f"{value:{'+' if self.signed else ''}.{self.digits}f}"


@dataclass(frozen=True)
class Line:
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
    lines: Sequence[Line]
    paper_table: str = ""
    paper: Mapping[tuple[str, str], Values] = field(default_factory=dict)
    paper_metrics: tuple[Metric, ...] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    cases: Sequence[Mapping[str, object]] = ()


def with_means(lines: Sequence[Line]) -> list[Line]:
    """The lines, and a group "mean" of every method over the groups: of what was measured, None if nothing was. No such
    group if there is only one.
    """
    if len({line.group for line in lines}) < 2:
        return list(lines)
    means = []
    for method in dict.fromkeys(line.method for line in lines):
        columns = zip(*(line.values for line in lines if line.method == method), strict=True)
        known = [[value for value in column if value is not None] for column in columns]
        means.append(Line("mean", method, tuple(sum(some) / len(some) if some else None for some in known)))
    return [*lines, *means]


def print_report(report: Report, console=None) -> None:
    """Print the measured table, the paper's for orientation, and the notes. `console`: rich's, wide enough."""
    from rich.console import Console

    console = console or Console(width=140)
    console.print(_table(report.title, report.metrics, report.lines))
    if report.paper:
        title = f"The paper's {report.paper_table}, on other data: for orientation only"
        lines = [Line(group, method, values) for (group, method), values in report.paper.items()]
        console.print(_table(title, report.paper_metrics or report.metrics, lines))
    for note in report.notes:
        console.print(f"· {note}", highlight=False)


def _table(title: str, metrics: Sequence[Metric], lines: Sequence[Line]):
    from rich.table import Table

    grouped = any(line.group for line in lines)
    table = Table(title=title, title_justify="left")
    for heading in [*(["group"] if grouped else []), "method"]:
        table.add_column(heading)
    for metric in metrics:
        table.add_column(metric.heading, justify="right")
    followings = [*lines[1:], None]
    for line, following, head in zip(lines, followings, _heads(lines), strict=True):
        cells = [metric.text(value) for metric, value in zip(metrics, line.values, strict=True)]
        ends = following is not None and following.group != line.group
        table.add_row(*([head] if grouped else []), line.method, *cells, end_section=ends)
    return table


def _heads(lines: Sequence[Line]) -> list[str]:
    """What stands before each line: its group's name beside the first, a line of it each, the rest beside the last."""
    heads: list[str] = []
    for _, group in itertools.groupby(lines, key=lambda line: line.group):
        group = list(group)
        words = group[0].group.split("\n")
        heads += [*words[: len(group) - 1], *[""] * (len(group) - 1 - len(words)), "\n".join(words[len(group) - 1 :])]
    return heads


def write_json(report: Report, file: Path) -> None:
    """Everything that was measured, and the paper's table, as JSON; the file appears whole or not at all."""
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
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(file)


def _named(metrics: Sequence[Metric], line: Line) -> dict[str, object]:
    values = {metric.name: value for metric, value in zip(metrics, line.values, strict=True)}
    return {"group": line.group.replace("\n", ", "), "method": line.method, **values}


def plot(report: Report, file: Path) -> None:
    """Bars of every metric: a panel a metric, a bar a method, groups side by side; written as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = list(dict.fromkeys(line.group for line in report.lines))
    methods = list(dict.fromkeys(line.method for line in report.lines))
    figure, panels = pyplot.subplots(
        1,
        len(report.metrics),
        figsize=(4 * len(report.metrics), 0.6 + 0.32 * len(groups) * len(methods)),
        squeeze=False,
    )
    height = 0.8 / len(methods)
    for index, (metric, panel) in enumerate(zip(report.metrics, panels[0], strict=True)):
        for place, method in enumerate(methods):
            own = {line.group: line.values[index] for line in report.lines if line.method == method}
            heights = [math.nan if own.get(group) is None else own[group] for group in groups]
            panel.barh([g + height * place for g in range(len(groups))], heights, height, label=method)
        panel.set_title(metric.heading)
        panel.set_yticks(
            [g + 0.4 - height / 2 for g in range(len(groups))], groups if index == 0 else [""] * len(groups)
        )
        panel.invert_yaxis()
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=min(4, len(methods)), frameon=False)
    figure.tight_layout(rect=(0, 0.12 + 0.02 * (len(methods) // 4), 1, 1))
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
