"""The sections of the settings: every single one with its range and its reason, as frozen models.

They refuse unknown names. Read `config.py` next, which puts them together.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "LONGEST_CLIP",
    "AudioConfig",
    "CalibrationConfig",
    "Device",
    "DiffusionConfig",
    "Fraction",
    "Frozen",
    "GridSide",
    "ImageConfig",
    "MapsConfig",
    "MemorySpace",
    "NetworkConfig",
    "ReconstructionConfig",
    "ScoringConfig",
    "Seed",
    "SeriesConfig",
    "TrainingConfig",
    "Weight",
]

_MOST = 1_000_000_000  # steps and counts that only cost time: more of them is a slip of the keyboard
_MOST_LEVELS = 64
_LARGEST_WINDOW = 1_000_000
LONGEST_CLIP = 2**22  # samples: 4 minutes at 16 kHz

Fraction = Annotated[float, Field(gt=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0, le=1.0)]
WindowSize = Annotated[int, Field(ge=4, le=_LARGEST_WINDOW)]
GridSide = Annotated[int, Field(ge=2, le=512)]
WidthFactor = Annotated[int, Field(ge=1, le=64)]
Tap = Annotated[int, Field(ge=0, le=16)]
Seed = Annotated[int, Field(ge=0, lt=2**63, description="what the generators of torch take")]


def _known_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", device):
        raise ValueError("expected auto (a GPU where there is one), cpu, cuda or cuda:0")
    return device


Device = Annotated[str, AfterValidator(_known_device)]
Representation = Literal["window", "scalogram", "folded"]
MemorySpace = Literal["input", "feature", "complex", "mexican_hat", "log_magnitude", "statistics"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=4096)


class DiffusionConfig(Frozen):
    """The forward process: its schedule and its number of steps, T."""

    schedule: Literal["linear", "cosine"] = "linear"
    num_train_timesteps: int = Field(default=1000, ge=2, le=100_000)


class NetworkConfig(Frozen):
    """The U-Net's size and its four additions, each one switchable."""

    base_channels: int = Field(default=16, ge=4, le=1024)
    channel_mult: Annotated[tuple[WidthFactor, ...], Field(min_length=1, max_length=8)] = (1, 2, 4)
    num_res_blocks: int = Field(default=1, ge=1, le=16)
    num_heads: int = Field(default=4, ge=1, le=256)
    wavelet: Literal["haar", "db2", "db4"] = "db2"
    wavelet_pyramid: bool = True
    attention: bool = True
    shared_adapter: bool = True
    hybrid_embedding: bool = True
    max_tokens: int = Field(default=1024, ge=1, le=65_536)


class TrainingConfig(Frozen):
    """How a denoiser is trained.

    `patience` counts validations without a better loss before training stops and takes back the best weights; 0 trains
    to the end and keeps the last averaged ones. `min_t` and `max_t` bound the noise levels of training as fractions of
    T. `feature_loss_weight` is gamma, 1.0 meaning as much pull as the noise error itself; the feature loss acts below
    `feature_loss_max_t` (a fraction of T) only, for at high noise a one-step estimate has no features to compare.
    The state to resume from is saved every `checkpoint_every` steps and, besides, every `checkpoint_seconds`.
    `dtype="auto"` takes bfloat16 for 2-D grids where the processor computes in it, for networks of a million weights or
    more, else float32. `seed=None` stands for the detector's own seed.
    """

    num_steps: int = Field(default=150, ge=1, le=_MOST)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    learning_rate: float = Field(default=2e-3, gt=0, le=10)
    weight_decay: float = Field(default=1e-4, ge=0, le=10)
    warmup_steps: int = Field(default=20, ge=0, le=_MOST)
    gradient_clip: float = Field(default=1.0, gt=0, le=1e9)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    prediction_type: Literal["epsilon", "v_prediction", "sample"] = "v_prediction"
    seed: Seed | None = None
    validate_every: int = Field(default=100, ge=1, le=_MOST)
    num_validation_draws: int = Field(default=128, ge=1, le=1_000_000)
    patience: int = Field(default=0, ge=0, le=_MOST)
    dtype: Literal["float32", "bfloat16", "auto"] = "auto"
    checkpoint_every: int = Field(default=500, ge=1, le=_MOST)
    checkpoint_seconds: float = Field(default=5.0, ge=0, le=86400, allow_inf_nan=False)
    feature_loss_weight: float = Field(default=0.0, ge=0, le=1e6)
    feature_loss_max_t: float = Field(default=0.3, gt=0, le=1)
    min_t: float = Field(default=0.0, ge=0, lt=1)
    max_t: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _check_range(self) -> "TrainingConfig":
        if self.min_t >= self.max_t:
            raise ValueError(f"min_t={self.min_t} must lie below max_t={self.max_t}")
        return self


