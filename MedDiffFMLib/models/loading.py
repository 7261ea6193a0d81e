"""Find, verify and load a model, and choose its device and precision."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..diffusion.schedule import Schedule
from ..networks.controlnet import ControlledDenoiser, ControlNet
from ..networks.refiner import Refiner
from ..networks.restorer import Restorer
from ..networks.unet import Denoiser
from .components import CONTROLNETS, REFINERS, RESTORERS, Component
from .config import CONFIG, verify
from .controlnet_folder import check_kind, load_controlnet
from .device import choose_device, choose_dtype, choose_runtime
from .finite_network import FiniteNetwork
from .folder import load_network, read_schedule
from .openvino_runtime import CompiledNetwork
from .precision import Timing, time_precisions
from .refiner_folder import load_refiner
from .restorer_folder import load_restorer
from .store import find_model


@dataclass(frozen=True)
class Model:
    """A loaded model. `dtype` is what the network computes in (autocast; the weights stay float32, the schedule
    float64).

    `config` is the folder's config.json; `source` says where it was found (see `models.store.ModelFolder`); `runtime`,
    "torch" or "openvino", evaluates the networks; `timing` says why the precision is what it is, if it was measured.
    """

    name: str
    folder: Path
    source: str
    config: dict
    network: Denoiser
    schedule: Schedule
    device: torch.device
    dtype: torch.dtype
    sha256: str
    runtime: str = "torch"
    timing: Timing | None = None
    _compiled: dict[int, CompiledNetwork] = field(default_factory=dict, init=False, repr=False, compare=False)
    _loaded: dict[tuple[str, str], tuple] = field(default_factory=dict, init=False, repr=False, compare=False)

    def controlnet(self, name: str, kinds: Collection[str] = ()) -> ControlNet:
        """A ControlNet of the model's folder, loaded and verified once. Errors: `load_controlnet`, `check_kind`."""
        return check_kind(self, name, self._once(CONTROLNETS, name, load_controlnet), kinds)

    def refiner(self, kind: str) -> Refiner:
        """A refiner of the model's folder, loaded and verified once. Errors as of `load_refiner`."""
        return self._once(REFINERS, kind, load_refiner)

    def restorer(self, name: str) -> Restorer:
        """A restorer of the model's folder, loaded and verified once. Errors as of `load_restorer`."""
        return self._once(RESTORERS, name, load_restorer)

    def _once(self, component: Component, name: str, load: Callable) -> ControlNet | Refiner | Restorer:
        """The component that `load` gives, kept until its files change."""
        files = (component.weights(self.folder, name), component.weights(self.folder, name).with_name(CONFIG))
        state = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())
        if self._loaded.get((component.folder, name), (None,))[0] != state:
            self._loaded[component.folder, name] = (state, load(self, name))
        return self._loaded[component.folder, name][1]

    def evaluator(self, network: Denoiser | Refiner, control: ControlNet | None = None) -> Callable[..., torch.Tensor]:
        """A network of this model, with a ControlNet's features added if one is given, as the runtime evaluates it:
        called with the arguments of `forward`, all positional. Its output is finite, see `FiniteNetwork`.
        """
        joint = network if control is None else ControlledDenoiser(network, control)
        if self.runtime == "torch":
            return FiniteNetwork(joint, joint, self.name)
        key = id(control or network)
        if key not in self._compiled:
            self._compiled[key] = CompiledNetwork(joint.eval(), self.dtype)
        return FiniteNetwork(joint, self._compiled[key], self.name)

    def release_memory(self) -> None:
        """Free what evaluations left in memory: to be called after the last one of a volume."""
        for compiled in self._compiled.values():
            compiled.release_memory()

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each network that OpenVINO could not evaluate."""
        return tuple(dict.fromkeys(one.problem for one in self._compiled.values() if one.problem))

    @property
    def runtimes(self) -> list[str]:
        """What has evaluated the networks: `runtime`, and "torch" too where OpenVINO could not evaluate one."""
        return sorted({self.runtime, "torch"}) if self.problems else [self.runtime]

    def autocast(self) -> torch.autocast:
        """The context in which networks compute in the model's precision."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def load_model(
    name_or_path: str | os.PathLike | None = None,
    device: str | None = None,
    precision: str = "auto",
    runtime: str = "auto",
) -> Model:
    """Load a model: a folder, an installed name, a Hub id OWNER/NAME[@REVISION], or (None) the best installed one.

    device: auto (or None), cpu, cuda, cuda:N or mps. precision: auto (the faster one, see `models.precision`), float32,
    bfloat16 or float16. runtime: auto, torch or openvino (see `choose_runtime`). The weights' checksum is verified; no
    pickle is ever read. InputError says what is wrong and what to do.
    """
    where = choose_device(device)
    dtype, engine = choose_dtype(precision, where), choose_runtime(runtime, where)
    found = find_model(name_or_path)
    config = verify(found.folder)
    schedule = read_schedule(found.folder, config)
    network = load_network(found.folder, config).to(where)
    checksum = config["weights"]["sha256"]
    timing = time_precisions(network, engine, where, checksum) if dtype is None else None
    dtype = timing.dtype if timing else dtype
    about = (config["name"], found.folder, found.source, config)
    return Model(*about, network, schedule, where, dtype, checksum, engine, timing)
