"""The models of images and audio as tensors and constants, and back: what a saved model's files hold of them.

The frozen perceptual network is not saved: it is loaded again by its name, and must then be the same to the last bit.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.vectors import vector_widths
from oddwave.detection.density_ratio import DensityRatio
from oddwave.detection.image.learning import make_networks
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.terms import MapTerms
from oddwave.detection.map_model import MapModel
from oddwave.detection.model_tensors import Expected, TensorFile, expected_memory, expected_network
from oddwave.errors import CheckpointError
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.tensors.audio_map import AudioMap, RowScale

__all__ = ["LARGEST_ROI_PX", "State", "audio_state", "image_state", "network_digest", "restore_audio", "restore_images"]

LARGEST_ROI_PX = 100_000
_SMALLEST = 1e-30

State = tuple[dict[str, Tensor], dict[str, Any]]

_NETWORKS = ("feature_net", "pixel_net", "decoder")
_MEMORIES = ("memory", "background_memory")
_RESIDUALS = ("residuals", "background_residuals")


def image_state(model: ImageModel) -> State:
    """Return the model's tensors and its constants."""
    tensors, constants = _map_state(model)
    if model.roi is not None:
        tensors["roi"] = torch.from_numpy(model.roi.astype(np.uint8))
    return tensors, {**constants, "frame": model.frame.to_dict(), "grids": list(model.config.maps.grids)}


def restore_images(model: ImageModel, file: TensorFile, constants: dict[str, Any], *, monitored: bool) -> None:
    """Fill an model that has learnt nothing from what `image_state` gave, with networks of its own.

    `monitored` says whether the model knows a region of interest.
    Raises: CheckpointError for tensors that are not those that settings and constants imply.
    """
    roi = {"roi": Expected("U8", ("height", "width"), 0, 1, LARGEST_ROI_PX)} if monitored else {}
    tensors = _restore_maps(model, file, constants, channels=model.frame.channels, more=roi)
    if monitored:
        model.roi = tensors["roi"].numpy().astype(bool)


def audio_state(model: AudioModel) -> State:
    """Return the model's tensors and its constants."""
    tensors, constants = _map_state(model)
    audio = model.audio
    assert audio.scale is not None
    for name, ratio in audio.ratios.items():
        tensors |= {f"ratio_{name}.{key}": torch.from_numpy(value) for key, value in ratio.arrays().items()}
    return tensors, {
        **constants,
        "audio_map": audio.audio_map.to_dict(),
        "row_scale": audio.scale.to_dict(),
        "ratios": {name: list(audio.usual[name]) for name in audio.ratios},
        "clip_weight": model.clip_weight,
        "usual": [list(pair) for pair in model.usual],
    }


def restore_audio(model: AudioModel, file: TensorFile, constants: dict[str, Any], num_train_clips: int) -> None:
    """Fill an model that has learnt nothing from what `audio_state` gave. Raises: as `restore_images`."""
    num_background = model.config.audio.num_background
    ratios: dict[str, Expected] = {}
    widths = vector_widths(model.terms.grid.width)
    for name in constants["ratios"]:
        ratios |= {
            f"ratio_{name}.normals": Expected("F32", (num_train_clips, widths[name])),
            f"ratio_{name}.background": Expected("F32", (num_background, widths[name])),
            f"ratio_{name}.centre": Expected("F32", (widths[name],)),
            f"ratio_{name}.scale": Expected("F32", (widths[name],), _SMALLEST),
        }
    tensors = _restore_maps(
        model, file, constants, channels=1, shows=False, background=bool(num_background), more=ratios
    )
    audio = model.audio
    audio.audio_map = AudioMap.from_dict(constants["audio_map"])
    audio.scale = RowScale.from_dict(constants["row_scale"])
    audio.usual = {name: (float(pair[0]), float(pair[1])) for name, pair in constants["ratios"].items()}
    parts = {name: _part(tensors, f"ratio_{name}") for name in audio.usual}
    audio.learn(
        {
            name: DensityRatio.from_arrays({key: own.numpy() for key, own in part.items()})
            for name, part in parts.items()
        }
    )
    model.clip_weight = float(constants["clip_weight"])
    model.usual = tuple((float(centre), float(unit)) for centre, unit in constants["usual"])


