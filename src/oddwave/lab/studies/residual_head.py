"""Whether a small head that learns from planted defects improves images by retrieval: on kinds it has not seen.

    python -m oddwave.lab.studies.residual_head --data DIR [--sets mvtec_ad/screw,gears] [--seed 0] --out FILE

Good images are parted in three. The first part is what a model by retrieval learns from. Copies of the second with
planted defects, each at a strength of its own, and the same images as they are, teach the head: from the residual of
each patch to the nearest remembered one (arsinh of each channel in units of normals, and its mean over 3 x 3 places),
the distance, and its mean over 5 x 5 places, 64 -> 32 -> 1, whether a place was changed. The third part judges: with
defects of the kinds that were left out of the head's training, at 0.6 and 1.0 of their strength. The head's map, in
units of normals, is added to the model's map with a weight; weight 0 is the model without it. `gears` are the drawn
parts of the demo. No real anomaly's label is read.

What was found, and why no model has such a head: `docs/lab_notebook.md`.
Legend: N images, C channels, S side of a square, D channels of a patch, G side of the grid, R places, M side of a map.
"""

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oddwave.config import DetectorConfig, preset
from oddwave.demo.gear_image import draw_part, write_png
from oddwave.detection.image.retrieval_model import RetrievalModel
from oddwave.lab.metrics import auroc
from oddwave.lab.studies.coverage_images import looked_at
from oddwave.nets.blocks import seeded_draws
from oddwave.planted.image import IMAGE_ANOMALIES, make_synthetic_images
from oddwave.scoring.maps import common_map, top_mean

__all__ = ["Examples", "ResidualHead", "lifted", "main", "train"]

SETS = ("mvtec_ad/screw", "magnetic_tile", "pillqc", "gears")
LEFT_OUT = (("cut_paste", "scar", "blur", "dent"), ("perlin_blend", "missing_patch", "deformation"))
WEIGHTS = (0.0, 0.25, 0.5, 1.0)
TAUGHT, JUDGED = (0.35, 0.6, 1.0), (0.6, 1.0)  # strengths of the change
_PARTS = (100, 64, 48)  # images of each part at most
_INSIDE = 0.25  # of a cell of the grid that a defect covers
_WIDTHS, _DROPOUT = (64, 32), 0.2
_NUM_STEPS, _RATE, _DECAY, _NUM_ODD, _NUM_NORMAL = 200, 2e-3, 1e-2, 256, 768
_SMALLEST = 1e-4
_BLOCK = 8


class Examples(NamedTuple):
    """Residuals to the nearest remembered patch, the distances, and the map of the model without a head."""

    away: Float[Tensor, "N D G G"]
    distance: Float[Tensor, "N G G"]
    map: Float[Tensor, "N M M"]


class ResidualHead(nn.Module):
    """Residuals and distances to the log-odds of a defect."""

    def __init__(self, normal: Examples) -> None:
        """Take the units of normals; weights are drawn."""
        super().__init__()
        self.unit = normal.away.float().square().mean((0, 2, 3)).sqrt().clamp(min=_SMALLEST)
        self.distance = normal.distance.mean(), normal.distance.std().clamp(min=_SMALLEST)
        inputs, (first, second) = 2 * len(self.unit) + 2, _WIDTHS
        self.centre, self.scale = torch.zeros(inputs), torch.ones(inputs)
        self.layers = nn.Sequential(
            nn.Linear(inputs, first),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(first, second),
            nn.GELU(),
            nn.Linear(second, 1),
        )

    def inputs(self, own: Examples) -> Float[Tensor, "N G G I"]:
        """Return what the layers see of each place."""
        away = torch.asinh(own.away.float().abs() / self.unit[:, None, None])
        far = ((own.distance - self.distance[0]) / self.distance[1])[:, None]
        seen = torch.cat([away, _around(away, 3), far, _around(far, 5)], 1).permute(0, 2, 3, 1)
        return (seen - self.centre) / self.scale

    @torch.no_grad()
    def forward(self, own: Examples) -> Float[Tensor, "N M M"]:
        """Return log-odds as maps."""
        blocks = zip(*(torch.split(part, _BLOCK) for part in own), strict=True)
        return torch.cat([common_map(self.layers(self.inputs(Examples(*block)))[..., 0]) for block in blocks])


