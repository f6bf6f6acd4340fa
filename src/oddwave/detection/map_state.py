"""The engines for images and audio as tensors and constants, and back: what a saved model's files hold of them.

The frozen perceptual network is not saved: it is loaded again by its name, and must then be the same to the last bit.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.vectors import vector_widths
from oddwave.detection.image.learning import make_networks
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.terms import ImageScorer
from oddwave.detection.map_model import MapModel
from oddwave.detection.model_tensors import Expected, TensorFile, expected_memory, expected_network
from oddwave.errors import CheckpointError
from oddwave.scoring.density_ratio import DensityRatio
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.tensors.audio_map import AudioMap, RowScale

__all__ = ["audio_state", "image_state", "restore_audio", "restore_images"]

_LARGEST_ROI_PX = 100_000
_SMALLEST = 1e-30

State = tuple[dict[str, Tensor], dict[str, Any]]

_NETWORKS = ("feature_net", "pixel_net", "decoder")
_MEMORIES = ("memory", "background_memory")


def image_state(engine: ImageModel) -> State:
    """Give the engine's tensors and its constants."""
    tensors, constants = _map_state(engine)
    if engine.roi is not None:
        tensors["roi"] = torch.from_numpy(engine.roi.astype(np.uint8))
    return tensors, {**constants, "frame": engine.frame.to_dict(), "grids": list(engine.config.image.grids)}


def restore_images(engine: ImageModel, file: TensorFile, constants: dict[str, Any], *, monitored: bool) -> None:
    """Fill an engine that has learnt nothing from what `image_state` gave, with networks of its own.

    `monitored` says whether the model knows a region of interest.
    Raises: CheckpointError for tensors that are not those that settings and constants imply.
    """
    roi = {"roi": Expected("U8", ("height", "width"), 0, 1, _LARGEST_ROI_PX)} if monitored else {}
    tensors = _restore_maps(engine, file, constants, channels=engine.frame.channels, more=roi)
    if monitored:
        engine.roi = tensors["roi"].numpy().astype(bool)


def audio_state(engine: AudioModel) -> State:
    """Give the engine's tensors and its constants."""
    tensors, constants = _map_state(engine)
    audio = engine.audio
    assert audio.scale is not None
    for name, ratio in audio.ratios.items():
        tensors |= {f"ratio_{name}.{key}": torch.from_numpy(value) for key, value in ratio.arrays().items()}
    return tensors, {
        **constants,
        "audio_map": audio.audio_map.to_dict(),
        "row_scale": audio.scale.to_dict(),
        "ratios": {name: list(audio.usual[name]) for name in audio.ratios},
        "clip_weight": engine.clip_weight,
        "usual": [list(pair) for pair in engine.usual],
    }


def restore_audio(engine: AudioModel, file: TensorFile, constants: dict[str, Any], num_train_clips: int) -> None:
    """Fill an engine that has learnt nothing from what `audio_state` gave. Raises: as `restore_images`."""
    num_background = engine.config.audio.num_background
    ratios: dict[str, Expected] = {}
    widths = vector_widths(engine.scorer.grid.width)
    for name in constants["ratios"]:
        ratios |= {
            f"ratio_{name}.normals": Expected("F32", (num_train_clips, widths[name])),
            f"ratio_{name}.background": Expected("F32", (num_background, widths[name])),
            f"ratio_{name}.centre": Expected("F32", (widths[name],)),
            f"ratio_{name}.scale": Expected("F32", (widths[name],), _SMALLEST),
        }
    tensors = _restore_maps(
        engine, file, constants, channels=1, shows=False, background=bool(num_background), more=ratios
    )
    audio = engine.audio
    audio.audio_map = AudioMap.from_dict(constants["audio_map"])
    audio.scale = RowScale.from_dict(constants["row_scale"])
    audio.usual = {name: (float(pair[0]), float(pair[1])) for name, pair in constants["ratios"].items()}
    audio.ratios = {
        name: DensityRatio.from_arrays({key: own.numpy() for key, own in _part(tensors, f"ratio_{name}").items()})
        for name in audio.usual
    }
    engine.clip_weight = float(constants["clip_weight"])
    engine.usual = tuple((float(centre), float(unit)) for centre, unit in constants["usual"])