def _map_state(model: MapModel) -> State:
    terms = model.terms
    assert model.standardiser is not None
    tensors: dict[str, Tensor] = {"features.centre": terms.centre, "features.scale": terms.scale}
    for name in _NETWORKS:
        net: nn.Module | None = getattr(terms, name)
        if net is not None:
            tensors |= {f"{name}.{key}": value.contiguous() for key, value in net.state_dict().items()}
    for name in _MEMORIES:
        memory: Memory | None = terms.learnt.get(name)
        if memory is not None:
            tensors |= {
                f"{name}.{key}": torch.from_numpy(np.ascontiguousarray(v)) for key, v in memory.arrays().items()
            }
    if "statistics" in terms.learnt:
        tensors |= {f"statistics.{key}": value for key, value in terms.learnt["statistics"].arrays().items()}
    for name in _RESIDUALS:
        gaussians = terms.learnt.get(name, {})
        for level in gaussians.keys() & terms.noise_levels.get("feature", ()):
            arrays = gaussians[level].arrays()
            tensors |= {f"{name}_{level:g}.{key}": value for key, value in arrays.items()}
    return tensors, {
        "fusion": {
            "reconstruction_weight": model.fusion.reconstruction_weight,
            "memory_weight": model.fusion.memory_weight,
        },
        "standardiser": model.standardiser.to_dict(),
        "terms": list(model.term_names),
        "top_share": model.top_share,
        "noise_levels": {space: list(levels) for space, levels in terms.noise_levels.items()},
        "perceptual_sha256": network_digest(terms.grid.network),
    }


def _restore_maps(
    model: MapModel,
    file: TensorFile,
    constants: dict[str, Any],
    *,
    channels: int,
    shows: bool = True,
    background: bool = False,
    more: dict[str, Expected],
) -> dict[str, Tensor]:
    terms = model.terms
    if network_digest(terms.grid.network) != constants["perceptual_sha256"]:
        raise CheckpointError(
            f"the weights of '{model.config.maps.perceptual:.80}' are not those that the model was fitted with: "
            "install the version of oddwave that it was made with, or fit it again"
        )
    with torch.device("meta"):  # nothing is allocated before the file has been checked
        make_networks(terms, channels, shows=shows)
    terms.noise_levels = {space: tuple(levels) for space, levels in constants["noise_levels"].items()}
    tensors = file.checked(_expected(terms, background) | more)
    make_networks(terms, channels, shows=shows)
    terms.centre, terms.scale = (tensors[f"features.{name}"].to(terms.device) for name in ("centre", "scale"))
    for name in _NETWORKS:
        net: nn.Module | None = getattr(terms, name)
        if net is not None:
            net.load_state_dict(_part(tensors, name))
            net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for name in _MEMORIES:
        arrays = {key: value.numpy() for key, value in _part(tensors, name).items()}
        if arrays:
            terms.learn(name, Memory(**arrays, num_neighbors=1))
    places = _part(tensors, "statistics")
    if places:
        terms.learn("statistics", PositionGaussian.from_arrays(places))
    terms.noise_levels = {space: tuple(levels) for space, levels in constants["noise_levels"].items()}
    for name in _RESIDUALS:
        saved = {level: _part(tensors, f"{name}_{level:g}") for level in terms.noise_levels.get("feature", ())}
        if gaussians := {level: PositionGaussian.from_arrays(own) for level, own in saved.items() if own}:
            terms.learn(name, gaussians)
    model.fusion = Fusion(**constants["fusion"])
    model.standardiser = Standardiser.from_dict(constants["standardiser"])
    model.term_names, model.top_share = tuple(constants["terms"]), float(constants["top_share"])
    return tensors


def _expected(terms: MapTerms, background: bool) -> dict[str, Expected]:
    """Return which tensors a scorer of these settings holds, given its networks on the device "meta"."""
    maps, width = terms.config.maps, terms.grid.width
    expected = {"features.centre": Expected("F32", (width,)), "features.scale": Expected("F32", (width,), _SMALLEST)}
    for name in _NETWORKS:
        net: nn.Module | None = getattr(terms, name)
        expected |= {} if net is None else expected_network(name, net)
    for name in _MEMORIES[: 1 + background] if maps.patch_memory else ():
        expected |= expected_memory(name, width, terms.config.scoring.memory_size)
    memory_grid, denoiser_grid = maps.grids
    sides = {"statistics": memory_grid} if maps.statistics else {}
    for name in _RESIDUALS[: 1 + background]:
        sides |= {f"{name}_{level:g}": denoiser_grid for level in terms.noise_levels.get("feature", ())}
    for name, side in sides.items():
        places = side**2 if maps.aligned == "places" else side
        expected[f"{name}.mean"] = Expected("F32", (places, width))
        expected[f"{name}.whitening"] = Expected("F16", (places, width, width))
    return expected


def network_digest(network: nn.Module) -> str:
    """Return the sha256 of a network's weights."""
    digest = hashlib.sha256()
    for name, own in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(own.shape)}".encode())
        digest.update(own.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
