"""Whether images keep their word: how many good images are flagged, over many random splits of good ones.

    python -m oddwave.lab.studies.coverage_images --data DIR [--splits 30] [--alpha 0.05] [--preset fast] --out FILE

Good images of a data set are split at random, half to fit and half to judge; the rate of those with p <= alpha is
compared with alpha and with what a binomial of as many independent images allows. The frozen network looks at each
image once for all splits. Splits share images, so that the bounds of all of them together are those of one pass over
the data set, and no narrower.

Legend: I images.
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oddwave.config import DetectorConfig, preset
from oddwave.detection.image.retrieval_model import RetrievalModel, frozen_grid
from oddwave.detection.image.seen import Seen
from oddwave.sources.image.items import common_channels
from oddwave.sources.image.reader import read_images
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["coverage", "looked_at", "main"]

_SETS = ("mvtec_ad/screw", "magnetic_tile")
_CONFIDENCE = 0.95


def looked_at(paths: Sequence[Path], config: DetectorConfig) -> tuple[RetrievalModel, Seen]:
    """Return a model that has learnt nothing, and what it sees of these images."""
    items = read_images(list(paths), on_error="stop").items
    frame, _ = ImageFrame.choose([item.size for item in items], common_channels(items), config.image.size_px)
    model = RetrievalModel(config, frozen_grid(config), frame)
    return model, model.look(items)


def coverage(model: RetrievalModel, seen: Seen, num_splits: int, num_images: int, alpha: float) -> list[float]:
    """Return, split by split, the share of good images that are flagged at `alpha`."""
    rates = []
    for split in range(num_splits):
        order = np.random.default_rng([split, 8]).permutation(len(seen.items))[:num_images]
        fit, new = order[: len(order) // 2], order[len(order) // 2 :]
        own = np.array([float(image.scores[0]) for image in model.learn(seen.part(np.sort(fit)))])
        scores = np.array([float(image.scores[0]) for image in model.judge(seen.part(np.sort(new)))])
        p_values = (1.0 + (own >= scores[:, None]).sum(1)) / (len(own) + 1.0)
        rates.append(float((p_values <= alpha).mean()))
    return rates


def main() -> None:
    """Read the arguments, measure, and write what was found."""
    parser = argparse.ArgumentParser(description="Rate of good images that are flagged.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=30)
    parser.add_argument("--images", type=int, default=200, help="of each set and split, half of them to fit")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    from scipy.stats import binom

    config, found = preset(given.preset, modality="image"), {}
    for name in _SETS:
        paths = sorted((given.data / name).glob("train/good/*")) + sorted((given.data / name).glob("test/good/*"))
        model, seen = looked_at(paths, config)
        rates = coverage(model, seen, given.splits, given.images, given.alpha)
        judged = min(given.images, len(paths)) - min(given.images, len(paths)) // 2
        low, high = (float(bound) / judged for bound in binom.interval(_CONFIDENCE, judged, given.alpha))
        rate = float(np.mean(rates))
        found[name] = {"rate": rate, "low": low, "high": high, "num_judged": judged, "rates": rates}
        print(
            f"{name}: {rate:.4f} flagged at alpha {given.alpha:g}; binomial {low:.4f} to {high:.4f} of {judged} images"
        )
    told = {"alpha": given.alpha, "preset": given.preset, "splits": given.splits, "sets": found}
    if given.out is not None:
        given.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
