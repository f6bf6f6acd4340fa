"""What the models of images and audio share: terms as maps, fused, with everything chosen on held-out normals.

Fit: held-out normals and synthetic anomalies made from them -> terms (`image/terms.py`) -> noise levels, terms,
weights, aggregation. Score: terms -> standardised, fused -> top share of the map.

Read `image/model.py` and `audio/model.py` next: where tensors come from, and what a map means there.
Legend: N images or clips, C x H x W their tensors, M side of a map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from oddwave.config import DetectorConfig
from oddwave.detection.choose import choose_fusion, choose_noise_levels
from oddwave.detection.image.terms import MapScorer, MapTerms
from oddwave.progress import progress
from oddwave.scoring.fusion import GROUPS, Fusion, Standardiser
from oddwave.scoring.maps import MAP_SIZE, top_mean
from oddwave.scoring.selection import auroc_error, near_best, separation

__all__ = ["BATCH", "MapModel", "Maps"]

Maps = dict[str, Float[np.ndarray, "_ ... M M"]]  # rows of normals and of synthetic ones differ in number

BATCH = 8
NEUTRAL_TOP_SHARE = 0.002
_TOP_SHARES = (1 / MAP_SIZE**2, 0.002, 0.005, 0.02)


@dataclass
class MapModel:
    """A fitted (or being fitted) model; `evidence` tells why every automatic choice fell as it did."""

    config: DetectorConfig
    terms: MapTerms
    fusion: Fusion = field(default_factory=lambda: Fusion(0.5, 0.5), kw_only=True)
    standardiser: Standardiser | None = field(default=None, kw_only=True)
    term_names: tuple[str, ...] = field(default=(), kw_only=True)
    top_share: float = field(default=NEUTRAL_TOP_SHARE, kw_only=True)
    evidence: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def scorer(self) -> MapScorer:
        """The scorer of what has been learnt and chosen."""
        assert self.standardiser is not None
        return MapScorer(self.terms, self.standardiser, self.fusion, self.top_share).to(self.terms.device)

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The denoisers and the decoder, where there is one."""
        return self.terms.networks

    def facts(self) -> dict[str, Any]:
        """Return what a report tells of how it judges."""
        return {
            "space": self.config.maps.space,
            "perceptual": self.config.maps.perceptual,
            "reconstruction_weight": self.fusion.reconstruction_weight,
            "memory_weight": self.fusion.memory_weight,
            "top_percent": f"{100 * self.top_share:.2g} %",
        }

    @torch.inference_mode()
    def compute_terms(self, tensors: Float[np.ndarray, "N C H W"], title: str = "", show: bool = False) -> Maps:
        """Compute the terms of any number of images or clips, some at a time."""
        blocks = [tensors[first : first + BATCH] for first in range(0, len(tensors), BATCH)]
        parts = [self.terms(torch.from_numpy(block).to(self.terms.device)) for block in progress(blocks, title, show)]
        return {name: torch.cat([part[name].cpu() for part in parts]).numpy() for name in parts[0]}

    def groups(self, terms: Maps, monitored: Bool[np.ndarray, "N M M"] | None = None) -> Maps:
        """Standardise the terms in use and average them by group, with what is not monitored hidden."""
        device = self.terms.device
        inside = None if monitored is None else torch.from_numpy(monitored).to(device)
        found = self.scorer.groups({name: torch.from_numpy(own).to(device) for name, own in terms.items()}, inside)
        return {name: values.cpu().numpy() for name, values in found.items()}

    # Choosing on held-out normals and synthetic anomalies made from them

    def choose(
        self,
        normal: Maps,
        odd: Maps,
        kinds: Sequence[str],
        monitored: tuple[Bool[np.ndarray, "N M M"], Bool[np.ndarray, "K M M"]] | None = None,
    ) -> None:
        """Choose noise levels, terms, weights and aggregation, and standardise on the held-out normals.

        `monitored` says which places count in the normal and in the synthetic ones. Noise levels that are not chosen
        are dropped from the terms that were given.
        """
        self._choose_noise_levels(normal, odd)
        self._choose_terms(normal, odd)
        self.standardiser = Standardiser.fit({name: _rows(normal[name]) for name in self.term_names})
        inside = monitored or (None, None)
        sides = self.groups(normal, inside[0]), self.groups(odd, inside[1])
        self._choose_weights(*sides, kinds)
        self._choose_top_share(*(self.fusion.score(groups) for groups in sides))

    def _choose_noise_levels(self, normal: Maps, odd: Maps) -> None:
        """Keep the noise levels that tell synthetic defects from normal images; the others leave the terms."""
        for name in [name for name in normal if name.startswith("recon.")]:
            space = name.partition(".")[2]
            levels = self.terms.noise_levels[space]
            tops = (np.stack([_top(side[name][:, k]) for k in range(len(levels))], 1) for side in (normal, odd))
            kept, self.evidence[f"noise_levels_{space}"] = choose_noise_levels(levels, *tops)
            self.terms.noise_levels[space] = tuple(levels[k] for k in kept)
            for term in (name, f"feature.{space}"):
                for side in (normal, odd):
                    if term in side:
                        side[term] = side[term][:, kept]

    def _choose_terms(self, normal: Maps, odd: Maps) -> None:
        """Within each group, keep the terms that are not clearly worse than its best one: the space among them."""
        values = {name: separation(_top(_mean_level(normal[name])), _top(_mean_level(odd[name]))) for name in normal}
        kept: list[str] = []
        for group in GROUPS:
            own = {name: value for name, value in values.items() if name.partition(".")[0] == group}
            kept += near_best(own) if own else []
        self.term_names = tuple(name for name in values if name in kept)
        self.evidence["terms"] = {"chosen": list(self.term_names), "synthetic_auroc": values}

    def _choose_weights(self, normal: Maps, odd: Maps, kinds: Sequence[str]) -> None:
        if "recon" not in normal:  # no denoiser at all: the memory has everything to say
            self.fusion = Fusion(1.0, 1.0)
            return
        self.fusion, self.evidence["weights"] = choose_fusion(
            self.config.scoring,
            normal,
            odd,
            kinds,
            num_memory_spaces=sum(name.startswith("memory.") for name in self.term_names),
            neutral_reconstruction_weight=0.5 if "feature" in normal else 1.0,
            aggregate=_top,
        )

    def _choose_top_share(self, normal: Float[np.ndarray, "N M M"], odd: Float[np.ndarray, "K M M"]) -> None:
        """Choose how much of the map makes the score; the neutral share stays unless another is clearly better."""
        wanted = self.config.maps.top_share
        if wanted != "auto":
            self.top_share = wanted
            return
        values = {share: separation(_top(normal, share), _top(odd, share)) for share in _TOP_SHARES}
        best = max(values, key=lambda share: values[share])
        error = auroc_error(values[best], len(normal), len(odd))
        self.top_share = best if values[best] > values[NEUTRAL_TOP_SHARE] + error else NEUTRAL_TOP_SHARE
        self.evidence["top_share"] = {
            "chosen": self.top_share,
            "synthetic_auroc": {f"{share:.4g}": value for share, value in values.items()},
        }


def _rows(maps: Float[np.ndarray, "N *K M M"]) -> Float[np.ndarray, "rows K"]:
    """Return one row per place, one column per noise level: places are the items that a standardiser sees."""
    columns = maps[:, None] if maps.ndim == 3 else maps
    return np.moveaxis(columns, 1, -1).reshape(-1, columns.shape[1])


def _mean_level(maps: Float[np.ndarray, "N *K M M"]) -> Float[np.ndarray, "N M M"]:
    return maps if maps.ndim == 3 else np.asarray(maps.mean(1))


def _top(maps: Float[np.ndarray, "N M M"], share: float = NEUTRAL_TOP_SHARE) -> Float[np.ndarray, " N"]:
    return top_mean(torch.from_numpy(maps), share).numpy()
