"""The networks whose features LPIPS, FID and MMD compare: MedicalNet's 3D ResNet (the paper's), or the model's own.

Each sees crops of a volume and gives a map of features of each. Figures of different networks cannot be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.inference.tiles import Tiling, plan_tiles
from MedDiffFMLib.models.loading import Model

DEPTH = 50  # of MedicalNet's ResNet; the paper does not say which it took
CROP = 64  # voxels; the small model's patch
LAYERS = {(1, 1, 1, 1): 10, (2, 2, 2, 2): 18, (3, 4, 6, 3): 50, (3, 4, 23, 3): 101, (3, 8, 36, 3): 152}


@dataclass(frozen=True)
class Features:
    """A feature extractor. name: in a report; note: what a reader must know.

    of_crop: a crop of a volume in the model's range, float32 (1, 1, z, y, x), and the index of its region, to a map of
    features (1, C, z', y', x'). per_volume: whether it wants each volume with mean 0 and deviation 1 (MedicalNet does).
    """

    name: str
    note: str
    of_crop: Callable[[torch.Tensor, int], torch.Tensor]
    per_volume: bool = False

    @torch.inference_mode()
    def maps(self, x: np.ndarray, region: str) -> list[torch.Tensor]:
        """The maps of all crops of 64³ voxels that cover a volume (Z, Y, X), in a fixed order; crops at the volume's
        far ends overlap their neighbors.
        """
        volume = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
        if self.per_volume:
            volume = (volume - volume.mean()) / volume.std().clamp(min=1e-6)
        plan = plan_tiles(volume.shape, (CROP,) * 3, Tiling(overlap=0.0))
        crops = (volume[plan.slices(window)][None, None] for window in plan.tiles)
        return [self.of_crop(crop, REGIONS[region].index).float().cpu() for crop in crops]


def load_features(choice: str, model: Model) -> Features | None:
    """The extractor that `--features` names: medicalnet, FILE (MedicalNet's weights), model, or none.

    InputError if it cannot be had.
    """
    if choice == "none":
        return None
    if choice == "model":
        return own_features(model)
    if choice == "medicalnet":
        return medicalnet(None, model.device)
    if not Path(choice).is_file():
        raise InputError(f"There is no file {choice} of features: name medicalnet, model, none, or a file of weights.")
    return medicalnet(Path(choice), model.device)


def medicalnet(file: Path | None, device: torch.device) -> Features:
    """MedicalNet's ResNet (Chen et al. 2019) by the package `medmetric`: its 50 layers trained on 23 data sets, from
    the Hub and of a known SHA-256, or weights from a local file of any depth. No pickle is run.
    """
    try:
        from medmetric.extractors.medicalnet import MedicalNetFeatureExtractor
        from medmetric.hub.medicalnet import get_medicalnet_entry, resolve_medicalnet_weights
    except ImportError:
        raise InputError(
            "MedicalNet's features need the package medmetric: install it with pip install 'meddiff-fm[training]', "
            "or use --features model."
        ) from None
    depth = DEPTH if file is None else depth_of(file)
    if file is None:
        try:
            file = Path(resolve_medicalnet_weights(depth=depth))
        except Exception as error:  # the Hub's client raises its own, the HTTP library's and the system's errors
            raise InputError(
                f"MedicalNet's weights could not be downloaded ({type(error).__name__}): copy resnet_{depth}_23dataset"
                f".pth of TencentMedicalNet/MedicalNet-Resnet{depth} here and name it with --features FILE, or use "
                "--features model."
            ) from error
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    known = digest == get_medicalnet_entry(depth=depth).sha256
    try:
        network = MedicalNetFeatureExtractor.from_pretrained(
            depth=depth, weights_path=str(file), pooled=False, device=str(device)
        )
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{file} does not hold MedicalNet's ResNet-{depth}: {_short(error)}") from None
    name = f"MedicalNet ResNet-{depth}" + ("" if known else f", other weights ({digest[:12]})")
    note = f"Features: {name}, in crops of {CROP}³ voxels (the paper does not say its ResNet's depth)."
    return Features(name, note, lambda crop, region: network(crop.to(device)), per_volume=True)


def depth_of(file: Path) -> int:
    """The depth of the MedicalNet ResNet in a file, by its blocks. InputError if it holds none."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        names = [name.removeprefix("module.") for name in content["state_dict"]]
    except Exception as error:  # a damaged file fails in many ways, and a pickle is refused
        raise InputError(f"{file} cannot be read as MedicalNet's weights: {_short(error)}") from None
    blocks = tuple(len({n.split(".")[1] for n in names if n.startswith(f"layer{stage}.")}) for stage in range(1, 5))
    depth = LAYERS.get(blocks)
    if depth is None:
        raise InputError(f"{file} holds no ResNet of MedicalNet: give resnet_{DEPTH}_23dataset.pth.")
    return 34 if depth == 50 and not any(".conv3." in name for name in names) else depth


class _Reached(Exception):
    """The features on their way out of the network."""


def own_features(model: Model) -> Features:
    """The U-Net's middle block at t = 0, conditioned on the region but neither on position nor anatomy. Not the
    paper's: it was trained on this project's few volumes, and what it cannot see, it cannot miss.
    """
    network = model.network.eval()

    def stop(block, inputs, output: torch.Tensor) -> None:
        raise _Reached(output)  # the decoder would cost twice as much and add nothing

    def of_crop(crop: torch.Tensor, region: int) -> torch.Tensor:
        hook = network.unet.middle_block.register_forward_hook(stop)
        config, multiple = network.config, 2 ** (len(network.config.channels) - 1)
        x = _padded(crop, multiple).to(model.device)
        planes = (config.encoding.position_channels, config.encoding.anatomy_channels)
        conditions = [x.new_zeros((1, n, *x.shape[2:])) for n in planes]
        number = torch.zeros(1, dtype=torch.long, device=model.device)
        try:
            network(x, number, *conditions, number + region)
        except _Reached as reached:
            return reached.args[0]
        finally:
            hook.remove()
        raise AssertionError("the U-Net has no middle block")

    name = f"{model.name}'s own encoder"
    note = (
        f"Features: {name}, in crops of {CROP}³ voxels. LPIPS, FID and MMD by it can be compared within this table, "
        "not with the paper's (MedicalNet), and favor what the model itself finds likely."
    )
    return Features(name, note, of_crop)


def _padded(crop: torch.Tensor, multiple: int) -> torch.Tensor:
    """(1, 1, z, y, x), its far ends repeated up to a multiple."""
    ends = [(0, -n % multiple) for n in reversed(crop.shape[2:])]
    return torch.nn.functional.pad(crop, [n for pair in ends for n in pair], mode="replicate")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
