"""The names of labels in the headers of label maps: TotalSegmentator's NIfTI and 3D Slicer's NRRD."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from ...volumes.headers import open_plain
from .sidecar_names import text_of

_SEGMENT = re.compile(r"Segment(\d+)_(Name|ID|LabelValue|Layer|Tags):=(.*)")
_HEADER, _LARGEST = 348, 1 << 22  # bytes of a NIfTI-1 header; no table of names is as large as 4 MB


@dataclass(frozen=True)
class Segment:
    """A named label: its value in one layer of a label map.

    identity: a second name, as 3D Slicer's segments have. meaning: of its code in a terminology (SNOMED).
    """

    name: str
    value: int
    layer: int = 0
    identity: str = ""
    meaning: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the label, the most specific first."""
        return tuple(dict.fromkeys(name for name in (self.name, self.identity, self.meaning) if name))


def names_in_nifti(path: Path) -> dict[int, str]:
    """{number: name} of the XML LabelTable in a NIfTI-1 header extension, as TotalSegmentator writes it; or nothing.

    Extensions are blocks of (size, code, content) between the header and the voxels. A damaged one counts as none:
    whether the file can be read is for `read_volume`.
    """
    try:
        with open_plain(path) as file:
            raw = file.read(_HEADER + 4)
            order = "<" if raw[:4] == struct.pack("<i", _HEADER) else ">"
            end = int(struct.unpack_from(order + "f", raw, 108)[0])
            blocks = file.read(min(end - len(raw), _LARGEST)) if raw[_HEADER] and end > len(raw) else b""
    except (OSError, EOFError, struct.error, IndexError, ValueError, OverflowError):
        return {}
    at = 0
    while at + 8 <= len(blocks):
        (size,) = struct.unpack_from(order + "i", blocks, at)
        if size < 8:
            break
        if names := _label_table(blocks[at + 8 : at + size].strip(b"\0 \t\r\n")):
            return names
        at += size
    return {}


def _label_table(content: bytes) -> dict[int, str]:
    if b"<LabelTable" not in content or b"<!DOCTYPE" in content:  # a table needs no entities, an attack does
        return {}
    try:
        labels = ElementTree.fromstring(content).iter("Label")
        return {int(label.get("Key")): label.text.strip() for label in labels if label.text}
    except (ElementTree.ParseError, ValueError, TypeError):
        return {}


def segments_in_nrrd(path: Path) -> list[Segment]:
    """The segments that a .seg.nrrd of 3D Slicer describes in its header (Segment0_Name, …); or none.

    Where it gives no label values, as versions before 4.11 did, each segment is a layer of its own with the value 1, or
    the only layer has them in their order. A segment without a usable number is left out.
    """
    fields_by_number: dict[int, dict[str, str]] = {}
    fields: dict[str, str] = {}
    with open(path, "rb") as file:
        for line in file:
            if not line.strip():
                break
            text = text_of(line.rstrip(b"\r\n"))
            if match := _SEGMENT.match(text):
                fields_by_number.setdefault(int(match.group(1)), {})[match.group(2)] = match.group(3).strip()
            elif ": " in text:
                name, _, value = text.partition(": ")
                fields[name.strip().lower()] = value
    layered = (
        not any({"LabelValue", "Layer"} & set(facts) for facts in fields_by_number.values()) and _layers(fields) > 1
    )
    segments = []
    for number, facts in sorted(fields_by_number.items()):
        usual = (1, number) if layered else (number + 1, 0)
        value, layer = facts.get("LabelValue", str(usual[0])), facts.get("Layer", str(usual[1]))
        identity, tags = facts.get("ID", ""), facts.get("Tags", "")
        if value.isdecimal() and layer.isdecimal():
            name = facts.get("Name") or identity or f"Segment {number + 1}"
            segments.append(Segment(name, int(value), int(layer), identity, _meaning(tags)))
    return segments


def _layers(fields: dict[str, str]) -> int:
    sizes = fields.get("sizes", "").split()
    return int(sizes[0]) if len(sizes) == 4 and sizes[0].isdecimal() else 1


def _meaning(tags: str) -> str:
    """The name of a segment in 3D Slicer's terminology, with its side; empty unless it is an anatomical structure.

    TerminologyEntry holds, between ~, a context, category, type and the type's modifier, each scheme^code^meaning.
    """
    match = re.search(r"TerminologyEntry:([^|]*)", tags)
    parts = [part.split("^")[-1].strip() for part in match.group(1).split("~")] if match else []
    if len(parts) < 4 or "anatomical structure" not in parts[1].lower():
        return ""
    return f"{parts[3]} {parts[2]}".strip()
