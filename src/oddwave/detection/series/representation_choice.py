"""`representation="auto"`: each representation learns briefly from the same normals, synthetic anomalies decide.

A candidate replaces `window` only where its denoiser separates synthetic anomalies better by more than a standard
error, because the 2-D maps cost several times as much.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oddwave.config import DetectorConfig
from oddwave.detection.job import FitJob
from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.plan import WindowPlan, fold_plan
from oddwave.detection.series.streams import Stream
from oddwave.errors import DataError
from oddwave.scoring.selection import auroc_error

__all__ = ["choose_representation"]

_CANDIDATES = ("window", "scalogram", "folded")
_SHARE_OF_STEPS = 0.5


def choose_representation(
    config: DetectorConfig, plan: WindowPlan, streams: Sequence[Stream], n_channels: int, show_progress: bool
) -> tuple[DetectorConfig, WindowPlan, dict[str, Any]]:
    """Return the config with the chosen representation, its plan, and each candidate's AUROC on synthetic anomalies.

    Raises:
        DataError: not even windows can be learnt from.
    """
    values: dict[str, float] = {}
    plans: dict[str, WindowPlan] = {}
    skipped: dict[str, str] = {}
    for kind in _CANDIDATES:
        trial = _with_representation(config, kind, max(1, round(config.training.num_steps * _SHARE_OF_STEPS)))
        try:
            plans[kind] = fold_plan(plan) if kind == "folded" else plan
            model = DenoiserModel.build(trial, plans[kind], n_channels)
            model.fit(streams, None, FitJob(show_progress))
        except DataError as reason:
            if kind == "window":
                raise
            skipped[kind] = str(reason)
            continue
        values[kind] = model.evidence["weights"]["term_auroc"]["recon"]
    best = max(values, key=lambda kind: values[kind])
    error = auroc_error(values[best], 192, 192)
    chosen = best if values[best] > values["window"] + error else "window"
    evidence = {"chosen": chosen, "synthetic_auroc": values, "standard_error": error, "skipped": skipped}
    return _with_representation(config, chosen, config.training.num_steps), plans[chosen], evidence


def _with_representation(config: DetectorConfig, kind: Any, num_steps: int) -> DetectorConfig:
    series = config.series.model_copy(update={"representation": kind})
    training = config.training.model_copy(update={"num_steps": int(np.clip(num_steps, 1, None))})
    return config.model_copy(update={"series": series, "training": training})
