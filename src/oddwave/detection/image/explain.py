"""Explanation of images: the regions that stand out, what a normal one would look like, which wavelet bands it shows.

The normal version is the image itself wherever it is normal. Where it is not, it is what the denoiser makes of it:
in feature space the grid is repaired and a decoder shows the repaired grid; in pixel space the image is denoised. A
model by retrieval shows the normal image that resembles it most around there (`normal_copies.py`). Of an image
in tiles, those are repaired in which something is odd, and their changes are blended as their maps are.

Legend: H x W pixels of an image, C channels, h x w of a map or of what is shown, T squares, S side of a square, s of
its change, M of its map.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from scipy import ndimage
from torch import Tensor

from oddwave.calibration.conformal import Calibration
from oddwave.detection.image.learning import DECODED_PX
from oddwave.detection.image.normal_copies import NormalCopies
from oddwave.detection.image.terms import FEATURE_SCALE, MapTerms
from oddwave.detection.image.tiles import Squares, cut_map, join_squares
from oddwave.diffusion.noise import shared_noise
from oddwave.diffusion.samplers import reconstruct
from oddwave.nets.unet import UNet
from oddwave.results import ImageRegion, WaveletShare
from oddwave.tensors.image_frame import ImageFrame
from oddwave.wavelets.pyramid import wavedec

__all__ = ["changes_to_normal", "find_regions", "normal_version", "repair_share", "wavelet_shares"]

_FINEST_MAP_PX = 512  # regions are outlined on a map of at most this side
_LARGEST_SHOWN_PX = 512  # a normal version's longer side at most: forty of them are held in memory
_SMALLEST_REPAIR = 0.1  # squares of which less would be repaired stay as they are
_REPAIR_BATCH = 8
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
) -> tuple[ImageRegion, ...]:
    """Outline the connected parts above the threshold, strongest first, in the image's own pixels.

    A strong defect raises the map far around it, so a part reaches from half its height to half its height only. Where
    nothing reaches the threshold (the image as a whole is odd, no place of it is by itself), the surroundings
    of the highest place down to half its height above the map's median are outlined. `peaks` are the highest values of
    normal images' maps.
    """
    height, width = size
    scale = min(1.0, _FINEST_MAP_PX / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    fine = ImageFrame(max(anomaly_map.shape), "stretch", 1).to_image(anomaly_map, rows, columns)
    usual, highest = float(np.median(fine)), float(fine.max())
    if highest < threshold:
        threshold = usual + 0.5 * (highest - usual)
    labelled, count = ndimage.label(fine >= threshold, structure=_EIGHT_NEIGHBOURS)
    heights = np.append(np.inf, ndimage.maximum(fine, labelled, np.arange(1, count + 1)))
    labelled, _ = ndimage.label(fine >= usual + 0.5 * (heights[labelled] - usual), structure=_EIGHT_NEIGHBOURS)
    found, normal = [], Calibration(peaks, peaks, 1, "the highest values of normal maps")
    for number, (down, across) in enumerate(ndimage.find_objects(labelled), start=1):
        own = labelled[down, across] == number
        values = np.where(own, fine[down, across], -np.inf)
        row, column = np.unravel_index(int(np.argmax(values)), values.shape)
        peak = float(values[row, column])
        found.append(
            ImageRegion(
                item=item,
                left_px=int(across.start / columns * width),
                top_px=int(down.start / rows * height),
                right_px=min(width, int(np.ceil(across.stop / columns * width))),
                bottom_px=min(height, int(np.ceil(down.stop / rows * height))),
                peak_x_px=min(width - 1, int((across.start + column + 0.5) / columns * width)),
                peak_y_px=min(height - 1, int((down.start + row + 0.5) / rows * height)),
                area_px=max(1, round(float(own.sum()) * height * width / (rows * columns))),
                score=peak,
                p_value=normal.event_p_value(peak),
                strength=normal.strength(peak),
            )
        )
    return tuple(sorted(found, key=lambda region: -region.score)[:_MOST_REGIONS])


def repair_share(anomaly_map: Float[np.ndarray, "h w"], threshold: float) -> Float[np.ndarray, "h w"]:
    """Return how much of each place is to be repaired, in [0, 1].

    All of it from half height of a strong peak on, as regions are outlined; a weak one is repaired in part only.
    """
    usual, peak = float(np.median(anomaly_map)), float(anomaly_map.max())
    oddness = (anomaly_map - usual) / max(threshold - usual, 0.5 * (peak - usual), 1e-6)
    share: np.ndarray = np.clip(2.0 * oddness - 0.5, 0.0, 1.0).astype(np.float32)
    return share


def normal_version(
    terms: MapTerms | NormalCopies,
    frame: ImageFrame,
    pixels: Float[np.ndarray, "H W C_in"],
    squares: Squares,
    share: Float[np.ndarray, "h w"],
) -> tuple[Float[np.ndarray, "h2 w2 C"], Float[np.ndarray, "h2 w2 C"]]:
    """Return an image's normal version, values in [0, 1], and how much brighter or darker it is than the image.

    `share` is what `repair_share` gives. Both are as fine as the networks' own images, but not finer than the
    image, and at most 512 pixels a side.
    """
    height, width = squares.size
    side_px = _side_px(terms)
    tile_px = max(max(box.height, box.width) for box in squares.boxes)
    scale = min(1.0, side_px / tile_px, _LARGEST_SHOWN_PX / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    masks = cut_map(share, squares, frame, rows, columns)
    changes = np.zeros((*squares.tensors.shape[:2], side_px, side_px), np.float32)
    odd = np.flatnonzero(masks.max((1, 2)) >= _SMALLEST_REPAIR)
    for some in (odd[first : first + _REPAIR_BATCH] for first in range(0, len(odd), _REPAIR_BATCH)):
        changes[some] = changes_to_normal(terms, torch.from_numpy(squares.tensors[some]), torch.from_numpy(masks[some]))
    change = join_squares(changes, squares, frame, rows, columns) / 2  # squares reach from -1 to 1, images from 0
    return np.clip(_shrunk(pixels, frame.channels, rows, columns) + change, 0.0, 1.0), change


def _side_px(terms: MapTerms | NormalCopies) -> int:
    if isinstance(terms, NormalCopies):
        return terms.side_px
    return DECODED_PX if terms.decoder is not None else terms.config.maps.pixel_size_px


def _shrunk(pixels: Float[np.ndarray, "H W C_in"], channels: int, rows: int, columns: int) -> Float[np.ndarray, "..."]:
    """Return an image at another size, with the model's channels, or one for all of them."""
    own = pixels if pixels.shape[2] in (1, channels) else pixels.mean(2, keepdims=True)
    planes = (Image.fromarray(np.ascontiguousarray(own[..., c], np.float32)) for c in range(own.shape[2]))
    return np.stack([np.asarray(plane.resize((columns, rows), Image.Resampling.BOX)) for plane in planes], axis=2)


