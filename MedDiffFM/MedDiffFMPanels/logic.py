"""The logic that runs a task on nodes of the scene, with a panel or from a script. No widgets."""

import json
import shlex
import time

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from MedDiffFMLib.parameters import TASKS, CommonParameters, split_values
from MedDiffFMLib.worker.protocol import PROTOCOL

from . import failures
from .failures import Failure
from .runner.job import Job, inputFile, outputFiles, previewFile, sharedWorker
from .scene import exchange
from .scene.checks import problemOf, targetProblem
from .scene.nrrd import readNrrd, writeNrrd
from .scene.written_volume import writtenVolume


class PanelLogic(ScriptedLoadableModuleLogic):
    """A task of MedDiffFMLib on nodes.

    task: its name there. `inputProblem` says why a node cannot be the first input. `resultName` gives a result its
    name. What other kinds of outputs become in the scene is for a subclass: `addOutputToScene`.
    """

    task = ""
    inputProblem = staticmethod(problemOf)

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._job = None

    # for scripts

    def process(self, inputVolume, target=None, backend=None, **parameters):
        """Run the task and return the result's node; events are processed meanwhile, so Slicer stays alive.

        parameters: those of the command line, by name; `anatomy` may be a segmentation node, `roi` a box node. Failure
        says what is wrong and what to do.
        """
        problem = self.inputProblem(inputVolume)
        if problem:
            raise Failure("input", problem.reason, problem.suggestion)
        ends, name = [], TASKS[self.task].files[0].name
        self.start({name: inputVolume}, parameters, target, onEnd=lambda *end: ends.append(end), backend=backend)
        while not ends:
            slicer.app.processEvents()
            time.sleep(0.005)
        result, failure = ends[0]
        if failure:
            raise failure
        return result[0] if result else None

    # for panels

    @property
    def busy(self):
        return self._job is not None and self._job.running

    def start(self, inputs, parameters, target=None, onProgress=None, onPreview=None, onEnd=None, backend=None):
        """Run the task without waiting.

        inputs: nodes by the names of the task's input files; the first is the volume whose grid the others share.
        target: a volume node to fill, else a new one. onEnd(nodes, failure): the results, or why there are none, or
        None twice after a cancel.
        """
        values = self._checkParameters(parameters)
        problem = targetProblem(target, inputs.values())
        if problem:
            raise Failure("input", problem.reason, problem.suggestion)
        watched = _NodeGuard([*inputs.values(), *([target] if target else [])], self)
        _ended_ = onEnd or (lambda nodes, failure: None)

        def progress(event):
            path = previewFile(event, self._job.folder) if onPreview else None
            if path:
                onPreview(path)
            if onProgress:
                onProgress(event)

        def end(nodes, failure):
            watched.stop()
            _ended_(nodes, failures.withNodeNames(failure, inputs))

        self._job = Job(
            lambda folder, at: self._write(folder, at, inputs, values, bool(onPreview)),
            lambda event, folder: self._read(
                _withNodeNames(event, inputs), folder, next(iter(inputs.values())), target
            ),
            progress,
            end,
            backend,
        )
        self._job.start()
        return self._job

    def estimate(self, inputs, parameters, onEnd, backend=None):
        """Ask the worker what it sees in the input, and how much a run would take: onEnd(facts, failure)."""
        values = self._checkParameters(parameters)

        def finish(event, folder):
            event["facts"]  # KeyError here, where it is told, if there are none
            return _withNodeNames(event, inputs)
            yield

        def end(facts, failure):
            onEnd(facts, failures.withNodeNames(failure, inputs))

        self._job = Job(
            lambda folder, at: self._write(folder, at, inputs, values, False, "look"), finish, None, end, backend
        )
        self._job.start()

    def cancel(self):
        if self.busy:
            self._job.cancel()

    def stop(self, failure):
        """Stop a job for a reason that its user did not give."""
        if self.busy:
            self._job.cancel(failure)

    def abandon(self):
        """Stop the job at once without calling its `onEnd`, and end the worker."""
        if self._job:
            self._job.abandon()

    def leave(self):
        """Stop the job without calling its `onEnd`; the worker and its model stay."""
        if self._job:
            self._job.abandon(keepWorker=True)

    @property
    def log(self):
        return (self._job.log if self._job else "") or sharedWorker().log()

    # what a task may do in its own way

    def resultName(self, sourceNode, number=0):
        """The name of a result node: `<input> <task>`, unless a task has another one."""
        return f"{sourceNode.GetName()} {self.task}"

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        """Add an output volume to the scene, or fill the target with it. Returns the node."""
        return exchange.addResult(source, voxels, matrix, self.resultName(source), provenance, target)

    # the way there and back

    def _checkParameters(self, parameters):
        """The parameters as a dict, nodes as they are. Failure for a name or a value that the task does not take."""
        plain = {
            name: "a file" if name == "anatomy" and not isinstance(value, str) else value
            for name, value in parameters.items()
            if name != "roi" or isinstance(value, str)
        }
        try:
            split_values(TASKS[self.task], plain)
        except ValueError as error:
            raise Failure("usage", str(error), _("Change this setting.")) from None
        return dict(parameters)

    def _write(self, folder, backend, inputs, values, preview, request="run"):
        """Write the job's input files, and return its request. Generator."""
        files, first = {}, next(iter(inputs.values()))
        kinds = {slot.name: slot for slot in TASKS[self.task].files}
        for name, node in inputs.items():
            path = folder / f"{name}.nrrd"
            if kinds[name].kind == "ct":
                path = yield from writtenVolume(sharedWorker()).file(node, name, backend.remote)
            else:
                yield from _writeLabels(path, node, first, backend.remote)
            files[name] = inputFile(path, backend.remote)
        if request == "run":
            outputs = {slot.name: folder / _outputName(slot) for slot in kinds.values() if slot.output}
            files |= {
                name: path.name if backend.remote else sharedWorker().relativePath(path)
                for name, path in outputs.items()
            }
        values = {name: value for name, value in values.items() if value not in (None, "")}
        if not isinstance(values.get("anatomy", ""), str):
            path = folder / "anatomy.nrrd"
            yield from _writeLabels(path, values["anatomy"], first, backend.remote)
            values["anatomy"] = inputFile(path, backend.remote)
        if not isinstance(values.get("roi", ""), str):
            values["roi"] = exchange.boxOf(values["roi"])
        whole = {"request": request, "task": self.task, "files": files, "parameters": values, "preview": preview}
        whole["protocol"] = PROTOCOL
        return whole | ({"inline": True} if backend.remote else {"folder": "."})  # where the worker works

    def _read(self, event, folder, source, target):
        """Put the outputs into the scene. Returns the nodes; none is added unless all can be read."""
        read, answer = [], {"summary": event.get("summary", ""), "warnings": event["warnings"]}
        for slot in (slot for slot in TASKS[self.task].files if slot.output):
            for path, provenance in outputFiles(event, slot.name, folder) if slot.name in event["files"] else ():
                voxels, matrix = yield from readNrrd(path)
                read.append((slot, voxels, matrix, json.loads(provenance) | answer))
        return [self.addOutputToScene(*output, source, target) for output in read]


