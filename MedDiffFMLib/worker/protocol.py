"""The worker's requests and events: their names, and what a request must hold (`Docs/worker.md`).

Standard library only.
"""

from __future__ import annotations

import json

from ..errors import NEXT_STEPS, UsageError, in_words, kind_of
from ..parameters import TASKS, CommonParameters, Parameters, split_values

PROTOCOL = 1


def end_event(error: Exception) -> dict:
    """The last event of a job that ended by an error: `cancelled`, or `error` with what to do."""
    kind = kind_of(error)
    if kind == "cancelled":
        return {"event": "cancelled"}
    return {"event": "error", "kind": kind, "message": in_words(error), "next": NEXT_STEPS[kind]}


def parse_request(line: bytes) -> dict:
    """The request in a line. UsageError if the line is not a JSON object."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"This line is not a JSON object ({error}): send one request a line.") from None
    if not isinstance(request, dict):
        raise UsageError("This line is not a JSON object: send one request a line.")
    return request


def request_id(request: dict) -> str:
    """The id of a request. UsageError if it has none."""
    key = request.get("id")
    if not isinstance(key, str) or not key:
        raise UsageError("The request has no id: give each job a text of its own.")
    return key


def check_request(request: dict) -> tuple[Parameters, CommonParameters]:
    """The parameters of a `run` request. UsageError if its task, files or parameters cannot be, whatever the files
    hold.
    """
    protocol = request.get("protocol", PROTOCOL)
    if protocol != PROTOCOL:
        raise UsageError(f"The request speaks protocol {protocol!r} and this worker {PROTOCOL}: update the older one.")
    task = request.get("task")
    if not isinstance(task, str) or task not in TASKS:
        raise UsageError(f"There is no task {task!r}: use {', '.join(TASKS)}.")
    for name in ("files", "parameters"):
        if not isinstance(request.get(name, {}), dict):
            raise UsageError(f"{name!r} is not an object of names and values.")
    if not isinstance(request.get("folder", ""), str):
        raise UsageError("'folder' is not the path of a folder.")
    files = request.get("files", {})
    slots = {slot.name: slot for slot in TASKS[task].files}
    for name in files:
        if name not in slots:
            raise UsageError(f"{task} has no file {name!r}: its files are {', '.join(slots)}.")
    for name, slot in slots.items():
        needed = not slot.optional and not (slot.output and request.get("request") == "look")
        if files.get(name) is None and needed:
            raise UsageError(f"The file {name!r} of {task} is missing: its files are {', '.join(slots)}.")
    # a file within the line counts as a path here
    values = request.get("parameters", {}).items()
    return split_values(TASKS[task], {k: "a file" if isinstance(v, dict) else v for k, v in values})