@torch.inference_mode()
def changes_to_normal(
    terms: MapTerms | NormalCopies, x: Float[Tensor, "T C H W"], masks: Float[Tensor, "T M M"]
) -> Float[np.ndarray, "T C s s"]:
    """Return what has to be added to squares to make them normal, by the share that the masks allow."""
    if isinstance(terms, NormalCopies):
        return terms.changes(x, masks)
    x, mask = x.to(terms.device), masks.to(terms.device)[:, None]
    if terms.feature_net is not None and terms.decoder is not None:
        grid = terms.feature_x0(terms.features(x))
        share = F.interpolate(mask, size=grid.shape[2:], mode="area")
        repaired = (1 - share) * grid + share * _repaired(terms, terms.feature_net, grid)
        shown = terms.decoder(repaired / FEATURE_SCALE)
        own = F.interpolate(x, size=(DECODED_PX, DECODED_PX), mode="area")
    else:
        assert terms.pixel_net is not None
        own = terms.pixel_x0(x)
        shown = _repaired(terms, terms.pixel_net, own).clamp(-1, 1)
    soft = F.interpolate(mask, size=own.shape[2:], mode="bilinear", align_corners=False)
    changes: np.ndarray = (soft * (shown - own)).cpu().numpy()
    return changes


def _repaired(terms: MapTerms, net: UNet, x0: Tensor) -> Tensor:
    settings, config = terms.config.reconstruction, terms.config
    return reconstruct(
        terms.caller(net),
        x0,
        terms.schedule,
        sampler=settings.sampler,
        noise_level=settings.noise_level,
        num_inference_steps=settings.num_inference_steps,
        guidance_weight=settings.guidance_weight,
        prediction_type=config.training.prediction_type,
        noise=shared_noise(x0.shape, config.seed * 1009),
    )


def wavelet_shares(change: Float[np.ndarray, "h w C"], pixel_px: float) -> tuple[WaveletShare, ...]:
    """Split a change's energy over the levels and orientations of its wavelet pyramid; nothing where it is zero.

    `pixel_px` is how many pixels of the image one of the change stands for.
    """
    levels = max(0, min(_LEVELS, min(change.shape[:2]).bit_length() - 1))
    missing = [(0, -side % 2**levels) for side in change.shape[:2]]
    whole = np.pad(change, (*missing, (0, 0)), mode="symmetric")  # a step at the border would look like fine detail
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(whole, 2, 0), np.float32))[None]
    coefficients = wavedec(x, levels, "db2", grid_dims=2)
    energies: list[tuple[int, str, float]] = []
    for level, bands in enumerate(coefficients.details, start=1):
        energies += [(level, way, float(band.square().sum())) for way, band in zip(_ORIENTATIONS, bands, strict=True)]
    energies.append((levels, "coarse", float(coefficients.approx.square().sum())))
    total = sum(energy for _, _, energy in energies)
    if total <= 0.0:
        return ()
    return tuple(
        WaveletShare(level, way, pixel_px * 2**level, energy / total)  # type: ignore[arg-type]
        for level, way, energy in energies
    )
