"""The starting points of each modality: what differs from the defaults of `sections.py`.

`fast` is for a first look, `balanced` for two processor cores, `accurate` for patience or a GPU. For series they differ
in how many windows of how many lengths are remembered, and how many judge a point; for images and audio in the denoiser
as well. `paper` is the method of arXiv 2505.05137 as it is written: the item itself (of series its scalogram) is noised
to the noise level and denoised step by step, by a network with all four additions that predicts the noise and has
learnt by both losses; the score is lambda E_recon + (1 - lambda) E_feat over the whole item, and nothing is remembered.
Where the paper gives no number (lambda, noise level) there is the middle. It is offered to be compared with, and is
slow.
"""

from typing import Any, Literal

__all__ = ["PRESETS", "Modality"]

Modality = Literal["series", "image", "audio"]

_PAPER: dict[str, dict[str, Any]] = {
    "training": {"prediction_type": "epsilon", "num_steps": 1000, "feature_loss_weight": 1.0},
    "scoring": {
        "noise_levels": (0.5,),
        "estimate": "reverse",
        "num_noise_draws": 1,
        "reconstruction_weight": 0.5,
        "memory_weight": 0.0,
        "memory_spaces": (),
    },
    "reconstruction": {"sampler": "ddpm", "noise_level": 0.5, "num_inference_steps": 1000},
}
_PAPER_MAPS = {"space": "pixel", "patch_memory": False, "statistics": False, "top_share": 1.0}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "series": {
        "fast": {"scoring": {"memory_size": 2048}, "series": {"num_window_sizes": 2, "windows_per_point": 4}},
        "balanced": {},
        "accurate": {"scoring": {"memory_size": 16384}, "series": {"num_window_sizes": 4}},
        "paper": {
            **_PAPER,
            "training": {**_PAPER["training"], "feature_loss_weight": 0.0},
            "series": {"method": "denoiser", "representation": "scalogram"},
        },
    },
    "image": {
        "fast": {
            "network": {"base_channels": 16, "channel_mult": (1, 2)},
            "training": {"num_steps": 200, "batch_size": 16},
            "scoring": {"noise_levels": (0.3,), "num_noise_draws": 0, "memory_size": 2000},
            "maps": {"memory_grid": 32, "denoiser_grid": 16},
            "image": {"max_images": 300},
        },
        "balanced": {
            "network": {"base_channels": 64, "channel_mult": (1, 2)},
            "training": {
                "num_steps": 800,
                "batch_size": 16,
                "learning_rate": 1e-3,
                "warmup_steps": 50,
                "ema_decay": 0.995,
            },
            "scoring": {"noise_levels": (0.3, 0.5), "num_noise_draws": 0, "memory_size": 6000},
        },
        "accurate": {
            "network": {"base_channels": 64, "channel_mult": (1, 2, 2)},
            "training": {
                "num_steps": 3000,
                "batch_size": 16,
                "learning_rate": 1e-3,
                "warmup_steps": 50,
                "ema_decay": 0.998,
            },
            "scoring": {"noise_levels": (0.3, 0.5), "num_noise_draws": 0, "memory_size": 12000},
            "maps": {"space": "both", "pixel_size_px": 128},
            "image": {"max_images": 2000},
        },
        "paper": {**_PAPER, "maps": _PAPER_MAPS, "image": {"method": "denoiser"}},
    },
    "audio": {
        "fast": {
            "network": {"base_channels": 16, "channel_mult": (1, 2)},
            "training": {"num_steps": 150, "batch_size": 16},
            "scoring": {"noise_levels": (0.3,), "num_noise_draws": 0, "memory_size": 1000},
            "maps": {"aligned": "rows"},
            "audio": {"num_background": 200, "max_clips": 400},
        },
        "balanced": {
            "network": {"base_channels": 32, "channel_mult": (1, 2)},
            "training": {"num_steps": 300, "batch_size": 16, "learning_rate": 1e-3, "warmup_steps": 50},
            "scoring": {"noise_levels": (0.3, 0.5), "num_noise_draws": 0, "memory_size": 2000},
            "maps": {"aligned": "rows"},
        },
        "accurate": {
            "network": {"base_channels": 64, "channel_mult": (1, 2, 2)},
            "training": {
                "num_steps": 2000,
                "batch_size": 16,
                "learning_rate": 1e-3,
                "warmup_steps": 50,
                "ema_decay": 0.998,
            },
            "scoring": {"noise_levels": (0.3, 0.5), "num_noise_draws": 0, "memory_size": 12000},
            "maps": {"aligned": "rows", "space": "both", "pixel_size_px": 128},
            "audio": {"overlap": 0.5, "num_background": 2000, "max_clips": 2000},
        },
        "paper": {
            **_PAPER,
            "maps": {**_PAPER_MAPS, "aligned": "rows"},
            "audio": {"num_background": 0, "clip_spaces": (), "clip_weight": 0.0},
        },
    },
}
