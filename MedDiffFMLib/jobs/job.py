"""A task from files to files: what the command line, the worker and batches run alike.

Everything that can be wrong with files or parameters is found before the model computes; all outputs appear, or none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy.label_maps.reading import read_anatomy
from ..atomic import DAY, remove_partial_files
from ..models.hardware import memory_gb
from ..parameters import ANATOMY_WORDS, TASKS, CommonParameters, Parameters
from ..progress import ProgressCallback, Reporter
from ..volumes.checks import check_ct
from ..volumes.roi import Box, Part, crop_to_box
from ..volumes.volume import Volume
from .cache import JobCache
from .inputs import input_slots, read_inputs
from .outputs import OutputItem, check_outputs_fit, check_result_path, output_paths, write_results
from .provenance import describe_computation, describe_run, provenance_path, without_names
from .resume import OutputState, existing_outputs, fingerprint

if TYPE_CHECKING:
    from ..models.loading import Model
    from ..tasks.plan import Plan

log = logging.getLogger(__name__)

MEMORY_GB, VOXEL_BYTES = 0.9, 42  # libraries and model, and what a voxel takes at the peak (Docs/benchmarks.md)


@dataclass(frozen=True)
class JobResult:
    """The result of a job: the files it wrote by the name of the output, facts, one line for a reader, and its time.

    skipped: nothing was computed, the files stood already. warnings: of its inputs (`Volume.warnings`), the networks
    and the result.
    """

    task: str
    written: dict[str, list[Path]]
    facts: dict
    summary: str
    seconds: float
    skipped: bool = False
    warnings: tuple[str, ...] = ()


def run_job(
    task: str,
    files: dict[str, Path | None],
    parameters: Parameters,
    common: CommonParameters,
    progress: ProgressCallback | None = None,
    load: Callable[..., Model] | None = None,
    resume: bool = False,
    cache: JobCache | None = None,
) -> JobResult:
    """Run a task (a name in `TASKS`) on files, by the names of the task's file slots.

    load: in place of `load_model`, to keep a model between jobs; cache: to keep a CT and a plan. resume: what an equal
    run made is left as it is, what it left unfinished is replaced. Raises InputError before any work if a file cannot
    be read or written; what `progress` raises passes through. No file is left behind then.
    """
    return open_job(task, files, parameters, common, resume, cache).run(progress, load)


def open_job(
    task: str,
    files: dict[str, Path | None],
    parameters: Parameters,
    common: CommonParameters,
    resume: bool = False,
    cache: JobCache | None = None,
) -> Job:
    """A job with its outputs checked and its inputs read, ready to `run`. Arguments as of `run_job`."""
    paths = output_paths(task, files, parameters)
    parameters.check_outputs(paths)
    all_paths = [path for slot_paths in paths.values() for path in slot_paths]
    if not resume:
        for folder in {path.parent for path in all_paths if path.parent.is_dir()}:
            remove_partial_files(folder, older_than=DAY)
    resume = resume and any(path.exists() or provenance_path(path).exists() for path in all_paths)
    if not resume:
        for path in all_paths:
            check_result_path(path, common.overwrite)
    inputs = read_inputs(task, files, cache)
    anatomy = getattr(parameters, "anatomy", "none")
    organs = None if anatomy in (*ANATOMY_WORDS, None) else read_anatomy(anatomy, like=inputs[0])
    if common.roi is None:
        check_outputs_fit(task, paths, inputs[0], getattr(parameters, "factor", None) or 1)
    return Job(task, parameters, common, paths, inputs, organs, resume, cache)


@dataclass(frozen=True)
class Job:
    """A task on volumes that are read. paths: of the outputs, by their names; anatomy: the label map, if one was given;
    resume: some of the outputs exist, perhaps from an equal run; cache: may hold the plan of an estimate.
    """

    task: str
    parameters: Parameters
    common: CommonParameters
    paths: dict[str, list[Path]]
    inputs: list[Volume]
    anatomy: Volume | None = None
    resume: bool = False
    cache: JobCache | None = None

    @property
    def _volumes(self) -> list[Volume]:
        """The volumes of the job: its inputs, and the anatomy after them if there is one."""
        return [*self.inputs, *([self.anatomy] if self.anatomy else [])]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of all inputs and of the anatomy, each sentence once, in their order."""
        return tuple(dict.fromkeys(sentence for volume in self._volumes for sentence in volume.warnings))

    @property
    def _sources(self) -> dict[str, str]:
        """The path of each input by its role."""
        roles = [slot.name.replace("_", " ") for slot in input_slots(self.task)]
        sources = {role: volume.source for role, volume in zip(roles, self.inputs, strict=True)}
        return sources | ({"anatomy": self.anatomy.source} if self.anatomy else {})

    def run(self, progress: ProgressCallback | None = None, load: Callable[..., Model] | None = None) -> JobResult:
        """Compute and write all results, or none. Arguments as of `run_job`."""
        started = time.monotonic()
        parts = self._parts()
        model = self._load(load)
        record = self._describe(model)
        overwrite = self.common.overwrite
        if self.resume:
            state = existing_outputs(self.paths, record)
            if state is OutputState.DONE:
                return JobResult(self.task, self.paths, {}, "Already done", 0.0, True, self.warnings)
            overwrite = overwrite or state is OutputState.UNFINISHED
            for paths in self.paths.values():
                for path in paths:
                    check_result_path(path, overwrite)
        plan = self.cache.take_plan(self._plan_key(model, record), progress) if self.cache else None
        asked = {name: True for name in TASKS[self.task].outputs_on_request() if name in self.paths}
        result = (plan or self._plan(model, parts, Reporter(progress))).run(**asked)
        record["facts"] = result.facts.to_dict() | (_box_facts(parts[0]) if parts else {})
        record["computed"] = describe_computation(model)
        doubts = getattr(result, "warnings", ())
        for sentence in doubts:
            log.warning("Warning: %s", sentence)
        warnings = (*self.warnings, *model.problems, *doubts)
        record["warnings"] = [without_names(sentence, self._sources) for sentence in warnings]
        record["seconds"] = round(time.monotonic() - started, 1)
        write_results(self._items(result.outputs(), parts, record), overwrite)
        report = JobResult(self.task, self.paths, record["facts"], result.summary(), record["seconds"])
        return replace(report, warnings=warnings)

    def _parts(self) -> list[Part]:
        """The inputs, and the anatomy after them, cut to the box; nothing without one."""
        if self.common.roi is None:
            return []
        box = Box.parse(self.common.roi)
        parts = [crop_to_box(volume, box) for volume in self._volumes]
        for number, slot in enumerate(input_slots(self.task)):
            if slot.kind == "ct":
                box_of_ct = parts[number].volume
                check_ct(replace(box_of_ct, source=f"The box (--roi) of {box_of_ct.source}"))
        return parts

    def look(self, progress: ProgressCallback | None = None, load: Callable[..., Model] | None = None) -> dict:
        """An estimate of `run`: what it would find, and the time and memory it would take; nothing is written.

        Of every task `region`, `seconds`, `memory_gb` and `memory_here_gb`, what its plan's `estimate` gives, and
        `warnings` that the result would have.
        """
        parts = self._parts()
        model = self._load(load)
        reporter = Reporter(progress)
        if self.cache:
            self.cache.drop_plan()  # two at once may not fit
        plan = self._plan(model, parts, reporter, for_estimate=True)
        estimate = plan.estimate()
        if self.cache and getattr(self.parameters, "anatomy", None) != "totalsegmentator":  # which only a run asks
            self.cache.store_plan(self._plan_key(model, self._describe(model)), plan, reporter)
        voxels = self.inputs[0].voxels.size * estimate.get("factor", 1)  # of slices: the result is so much larger
        memory = {"memory_gb": round(MEMORY_GB + voxels * VOXEL_BYTES / 1e9, 1), "memory_here_gb": memory_gb()}
        seconds_each, count = estimate.get("seconds_each"), estimate.get("network_evaluations")
        seconds = seconds_each * count if seconds_each is not None and count is not None else None
        warnings = {"warnings": list(getattr(plan, "warnings", ()))}
        return {"seconds": seconds} | estimate | memory | warnings

    def _load(self, load: Callable[..., Model] | None) -> Model:
        """The model of the common parameters, by `load` or by `load_model`."""
        if load is None:
            from ..models.loading import load_model as load
        where = self.common
        return load(where.model, device=where.device, precision=where.precision, runtime=where.runtime)

    def _describe(self, model: Model) -> dict:
        """The provenance of the run, without facts and time."""
        return describe_run(self.task, self.parameters, self.common, model, self.inputs, self.anatomy)

    def _plan_key(self, model: Model, record: dict) -> tuple:
        """The key of a plan: what makes two runs equal, where they compute, how the inputs were read, and the model's
        files.
        """
        read = [[getattr(v, field.name) for field in fields(v) if field.name != "voxels"] for v in self._volumes]
        files = [(file, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(model.folder.rglob("*"))]
        return fingerprint(record), record["computed"], read, files

    def _plan(self, model: Model, parts: list[Part], reporter: Reporter, for_estimate: bool = False) -> Plan:
        """The task's plan on the inputs, or on the boxes of them."""
        params, inputs, organs = self.parameters, self.inputs, self.anatomy
        if parts:
            volumes = [part.volume for part in parts]
            inputs, organs = volumes[: len(inputs)], volumes[-1] if organs else None
            if getattr(params, "region", None) == "auto":
                params = replace(params, region=self._region(parts[0], reporter))
        known = {"anatomy": organs or params.anatomy} if hasattr(params, "anatomy") else {}
        task = import_module(f"..tasks.{self.task.replace('-', '_')}", __package__)
        return task.plan(*inputs, params=params, model=model, reporter=reporter, for_estimate=for_estimate, **known)

    def _region(self, box: Part, reporter: Reporter) -> str:
        """The region of the first input where the box lies: a box alone may show too little to find it."""
        from ..anatomy.body_regions import region_at
        from ..anatomy.region_detection import region_of_labels
        from ..tasks.scan import analyze_scan
        from ..volumes.frame import prepare

        whole = self.inputs[0]
        inside = np.zeros(whole.voxels.shape, np.uint8)
        inside[box.where] = 1
        if input_slots(self.task)[0].kind == "ct":
            scan = analyze_scan(whole, "auto", reporter)
            place = scan.frame.labels(whole.with_voxels(inside)) > 0
            return max(scan.regions(), key=lambda span: int(place[span.z].sum())).region.name
        frame = prepare(whole)
        labels, place = frame.labels(whole), frame.labels(whole.with_voxels(inside)) > 0
        region = region_at(place, labels, frame.spacing, default=region_of_labels(labels))
        return region.name if region else "auto"

    def _items(self, contents: dict, parts: list[Part], record: dict) -> list[OutputItem]:
        """The outputs to write. contents: by the name of the output; parts: the inputs' boxes, which results of a box
        are put back into; record: the provenance without what differs between outputs.
        """
        slots = {slot.name: slot for slot in TASKS[self.task].files}
        of_ct = input_slots(self.task)[0].kind == "ct"
        items = []
        for name, paths in self.paths.items():
            for number, (path, content) in enumerate(zip(paths, _one_a_file(contents[name]), strict=True), 1):
                if parts and isinstance(content, Volume):
                    content = parts[0].paste(content, slots[name].kind, of_ct)
                sample = record | {"output": name, "sample": number}
                items.append(OutputItem(path, content, sample, slots[name].columns))
        return items


def _box_facts(part: Part) -> dict:
    """The box of a run for its provenance: first voxel and size, (x, y, z)."""
    return {"box_first_voxel": [s.start for s in part.where[::-1]], "box_size": list(part.volume.voxels.shape[::-1])}


def _one_a_file(contents: list) -> list:
    """The contents by file: each volume has its own, the rows of a table share one."""
    return contents if contents and isinstance(contents[0], Volume) else [contents]