def train(normal: Examples, odd: Examples, inside: Bool[Tensor, "N G G"], seed: int) -> ResidualHead:
    """Teach a head to tell the changed places of some images from the places of normal ones."""
    with seeded_draws(seed):
        head = ResidualHead(normal)
        every, changed = head.inputs(normal).flatten(0, 2), head.inputs(odd)[inside]
        head.centre, head.scale = every.mean(0), every.std(0).clamp(min=_SMALLEST)
        every, changed = ((part - head.centre) / head.scale for part in (every, changed))
        optimizer = torch.optim.AdamW(head.layers.parameters(), _RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, _NUM_STEPS)
        wanted = torch.cat([torch.ones(_NUM_ODD), torch.zeros(_NUM_NORMAL)])
        for _ in range(_NUM_STEPS):
            drawn = ((changed, _NUM_ODD), (every, _NUM_NORMAL))
            x = torch.cat([part[torch.randint(len(part), (num,))] for part, num in drawn])
            loss = F.binary_cross_entropy_with_logits(head.layers(x)[:, 0], wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return head.eval()


def _around(maps: Float[Tensor, "N D G G"], side: int) -> Float[Tensor, "N D G G"]:
    """Return the mean around each place."""
    return F.avg_pool2d(F.pad(maps, (side // 2,) * 4, mode="replicate"), side, stride=1)


def examples(model: RetrievalModel, x: Float[np.ndarray, "N C S S"]) -> Examples:
    """Compare squares with what a model remembers."""
    scorer, found = model.scorer, list[Examples]()
    with torch.no_grad():
        for block in torch.split(torch.from_numpy(x.astype(np.float32)), _BLOCK):
            features = scorer.features(block)
            distances = scorer.distances(features)
            own = features[:, scorer.channels].permute(0, 2, 3, 1)
            patches = own.flatten(0, 2)
            search = scorer.memory.search
            near = (F.pad(patches, (0, 1), value=1.0) @ search.T).argmax(1)
            away = (patches - search[near, :-1]).reshape(own.shape)
            distance = away.square().mean(3).sqrt() * scorer.memory.weights[near].reshape(own.shape[:3])
            found.append(
                Examples(away.permute(0, 3, 1, 2).half(), distance, scorer.of_distances(distances).map.float())
            )
    return Examples(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def lifted(model: RetrievalModel, taught: np.ndarray, judged: np.ndarray, seed: int) -> Iterator[dict[str, object]]:
    """Yield AUROCs of each half of the kinds, by strength and weight, with a head that was taught the other half."""
    usual, new = examples(model, taught), examples(model, judged)
    for number, kinds in enumerate(LEFT_OUT):
        rng = np.random.default_rng([seed, number])
        others = [kind for kind in IMAGE_ANOMALIES if kind not in kinds]
        made = make_synthetic_images(taught, rng, others)
        share = rng.choice(TAUGHT, len(taught)).astype(np.float32)[:, None, None, None]
        odd = examples(model, taught + share * (made.images - taught))
        covered = F.adaptive_avg_pool2d(torch.from_numpy(made.masks)[:, None].float(), odd.away.shape[-1])[:, 0]
        head = train(usual, odd, covered >= _INSIDE, seed)
        units = head(new)
        centre, unit = units.mean(), units.std()
        planted = make_synthetic_images(judged, rng, kinds)
        for strength in JUDGED:
            changed = examples(model, judged + strength * (planted.images - judged))
            more = head(changed)
            for weight in WEIGHTS:
                scores = [
                    top_mean(own.map + weight * (map_ - centre) / unit, model.top_share).numpy()
                    for own, map_ in ((new, units), (changed, more))
                ]
                labels = np.repeat([0, 1], [len(own) for own in scores])
                value = float(auroc(labels, np.concatenate(scores)))
                yield {"left_out": kinds[0], "strength": strength, "weight": weight, "auroc": value}


def measure(paths: Sequence[Path], config: DetectorConfig, seed: int) -> list[dict[str, object]]:
    """Part good images in three, fit, and return what the heads do for kinds left out."""
    order = np.random.default_rng([seed, 5]).permutation(len(paths))
    ends = np.cumsum(np.minimum(_PARTS, np.array([2, 1, 1]) * len(paths) // 4))
    remembered, taught, judged = ([paths[i] for i in np.sort(own)] for own in np.split(order[: ends[-1]], ends[:-1]))
    model, seen = looked_at(remembered, config)
    model.learn(seen)
    x = [_squares(model, own) for own in (taught, judged)]
    return list(lifted(model, x[0], x[1], seed))


def _squares(model: RetrievalModel, paths: Sequence[Path]) -> Float[np.ndarray, "N C S S"]:
    from oddwave.sources.image.reader import read_images

    items = read_images(list(paths), on_error="stop").items
    return np.concatenate([model.cutter.cut(item.pixels()).tensors for item in items])


def _good_images(data: Path, name: str, scratch: Path) -> list[Path]:
    if name != "gears":
        return sorted((data / name).glob("train/good/*"))
    rng, files = np.random.default_rng(3), [scratch / f"{number:03d}.png" for number in range(sum(_PARTS))]
    for file in files:
        write_png(file, draw_part(rng).image)
    return files


def main() -> None:
    """Read the arguments, measure, and write what was found."""
    import tempfile

    parser = argparse.ArgumentParser(description="What a head on residuals adds to images by retrieval.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    config, found = preset(given.preset, modality="image"), {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in given.sets.split(","):
            found[name] = rows = measure(_good_images(given.data, name, Path(scratch)), config, given.seed)
            means = {w: np.mean([float(str(row["auroc"])) for row in rows if row["weight"] == w]) for w in WEIGHTS}
            print(name, "; ".join(f"weight {weight:g}: {value:.4f}" for weight, value in means.items()), flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps({"seed": given.seed, "preset": given.preset, "sets": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
