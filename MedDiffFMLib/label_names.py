"""The names of labels that stand in the headers of label maps: TotalSegmentator's NIfTI and 3D Slicer's NRRD."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from .volume_header import open_plain

_HEADER, _LARGEST = 348, 1 << 22  # bytes of a NIfTI-1 header; no table of names is as large as 4 MB


@dataclass(frozen=True)
class Segment:
    """A named label: its value in one layer of a label map. identity: a second name, as 3D Slicer's segments have."""

    name: str
    value: int
    layer: int = 0
    identity: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, self.identity) if self.identity else (self.name,)


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
    """The segments that a .seg.nrrd of 3D Slicer describes in its header (Segment0_Name, …); or none."""
    found: dict[int, dict[str, str]] = {}
    with open(path, "rb") as file:
        for line in file:
            if not line.strip():
                break
            match = re.match(rb"Segment(\d+)_(Name|ID|LabelValue|Layer):=(.*)", line.rstrip(b"\r\n"))
            if match:
                text = match.group(3).decode("utf-8", "replace").strip()
                found.setdefault(int(match.group(1)), {})[match.group(2).decode()] = text
    segments = []
    for number, facts in sorted(found.items()):
        value, layer, name = facts.get("LabelValue", str(number + 1)), facts.get("Layer", "0"), facts.get("Name", "")
        if value.isdecimal() and layer.isdecimal():
            identity = facts.get("ID", "")
            segments.append(Segment(name or identity, int(value), int(layer), identity))
    return segments
