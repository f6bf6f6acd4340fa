"""Explanation of pictures: the regions that stand out, what a normal one would look like, which wavelet bands it shows.

The normal version is the picture itself wherever it is normal. Where it is not, it is what the denoiser makes of it:
in feature space the grid is repaired and a decoder shows the repaired grid; in pixel space the picture is denoised.

Legend: H x W pixels of a picture, C channels, h x w of a map, s side of the square normal version, g of the grid.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from oddwave.detection.picture_learning import DECODED_PX
from oddwave.detection.picture_scorer import FEATURE_SCALE, PictureScorer
from oddwave.diffusion.samplers import reconstruct
from oddwave.modalities.image_frame import ImageFrame
from oddwave.nets.unet import UNet
from oddwave.results import Region, WaveletShare
from oddwave.scoring.calibration import conformal_p_values
from oddwave.wavelets.pyramid import max_level, wavedec

__all__ = ["find_regions", "normal_version", "wavelet_shares"]

_FINEST_MAP_PX = 512  # regions are outlined on a map of at most this side
_LEVELS = 4
_MOST_REGIONS = 20
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)
_ORIENTATIONS = ("horizontal", "vertical", "diagonal")  # of the bands LH, HL, HH in `wavelets/pyramid.py`


def find_regions(
    item: str,
    anomaly_map: Float[np.ndarray, "h w"],
    size: tuple[int, int],
    threshold: float,
    peaks: Float[np.ndarray, " n"],
) -> tuple[Region, ...]:
    """Outline the connected parts above the threshold, strongest first, in the picture's own pixels.

    A strong defect raises the map far around it, so a part reaches from half its height to half its height only. Where
    nothing reaches the threshold (the picture as a whole is odd, no place of it is by itself), the surroundings
    of the highest place down to half its height above the map's median are outlined. `peaks` are the highest values of
    normal pictures' maps.
    """
    height, width = size
    scale = min(1.0, _FINEST_MAP_PX / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    fine = ImageFrame(max(anomaly_map.shape), "stretch", 1).to_picture(anomaly_map, rows, columns)
    usual, highest = float(np.median(fine)), float(fine.max())
    if highest < threshold:
        threshold = usual + 0.5 * (highest - usual)
    labelled, count = ndimage.label(fine >= threshold, structure=_EIGHT_NEIGHBOURS)
    heights = np.append(np.inf, ndimage.maximum(fine, labelled, np.arange(1, count + 1)))
    labelled, _ = ndimage.label(fine >= usual + 0.5 * (heights[labelled] - usual), structure=_EIGHT_NEIGHBOURS)
    found = []
    for number, (down, across) in enumerate(ndimage.find_objects(labelled), start=1):
        own = labelled[down, across] == number
        values = np.where(own, fine[down, across], -np.inf)
        row, column = np.unravel_index(int(np.argmax(values)), values.shape)
        peak = float(values[row, column])
        found.append(
            Region(
                item=item,
                left_px=int(across.start / columns * width),
                top_px=int(down.start / rows * height),
                right_px=min(width, int(np.ceil(across.stop / columns * width))),
                bottom_px=min(height, int(np.ceil(down.stop / rows * height))),
                peak_x_px=min(width - 1, int((across.start + column + 0.5) / columns * width)),
                peak_y_px=min(height - 1, int((down.start + row + 0.5) / rows * height)),
                area_px=max(1, round(float(own.sum()) * height * width / (rows * columns))),
                score=peak,
                p_value=float(conformal_p_values(np.array([peak]), peaks)[0]),
            )
        )
    return tuple(sorted(found, key=lambda region: -region.score)[:_MOST_REGIONS])


@torch.inference_mode()
def normal_version(
    scorer: PictureScorer, x: Float[Tensor, "C S S"], oddness: Float[np.ndarray, "M M"]
) -> tuple[Float[np.ndarray, "C s s"], Float[np.ndarray, "C s s"]]:
    """Give a square's normal version and the square itself at the same size, values in [-1, 1].

    `oddness` in [0, 1] says at each place how much of the repair is to be taken.
    """
    mask = torch.from_numpy(np.clip(oddness, 0.0, 1.0).astype(np.float32))[None, None]
    if scorer.feature_net is not None and scorer.decoder is not None:
        grid = scorer.feature_x0(scorer.features(x[None]))
        share = F.interpolate(mask, size=grid.shape[2:], mode="area")
        repaired = (1 - share) * grid + share * _repaired(scorer, scorer.feature_net, grid)
        shown = scorer.decoder(repaired / FEATURE_SCALE)
        own = F.interpolate(x[None], size=(DECODED_PX, DECODED_PX), mode="area")
    else:
        assert scorer.pixel_net is not None
        own = scorer.pixel_x0(x[None])
        shown = _repaired(scorer, scorer.pixel_net, own).clamp(-1, 1)
    soft = F.interpolate(mask, size=own.shape[2:], mode="bilinear", align_corners=False)
    return ((1 - soft) * own + soft * shown)[0].numpy(), own[0].numpy()


def _repaired(scorer: PictureScorer, net: UNet, x0: Tensor) -> Tensor:
    settings, config = scorer.config.reconstruction, scorer.config
    return reconstruct(
        scorer.caller(net),
        x0,
        scorer.schedule,
        sampler=settings.sampler,
        noise_level=settings.noise_level,
        num_inference_steps=settings.num_inference_steps,
        guidance_weight=settings.guidance_weight,
        prediction_type=config.training.prediction_type,
        noise=partial(_shared_noise, shape=x0.shape, seed=config.seed),
    )


def _shared_noise(draw: int, *, shape: torch.Size, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed * 1009 + draw)
    return torch.randn(shape[1:], generator=generator).expand(shape)


def wavelet_shares(residual: Float[np.ndarray, "C s s"], side_px: float) -> tuple[WaveletShare, ...]:
    """Split a residual's energy over the levels and orientations of its wavelet pyramid; nothing where it is zero.

    `side_px` is how many pixels of the picture the residual's side stands for.
    """
    x = torch.from_numpy(np.ascontiguousarray(residual, np.float32))[None]
    levels = min(_LEVELS, max_level(x.shape[2:]))
    coefficients = wavedec(x, levels, "db2", grid_dims=2)
    pixel = side_px / residual.shape[-1]
    energies: list[tuple[int, str, float]] = []
    for level, bands in enumerate(coefficients.details, start=1):
        energies += [(level, way, float(band.square().sum())) for way, band in zip(_ORIENTATIONS, bands, strict=True)]
    energies.append((levels, "coarse", float(coefficients.approx.square().sum())))
    total = sum(energy for _, _, energy in energies)
    if total <= 0.0:
        return ()
    return tuple(
        WaveletShare(level, way, pixel * 2**level, energy / total)  # type: ignore[arg-type]
        for level, way, energy in energies
    )
