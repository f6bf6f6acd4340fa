"""The starting points `fast`, `balanced` and `accurate` per modality: what differs from the defaults of `config.py`.

`fast` is for a first look, `balanced` for two processor cores, `accurate` for patience or a GPU.
"""

from typing import Any, Literal

__all__ = ["PRESETS", "Modality"]

Modality = Literal["series", "image", "audio"]

PRESETS: dict[Modality, dict[str, dict[str, Any]]] = {
    "series": {
        "fast": {
            "network": {"base_channels": 8},
            "training": {"num_steps": 60, "batch_size": 32, "warmup_steps": 10},
            "scoring": {"noise_levels": (0.15, 0.5), "num_noise_draws": 1, "memory_size": 2048},
            "series": {"max_windows": 1200},
        },
        "balanced": {},
        "accurate": {
            "network": {"base_channels": 32},
            "training": {"num_steps": 2000},
            "scoring": {"num_noise_draws": 4, "memory_size": 8192},
            "series": {"max_windows": 6000, "representation": "auto"},
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
    },
}
