"""The methods for sound: oddwave itself (`own_methods.py`) and the baselines.

A method is a function of (task, seed) to a score for each test recording, higher = more anomalous. Baselines hear the
very clips that oddwave's presets cut (4 s at 16 kHz, overlapping by a quarter), and a recording has the score of its
most anomalous clip, as there. Seconds count everything from the files to the scores. Read `label_metrics.py` next.

Legend: m recordings, n samples of a clip.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.config import AudioConfig, preset
from oddwave.errors import DataError
from oddwave.lab.bench.clock import Clock
from oddwave.lab.bench.own_methods import run_own_method
from oddwave.lab.bench.protocol import AudioTask, Outcome
from oddwave.lab.bench.rivals import make_baseline
from oddwave.lab.rivals import CLIP_BASELINES
from oddwave.sources.audio.clips import cut_clips
from oddwave.sources.audio.reader import read_audio

__all__ = ["AUDIO_METHODS", "ClipsOfFiles"]


class ClipsOfFiles:
    """The clips of listed recordings, decoded while they are iterated; `counts` then has each recording's number."""

    def __init__(self, paths: Sequence[Path], settings: AudioConfig) -> None:
        """Read the files' headers. Raises: DataError for a file that cannot be read."""
        self.items = read_audio(list(paths), on_error="stop").items
        self.settings = settings
        self.counts: list[int] = []

    def __iter__(self) -> Iterator[Float[np.ndarray, " n"]]:
        rate, clip_samples = self.settings.rate_hz, round(self.settings.clip_s * self.settings.rate_hz)
        hop = max(1, round(clip_samples * (1 - self.settings.overlap)))
        self.counts = []
        for item in self.items:
            self.counts.append(0)
            try:
                for clip in cut_clips(item, sample_rate=rate, clip_samples=clip_samples, hop_samples=hop):
                    self.counts[-1] += 1
                    yield clip.samples
            except DataError as error:
                raise DataError(item.failure(error).message) from error

    def worst(self, scores: Float[np.ndarray, " _"]) -> Float[np.ndarray, " m"]:
        """Return the highest of each recording's scores, from scores of all clips in order."""
        return np.array([own.max() for own in np.split(scores, np.cumsum(self.counts)[:-1])])


def _baseline(name: str, task: AudioTask, seed: int) -> Outcome:
    heard = preset("balanced", modality="audio").audio
    clock, baseline = Clock(), make_baseline(CLIP_BASELINES[name], task, seed, sample_rate=heard.rate_hz)
    baseline.fit(ClipsOfFiles(task.split.train_paths, heard))
    clock.lap()
    clips = ClipsOfFiles(task.split.test_paths, heard)
    scores = clips.worst(baseline.decision_function(clips))
    settings = baseline.settings | {"clip_s": heard.clip_s, "overlap": heard.overlap}
    return clock.outcome(scores, settings=settings, num_parameters=baseline.num_parameters)


AUDIO_METHODS: dict[str, Callable[[str, AudioTask, int], Outcome]] = {
    "oddwave": run_own_method,
    "oddwave_fast": run_own_method,
    "oddwave_accurate": run_own_method,
    "oddwave_audio_pixel": run_own_method,
    "plain_ddpm_audio": run_own_method,
    **dict.fromkeys(CLIP_BASELINES, _baseline),
}
