"""The rivals of `oddwave bench speed` that other packages bring: PyOD, STUMPY, anomalib, each with its own defaults.

PyOD judges vectors. Series: windows of 64 points, one at every point, and a point has the mean score of the windows
that cover it. Images: the mean over places of what our frozen network sees (its taps at strides 4, 8 and 16). Audio:
mean and deviation over time of each row of a log-mel map, of the worst clip. STUMPY's `stumpi` has windows of 64 points
too; a point's score is the distance of the window that ends there to its nearest neighbour before. anomalib's models
have their own backbones, whose weights it fetches by itself.

Read `speed_methods.py` first. Legend: N windows or items, C channels, L points.
"""

import copy
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from oddwave.lab.bench.speed_methods import (
    DDIM,
    DDPM,
    Framed,
    FrozenKNNMethod,
    OwnMethod,
    OwnRival,
    PatchKNNMethod,
    SpeedMethod,
    WithDenoiser,
    framed_clips,
)
from oddwave.tensors.series_windows import sliding_windows, window_to_point

__all__ = ["SPEED_METHODS", "OtherPackage"]

_WINDOW = 64
_BATCH, _AE_BATCH = 16, 32
_SEED = 0


class OtherPackage(SpeedMethod):
    """A rival that is stored with pickle, as its authors advise."""

    model: Any

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.pickle").write_bytes(pickle.dumps(self.model))


class PyOD(OtherPackage):
    """One of PyOD's detectors, on vectors."""

    needs: ClassVar[tuple[str, ...]] = ("pyod",)
    framed: Framed | None = None

    def fit(self, train: Any, *, brief: bool) -> None:
        self.framed = Framed(train) if self.modality == "image" else None
        vectors, _ = self._vectors(train)
        self.model = self._new(brief, len(vectors))
        self.model.fit(vectors)

    def score(self, source: Any) -> Float[np.ndarray, " n"]:
        vectors, clips = self._vectors(source)
        scores: np.ndarray = self.model.decision_function(vectors)
        if self.modality == "series":
            return window_to_point(scores, np.arange(len(scores)), _WINDOW, len(source))
        return scores if clips is None else clips.worst(scores)

    def _new(self, brief: bool, num: int) -> Any:
        raise NotImplementedError

    def _vectors(self, source: Any) -> tuple[Float[np.ndarray, "N D"], Any]:
        if self.modality == "series":
            windows = sliding_windows(np.asarray(source), _WINDOW, 1)[0]
            return windows.reshape(len(windows), -1), None
        if self.framed is not None:
            squares = self.framed(source)
            blocks = [range(first, min(first + _BATCH, len(squares))) for first in range(0, len(squares), _BATCH)]
            return np.concatenate([self._pooled(np.stack([squares[i] for i in own])) for own in blocks]), None
        clips = framed_clips(source)
        return np.stack([self._described(clip) for clip in clips]), clips

    def _pooled(self, batch: Float[np.ndarray, "b C S S"]) -> Float[np.ndarray, "b D"]:
        import torch

        from oddwave.nets.perceptual import load_perceptual

        if not hasattr(self, "_network"):
            self._network = load_perceptual("efficientnet_lite0")
        with torch.inference_mode():
            taps = self._network(torch.from_numpy(batch))
            pooled: np.ndarray = torch.cat([tap.mean((2, 3)) for tap in taps[:3]], 1).numpy()
        return pooled

    def _described(self, clip: Float[np.ndarray, " n"]) -> Float[np.ndarray, " D"]:
        import torch

        from oddwave.tensors.audio_map import AudioMap

        if not hasattr(self, "_map"):
            self._map = AudioMap(sample_rate=16_000, clip_samples=len(clip), transform="stft-mel")
        levels = self._map.levels_db(torch.from_numpy(clip[None]))[0].numpy()
        return np.concatenate([levels.mean(1), levels.std(1)])


class PyODKNN(PyOD):
    """k nearest neighbours."""

    def _new(self, brief: bool, num: int) -> Any:
        from pyod.models.knn import KNN

        return KNN()


class PyODForest(PyOD):
    """Isolation forest."""

    def _new(self, brief: bool, num: int) -> Any:
        from pyod.models.iforest import IForest

        return IForest(random_state=_SEED)


class PyODAutoEncoder(PyOD):
    """A dense autoencoder; it would learn nothing of fewer items than a batch, so that a batch has no more."""

    def _new(self, brief: bool, num: int) -> Any:
        from pyod.models.auto_encoder import AutoEncoder

        return AutoEncoder(
            verbose=0, random_state=_SEED, batch_size=min(_AE_BATCH, num), **({"epoch_num": 1} if brief else {})
        )