class ScoringConfig(Frozen):
    """Which errors count, and how they become one score; "auto" is chosen on synthetic anomalies made from normals."""

    noise_levels: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=_MOST_LEVELS)] = (0.1, 0.3, 0.5)
    estimate: Literal["one_step", "reverse"] = Field(
        default="one_step", description="reverse: by the whole reverse process, as `reconstruction` describes it"
    )
    num_noise_draws: int = Field(default=1, ge=0, le=1000, description="0 adds no noise at all; images and audio only")
    reconstruction_weight: Weight | Literal["auto"] = "auto"
    memory_weight: Weight | Literal["auto"] = "auto"
    memory_spaces: tuple[MemorySpace, ...] | Literal["auto"] = "auto"
    memory_size: int = Field(default=4096, ge=1, le=10_000_000)
    num_neighbors: int = Field(default=5, ge=1, le=10_000)
    local_scaling: bool = Field(default=True, description="weigh distances by how dense normal data are around them")
    aggregate: Literal["window", "point", "blend"] = Field(default="window", description="of streams")


class SeriesConfig(Frozen):
    """How a stream becomes windows, and what judges them.

    `method` is "retrieval" (remembered windows, and a prior that was trained once for all), or "denoiser", trained on
    the data themselves.
    """

    method: Literal["retrieval", "denoiser"] = "retrieval"
    window_sizes: Annotated[tuple[WindowSize, ...], Field(min_length=1, max_length=16)] | Literal["auto"] = "auto"
    num_window_sizes: int = Field(default=3, ge=1, le=6)
    windows_per_point: int = Field(default=8, ge=1, le=64, description="of each size that judge a point")
    tensor_length: int = Field(
        default=64, ge=16, le=65_536, description="points a window is resampled to before the network sees it"
    )
    representation: Representation | Literal["auto"] = "window"
    scaling: Literal["global", "window"] = "global"
    max_windows: int = Field(default=2500, ge=16, le=10_000_000, description="training windows kept per window size")
    max_memory_gb: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | Literal["auto"] = Field(
        default="auto",
        description="a fit that would take more is refused; auto: 2 where there are more than 20 channels",
    )

    def query_stride(self, window_size: int) -> int:
        """Return how many points after one window that is judged the next begins."""
        return max(1, window_size // self.windows_per_point)


class MapsConfig(Frozen):
    """What images and audio share: both become maps, scored place by place by what is known of normal ones.

    `space` is where x_0 lives: "feature" (the frozen network's grid), "pixel" (the map itself, at `pixel_size_px`) or
    "both". `memory_grid` is the side of the grid that the memory looks at, `denoiser_grid` that of the feature-space
    denoiser; "auto" tries several on the normals themselves. The denoiser's `error` is what the one-step estimate
    leaves over, or where the grid arrives when it is carried to the noise level by inversion. `statistics` keeps a
    Gaussian per place of the grid, which helps where images are aligned. `aligned` says what a place is for Gaussians:
    "places", each by itself, or "rows", where only the row means something (maps of audio). `top_share` is the share of
    the map whose mean is the score.
    """

    space: Literal["feature", "pixel", "both"] = "feature"
    error: Literal["one_step", "inversion"] = "one_step"
    perceptual: str = "efficientnet_lite0"
    perceptual_path: str | None = None
    taps: Annotated[tuple[Tap, ...], Field(min_length=1, max_length=8)] = (0, 1, 2)
    memory_grid: GridSide | Literal["auto"] = "auto"
    denoiser_grid: GridSide | Literal["auto"] = "auto"
    pixel_size_px: int = Field(default=64, ge=16, le=2048)
    patch_memory: bool = True
    statistics: bool = False
    aligned: Literal["places", "rows"] = "places"
    top_share: Fraction | Literal["auto"] = "auto"

    @property
    def grids(self) -> tuple[int, int]:
        """The sides of the memory's and the denoiser's grid, 32 and 16 where nothing was chosen (yet)."""
        memory = 32 if self.memory_grid == "auto" else self.memory_grid
        return memory, 16 if self.denoiser_grid == "auto" else self.denoiser_grid


class ImageConfig(Frozen):
    """How an image becomes what the networks see, and what judges it.

    `method` is "retrieval" (remembered patches, and a Gaussian per place: nothing is trained), or "denoiser", trained
    on the images themselves.
    `augment` adds mirrored copies of the training images, copies turned by right angles, or rotated by every 22.5
    degrees: only for parts that may lie in any direction.
    `foreground` is what a part that is found on a background is used for ("auto": marking regions off it; "on": nothing
    else counts).
    """

    method: Literal["retrieval", "denoiser"] = "retrieval"
    size_px: int = Field(default=256, ge=32, le=4096)
    fit: Literal["auto", "letterbox", "stretch"] = "auto"
    tile_px: int | None = Field(
        default=None, ge=32, le=100_000, description="side of the tiles of large images; none: no tiles"
    )
    tile_overlap: float = Field(default=0.25, ge=0.0, le=0.99)
    foreground: Literal["auto", "off", "on"] = "auto"
    augment: Annotated[tuple[Literal["mirror", "turn", "rotate"], ...], Field(max_length=3)] = ()
    max_images: int = Field(
        default=1000, ge=2, le=10_000_000, description="training images kept; more are thinned evenly"
    )


class AudioConfig(Frozen):
    """How a recording becomes clips, and a clip a map; the map is then scored as images are (`maps` section).

    Recordings are brought to `sample_rate` ("auto": the lowest of those that are learnt from, bands ending at 20 kHz)
    and cut into clips of `clip_s` seconds that overlap by `overlap`, a share of it. A map has `num_rows` frequency rows
    from `f_min_hz` to `f_max_hz` (default 0.47 `sample_rate`) and `columns` time columns. `clip_weight` is the share
    that the clip as a whole has in its score (`clip_spaces`, judged against `num_background` synthesised sounds), the
    rest being its anomaly map's. `channels` mixes all channels into one, or takes each for itself.
    """

    sample_rate: Annotated[int, Field(ge=1000, le=1_000_000)] | Literal["auto"] = "auto"
    clip_s: float = Field(default=4.0, gt=0, le=600)
    overlap: float = Field(default=0.25, ge=0.0, le=0.99)
    channels: Literal["mix", "each"] = "mix"
    transform: Literal["cwt", "stft-mel"] = "cwt"
    spacing: Literal["log", "mel", "linear"] = "log"
    f_min_hz: float = Field(default=40.0, gt=0, le=500_000)
    f_max_hz: float | None = Field(default=None, gt=0, le=500_000)
    num_rows: int = Field(default=128, ge=32, le=1024, multiple_of=32)
    columns: int = Field(default=256, ge=128, le=4096, multiple_of=128)
    clip_spaces: tuple[Literal["features", "texture", "levels"], ...] = ("features", "texture", "levels")
    clip_weight: Weight | Literal["auto"] = "auto"
    num_background: int = Field(default=400, ge=0, le=1_000_000, description="0: distances from normals alone")
    max_clips: int = Field(default=1000, ge=2, le=10_000_000, description="of more, those that cover all best are kept")

    @model_validator(mode="after")
    def _check_length(self) -> "AudioConfig":
        if self.clip_s * self.rate_hz > LONGEST_CLIP:
            raise ValueError(f"a clip has {self.clip_s * self.rate_hz:.0f} samples, at most {LONGEST_CLIP} work")
        return self

    @property
    def rate_hz(self) -> int:
        """The sample rate; of "auto" 16000, until a fit has seen recordings and put theirs in its place."""
        return 16_000 if self.sample_rate == "auto" else self.sample_rate


class ReconstructionConfig(Frozen):
    """How the normal version of an item is made: noise it partially, denoise it again."""

    sampler: Literal["ddim", "ddpm", "dpmsolver++"] = "ddim"
    noise_level: Fraction = 0.4
    num_inference_steps: int = Field(default=8, ge=1, le=1000)
    guidance_weight: float = Field(default=0.0, ge=0.0, le=1e6)


class CalibrationConfig(Frozen):
    """What is held back to learn how high normal scores go."""

    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    calibration_share: Annotated[float, Field(gt=0.0, lt=0.9)] = 0.2
    trim: bool = Field(
        default=False,
        description="leave out what the healthy data themselves call certain anomalies: of the calibration, of series "
        "(by retrieval) of the memory too",
    )
    adaptive: Literal["off", "rolling"] = Field(
        default="off", description="rolling: streams are judged by their latest normal blocks, which follows slow drift"
    )
