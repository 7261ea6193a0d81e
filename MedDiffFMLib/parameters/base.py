"""The building blocks of a task's parameters and files. Standard library only.

A parameter is a dataclass field made with `parameter`; its metadata say in clinical words what it is, and which values
it may have. `Parameters.from_dict` takes values as text too ("25" for 25.0), as a shell or a text field gives them.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from ..errors import UsageError


@dataclass(frozen=True)
class FileSlot:
    """A file that a task reads or writes.

    kind: ct | labels (an anatomy label map) | mask (of a lesion; on the grid of the task's first file) for inputs,
    volume (HU) | map (of scores) | mask | table (CSV) for outputs. An optional one is an option of the command line,
    `--name FILE`, the others are its arguments in their order. columns: of a table, else those of its first row.
    on_request: the task's `run` takes its name as a flag, and makes it only if asked.
    """

    name: str
    kind: str
    help: str
    output: bool = False
    optional: bool = False
    columns: tuple[str, ...] = ()
    on_request: bool = False


def parameter(default, kind: str, help: str, **limits):
    """A dataclass field with metadata.

    kind: choice | number | integer | flag | text. `limits`: label, choices (the only values of a choice; words
    allowed in place of a number or text), unit, minimum, maximum, metavar, pattern (with `expected` in words),
    advanced (hidden at first in a panel), affects_estimate (False: what a run takes does not depend on it). A default
    of None means: not set, the task decides.
    """
    return dataclasses.field(default=default, metadata={"kind": kind, "help": help, **limits})


class Parameters:
    """The base of all groups of parameters; subclasses are dataclasses of `parameter` fields. A task's parameters also
    name its files.
    """

    files: ClassVar[tuple[FileSlot, ...]] = ()
    synthetic: ClassVar[bool] = False  # whether the result shows no real patient

    @classmethod
    def from_dict(cls, values: dict):
        """The parameters from names and values (numbers also as text); what is absent keeps its default.

        UsageError names the first unknown name or unusable value and what is possible instead.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in fields:
                raise UsageError(f"There is no parameter {name!r} here; the parameters are {', '.join(fields)}.")
        return cls(**{name: _typed(fields[name], value) for name, value in values.items()}).validate()

    @classmethod
    def describe(cls) -> list[dict]:
        """Every parameter as a dict for JSON: name, default, and the metadata of `parameter` but `affects_estimate`. A
        panel is built from it.
        """
        described = [{"name": f.name, "default": f.default, **f.metadata} for f in dataclasses.fields(cls)]
        return [{key: value for key, value in field.items() if key != "affects_estimate"} for field in described]

    @classmethod
    def without_effect_on_estimate(cls) -> set[str]:
        """The names of the parameters that change neither time nor memory of a run, nor what is found beforehand; and
        of the outputs made on request.
        """
        ignored = {f.name for f in dataclasses.fields(cls) if not f.metadata.get("affects_estimate", True)}
        return ignored | set(cls.outputs_on_request())

    @classmethod
    def outputs_on_request(cls) -> list[str]:
        """The names of the outputs that a run makes only if asked."""
        return [slot.name for slot in cls.files if slot.on_request]

    def to_dict(self) -> dict:
        """The names and values, ready for JSON; `from_dict` gives the same object back."""
        return dataclasses.asdict(self)

    def check_outputs(self, names: Collection[str]) -> None:
        """Check the outputs of these names: UsageError if there is none with these parameters."""

    def validate(self):
        """This object, if every value is usable; else UsageError with one sentence."""
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        return self


def _typed(field: dataclasses.Field, value):
    """A value in the type of its field: text that means a number becomes one."""
    kind, words = field.metadata["kind"], field.metadata.get("choices", ())
    if kind not in ("number", "integer") or not isinstance(value, str) or value in words:
        return value
    try:
        return float(value) if kind == "number" else int(value)
    except ValueError:
        raise UsageError(_sentence(field, value)) from None


def _check(field: dataclasses.Field, value) -> None:
    """Check a value: UsageError unless the field's metadata allow it."""
    limits = field.metadata
    if (value is None and field.default is None) or value in limits.get("choices", ()):
        return
    kind = limits["kind"]
    if kind in ("number", "integer"):
        numeric = isinstance(value, (int,) if kind == "integer" else (int, float)) and not isinstance(value, bool)
        low, high = limits.get("minimum", -math.inf), limits.get("maximum", math.inf)
        usable = numeric and low <= value <= high  # NaN is in no range
    elif kind == "flag":
        usable = isinstance(value, bool)
    elif kind == "text":
        usable = isinstance(value, str) and re.fullmatch(limits.get("pattern", ".+"), value) is not None
    else:
        usable = False
    if not usable:
        raise UsageError(_sentence(field, value))


def _sentence(field: dataclasses.Field, value) -> str:
    """The message about an unusable value, with the values that are possible."""
    limits = field.metadata
    expected = list(limits.get("choices", ()))
    if limits["kind"] in ("number", "integer"):
        noun = "a whole number" if limits["kind"] == "integer" else "a number"
        unit = f" {limits['unit']}" if "unit" in limits else ""
        low, high = limits.get("minimum"), limits.get("maximum")
        span = f" from {low} to {high}{unit}" if high is not None else f" of at least {low}{unit}"
        expected.append(noun + (span if low is not None else unit))
    elif "expected" in limits:
        expected.append(limits["expected"])
    name = field.name.replace("_", "-")
    return f"--{name} cannot be {value!r}: use {' or '.join(filter(None, [', '.join(expected[:-1]), expected[-1]]))}."
