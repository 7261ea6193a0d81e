"""Reports of the outcomes of a manifest's rows: a table to print, report.csv and report.json beside the cases."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .prepare import Outcome
from .split import STORED

COLUMNS = ("line", "name", "split", "status", "cases", "reasons", "regions", "noise_hu", "air_hu", "tissue_hu")
COLUMNS += ("size_mm", "spacing", "padding", "clipped_low", "clipped_high", "cut_slices", "cut_border", "seconds")


def write_report(store: Path, outcomes: Sequence[Outcome], settings: dict) -> None:
    """Write the report of a store: report.json (everything) and report.csv (a line a row), each whole or not at all.

    Neither holds paths or patients' ids: `line` is the manifest's.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.line)
    content = {"settings": settings, "counts": counts(ordered), "rows": [asdict(outcome) for outcome in ordered]}
    part = store / ".report.part"
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, store / "report.json")
    with part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([_cell(value) for value in _values(outcome)] for outcome in ordered)
    os.replace(part, store / "report.csv")


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Rows by status, and the store's cases by split."""
    by_status = Counter(outcome.status for outcome in outcomes)
    cases = Counter({split: 0 for split in STORED})
    for outcome in outcomes:
        cases[outcome.split] += len(outcome.cases) if outcome.split in STORED else outcome.status != "refused"
    return {status: by_status[status] for status in ("accepted", "warning", "refused")} | dict(cases)


def as_table(outcomes: Sequence[Outcome]) -> str:
    """A line for every row that a person should read: line, name, split, status, and why."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.line)
    width = max((len(outcome.name) for outcome in ordered), default=4)
    head = f" line  {'name':<{width}}  {'split':<10}  {'status':<8}  why"
    rows = [
        f"{o.line:>5}  {o.name:<{width}}  {o.split:<10}  {o.status:<8}  {'; '.join(o.reasons)}".rstrip()
        for o in ordered
    ]
    return "\n".join([head, *rows])


def in_words(outcomes: Sequence[Outcome]) -> str:
    """For example `20 accepted, 3 of them with a warning, 2 refused; in the store: 18 train, 2 validation`."""
    n = counts(outcomes)
    text = f"{n['accepted'] + n['warning']} accepted, {n['warning']} of them with a warning, {n['refused']} refused"
    kept = sum(n.get(split, 0) for split in ("test", "held-out"))
    return f"{text}; in the store: {n['train']} train, {n['validation']} validation" + (
        f"; kept out of it: {kept} of test and held-out patients" if kept else ""
    )


def _values(outcome: Outcome) -> list:
    record = asdict(outcome) | (asdict(outcome.quality) if outcome.quality else {})
    return [record.get(name, "") for name in COLUMNS]


def _cell(value) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)