def _outputName(slot):
    return f"{slot.name}.csv" if slot.kind == "table" else f"{slot.name}-result.nrrd"


class _NodeGuard:
    """Stops a job when a node that it needs is deleted, or the scene is closed."""

    def __init__(self, nodes, logic):
        self._names = {node.GetID(): node.GetName() for node in nodes}
        self._logic, scene = logic, slicer.mrmlScene

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(caller, event, node):
            if node.GetID() in self._names and not scene.IsClosing():
                logic.stop(failures.deleted(self._names[node.GetID()]))

        def closing(caller, event):
            logic.stop(failures.sceneClosed())

        self._tags = [
            scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed),
            scene.AddObserver(scene.StartCloseEvent, closing),
        ]

    def stop(self):
        for tag in self._tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._tags = []


def _withNodeNames(event, inputs):
    """A worker's answer whose warnings name the nodes, not the files that it was given."""
    return event | {"warnings": [failures.replaceFileNames(sentence, inputs) for sentence in event.get("warnings", ())]}


def _writeLabels(path, labelsNode, volumeNode, remote):
    """Labels on a volume's grid; on their own if they are the first input, or a label map, which the worker puts onto
    the volume's grid.
    """
    if labelsNode.IsA("vtkMRMLVolumeNode"):
        grid, labels, names = labelsNode, slicer.util.arrayFromVolume(labelsNode), exchange.namesOfLabels(labelsNode)
    else:
        grid = volumeNode if volumeNode.IsA("vtkMRMLVolumeNode") else exchange.gridOf(volumeNode)
        labels, names = yield from exchange.exportLabels(labelsNode, grid)
    yield from writeNrrd(path, labels, exchange.ijkToRAS(grid), compress=remote, segments=names)


def commandLine(task, values, inputNames=("INPUT.nii.gz",), outputName="OUTPUT.nii.gz"):
    """A run as a line for a shell: only what differs from the defaults. Nodes are shown as files to be saved."""
    return shlex.join(["meddiff-fm", task, *inputNames, outputName, *optionWords(task, values)])


def optionWords(task, values):
    """Parameters as options of the command line, where they differ from the defaults."""
    defaults, words = TASKS[task]().to_dict() | CommonParameters().to_dict(), []
    for name, value in values.items():
        if value in (None, "") or str(value) == str(defaults.get(name)):
            continue
        if name == "anatomy" and not isinstance(value, str):
            value = f"{value.GetName()}.seg.nrrd"
        if name == "roi" and not isinstance(value, str):
            value = exchange.boxOf(value)
        option = f"--{name.replace('_', '-')}"
        words += [f"{option}={value}"] if str(value).startswith("-") else [option, str(value)]
    return words