class Stumpi(OtherPackage):
    """The matrix profile of the training part, updated point by point; of several channels, the first."""

    needs: ClassVar[tuple[str, ...]] = ("stumpy",)
    extra: ClassVar[str] = "stumpy"

    def fit(self, train: Any, *, brief: bool) -> None:
        import stumpy

        self.model = stumpy.stumpi(np.ascontiguousarray(np.asarray(train)[:, 0], np.float64), m=_WINDOW, egress=False)

    def score(self, source: Any) -> Float[np.ndarray, " n"]:
        profile = copy.deepcopy(self.model)
        scores = []
        for value in np.asarray(source, np.float64)[:, 0]:
            profile.update(value)
            scores.append(profile.left_P_[-1])
        return np.array(scores)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "profile.npz", T=self.model.T_, P=self.model.P_, left_P=self.model.left_P_)


class Anomalib(SpeedMethod):
    """A model of anomalib, trained and asked through its own engine, on one processor."""

    needs: ClassVar[tuple[str, ...]] = ("anomalib",)
    extra: ClassVar[str] = "bench-images"
    name: ClassVar[str] = "Patchcore"

    def fit(self, train: Any, *, brief: bool) -> None:
        import anomalib.models
        from anomalib.data import Folder
        from anomalib.engine import Engine

        folder = Path(train[0]).parent / f"{self.name}_{len(train)}"  # anomalib takes folders, no lists of files
        folder.mkdir(exist_ok=True)
        for path in train:
            if not (link := folder / Path(path).name).exists():
                link.symlink_to(Path(path).resolve())
        data = Folder(
            name="parts", normal_dir=folder.resolve(), train_batch_size=1 if self.name == "EfficientAd" else _BATCH,
            eval_batch_size=_BATCH, num_workers=0, test_split_mode="none", val_split_mode="none",
        )  # fmt: skip
        self.model = getattr(anomalib.models, self.name)()
        steps = {"max_steps": 2} if brief and self.name == "EfficientAd" else {}
        self.engine = Engine(
            default_root_dir=folder.parent / "anomalib", accelerator="cpu", devices=1, logger=False,
            enable_progress_bar=False, **steps,
        )  # fmt: skip
        self.engine.fit(model=self.model, datamodule=data)

    def score(self, source: Any) -> Float[np.ndarray, " n"]:
        from anomalib.data import PredictDataset
        from torch.utils.data import ConcatDataset, DataLoader

        sets = [PredictDataset(path=Path(path)) for path in source]
        each: Any = ConcatDataset(sets)
        loader = DataLoader(each, batch_size=min(_BATCH, len(sets)), collate_fn=sets[0].collate_fn)
        found = self.engine.predict(model=self.model, dataloaders=loader) or []
        return np.concatenate([np.asarray(batch.pred_score).reshape(-1) for batch in found])

    def save(self, folder: Path) -> None:
        import torch

        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.state_dict(), folder / "model.pt")


class AnomalibPaDiM(Anomalib):
    """PaDiM."""

    name: ClassVar[str] = "Padim"


class AnomalibEfficientAD(Anomalib):
    """EfficientAD."""

    name: ClassVar[str] = "EfficientAd"


_PYOD: Mapping[str, type[SpeedMethod]] = {
    "pyod_knn": PyODKNN,
    "pyod_iforest": PyODForest,
    "pyod_autoencoder": PyODAutoEncoder,
}

SPEED_METHODS: Mapping[str, Mapping[str, type[SpeedMethod]]] = {
    "series": {
        "oddwave": OwnMethod,
        "oddwave_denoiser": WithDenoiser,
        "ddim_50": DDIM,
        "ddpm_1000": DDPM,
        "knn": OwnRival,
        **_PYOD,
        "stumpi": Stumpi,
    },
    "image": {
        "oddwave": OwnMethod,
        "oddwave_denoiser": WithDenoiser,
        "ddim_50": DDIM,
        "ddpm_1000": DDPM,
        "patch_knn": PatchKNNMethod,
        **_PYOD,
        "anomalib_patchcore": Anomalib,
        "anomalib_padim": AnomalibPaDiM,
        "anomalib_efficientad": AnomalibEfficientAD,
    },
    "audio": {"oddwave": OwnMethod, "ddim_50": DDIM, "ddpm_1000": DDPM, "frozen_knn": FrozenKNNMethod, **_PYOD},
}
"""Each modality's methods, in the order in which a round runs them; the first is what the others are compared with."""