def _map_state(engine: MapModel) -> State:
    scorer = engine.scorer
    assert engine.standardiser is not None
    tensors: dict[str, Tensor] = {"features.centre": scorer.centre, "features.scale": scorer.scale}
    for name in _NETWORKS:
        net: nn.Module | None = getattr(scorer, name)
        if net is not None:
            tensors |= {f"{name}.{key}": value.contiguous() for key, value in net.state_dict().items()}
    for name in _MEMORIES:
        memory: Memory | None = getattr(scorer, name)
        if memory is not None:
            tensors |= {
                f"{name}.{key}": torch.from_numpy(np.ascontiguousarray(v)) for key, v in memory.arrays().items()
            }
    if scorer.statistics is not None:
        tensors |= {f"statistics.{key}": value for key, value in scorer.statistics.arrays().items()}
    for name, gaussians in _residuals(scorer).items():
        for level in gaussians.keys() & scorer.noise_levels.get("feature", ()):
            arrays = gaussians[level].arrays()
            tensors |= {f"{name}_{level:g}.{key}": value for key, value in arrays.items()}
    return tensors, {
        "fusion": {
            "reconstruction_weight": engine.fusion.reconstruction_weight,
            "memory_weight": engine.fusion.memory_weight,
        },
        "standardiser": engine.standardiser.to_dict(),
        "terms": list(engine.terms),
        "top_share": engine.top_share,
        "noise_levels": {space: list(levels) for space, levels in scorer.noise_levels.items()},
        "perceptual_sha256": _digest_of(scorer.grid.network),
    }


def _restore_maps(
    engine: MapModel,
    file: TensorFile,
    constants: dict[str, Any],
    *,
    channels: int,
    shows: bool = True,
    background: bool = False,
    more: dict[str, Expected],
) -> dict[str, Tensor]:
    scorer = engine.scorer
    if _digest_of(scorer.grid.network) != constants["perceptual_sha256"]:
        raise CheckpointError(
            f"the weights of '{engine.config.image.perceptual:.80}' are not those that the model was fitted with: "
            "install the version of oddwave that it was made with, or fit it again"
        )
    with torch.device("meta"):  # nothing is allocated before the file has been checked
        make_networks(scorer, channels, shows=shows)
    scorer.noise_levels = {space: tuple(levels) for space, levels in constants["noise_levels"].items()}
    tensors = file.checked(_expected(scorer, background) | more)
    make_networks(scorer, channels, shows=shows)
    scorer.centre, scorer.scale = tensors["features.centre"], tensors["features.scale"]
    for name in _NETWORKS:
        net: nn.Module | None = getattr(scorer, name)
        if net is not None:
            net.load_state_dict(_part(tensors, name))
            net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for name in _MEMORIES:
        arrays = {key: value.numpy() for key, value in _part(tensors, name).items()}
        setattr(scorer, name, Memory(**arrays, num_neighbors=1) if arrays else None)
    places = _part(tensors, "statistics")
    scorer.statistics = PositionGaussian.from_arrays(places) if places else None
    scorer.noise_levels = {space: tuple(levels) for space, levels in constants["noise_levels"].items()}
    for name, gaussians in _residuals(scorer).items():
        for level in scorer.noise_levels.get("feature", ()):
            if arrays_of := _part(tensors, f"{name}_{level:g}"):
                gaussians[level] = PositionGaussian.from_arrays(arrays_of)
    engine.fusion = Fusion(**constants["fusion"])
    engine.standardiser = Standardiser.from_dict(constants["standardiser"])
    engine.terms, engine.top_share = tuple(constants["terms"]), float(constants["top_share"])
    return tensors


def _expected(scorer: ImageScorer, background: bool) -> dict[str, Expected]:
    """Say which tensors a scorer of these settings holds, given its networks on the device "meta"."""
    image, width = scorer.config.image, scorer.grid.width
    expected = {"features.centre": Expected("F32", (width,)), "features.scale": Expected("F32", (width,), _SMALLEST)}
    for name in _NETWORKS:
        net: nn.Module | None = getattr(scorer, name)
        expected |= {} if net is None else expected_network(name, net)
    for name in _MEMORIES[: 1 + background] if image.patch_memory else ():
        expected |= expected_memory(name, width, scorer.config.scoring.memory_size)
    memory_grid, denoiser_grid = image.grids
    sides = {"statistics": memory_grid} if image.statistics else {}
    for name in tuple(_residuals(scorer))[: 1 + background]:
        sides |= {f"{name}_{level:g}": denoiser_grid for level in scorer.noise_levels.get("feature", ())}
    for name, side in sides.items():
        places = side**2 if image.aligned == "places" else side
        expected[f"{name}.mean"] = Expected("F32", (places, width))
        expected[f"{name}.whitening"] = Expected("F16", (places, width, width))
    return expected


def _digest_of(network: nn.Module) -> str:
    """Give the sha256 of a network's weights."""
    digest = hashlib.sha256()
    for name, own in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(own.shape)}".encode())
        digest.update(own.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _residuals(scorer: ImageScorer) -> dict[str, dict[float, PositionGaussian]]:
    return {"residuals": scorer.residuals, "background_residuals": scorer.background_residuals}


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
