"""What settings, choices and terms are called on the page.

A name that is missing here is shown with its underscores as spaces, so a new one never breaks the page. Read `facts.py`
next: it looks names up here.
"""

__all__ = ["CHOICES", "ENTRIES", "FITS", "LABELS", "MEASURED", "SHARES", "TERMS", "VALUES"]

# What is known of a model, in reading order
LABELS = {
    "train_source": "Trained on",
    "num_train_items": "Training items",
    "num_train_points": "Training points",
    "num_train_images": "Training images",
    "num_train_recordings": "Training recordings",
    "train_duration_s": "Training audio",
    "num_train_clips": "Training clips",
    "num_calibration_images": "Images that set the threshold",
    "num_calibration_clips": "Clips that set the threshold",
    "preset": "Preset",
    "kind": "Kind of data",
    "channel_names": "Channels",
    "num_channels": "Channels",
    "sample_rate": "Sample rate (Hz)",
    "clip_s": "Clip length",
    "transform": "Map of a clip",
    "frequencies_hz": "Frequencies of the map (Hz)",
    "space": "Where the diffusion runs",
    "perceptual": "Frozen network",
    "taps": "Layers of the frozen network",
    "image_size": "Image size",
    "grid": "Feature-grid resolution",
    "fit_mode": "Other aspect ratios",
    "tiles": "Tiles of large images",
    "method": "Method",
    "window_sizes": "Window lengths",
    "num_remembered": "Windows remembered, by length",
    "representation": "Representation of a window",
    "noise_levels": "Noise levels",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "memory_spaces": "Memory of",
    "memory_size": "Entries in the memory",
    "clip_weight": "Weight of the whole clip",
    "aggregate": "Score of an image",
    "top_percent": "Share of the map that makes the score",
    "fit_s": "Training time",
    "seed": "Seed",
    "package_version": "oddwave version",
    "data_fingerprint": "Fingerprint of the data",
}

# What was chosen automatically
CHOICES = {
    "frame": "Fitting an image to a square",
    "windows": "Window lengths",
    "representation": "Representation of a window",
    "training": "Training",
    "noise_levels": "Noise levels of the denoiser",
    "noise_levels_feature": "Noise levels of the denoiser on features",
    "noise_levels_pixel": "Noise levels of the denoiser on pixels",
    "terms": "Terms of the score",
    "weights": "Weights of the terms",
    "top_share": "Share of the map that makes the score",
    "grids": "Feature-grid resolution",
    "foreground": "Part on a background",
}

# The evidence for a choice, and the parts of a value; an empty word is left out
ENTRIES = {
    "synthetic_auroc": "AUROC on planted anomalies",
    "auroc": "AUROC on planted anomalies",
    "best_auroc": "AUROC of the best weights",
    "term_auroc": "AUROC of each term alone",
    "kind_auroc": "AUROC by kind of planted anomaly",
    "standard_error": "Standard error of the AUROC",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "memory_grid": "memory",
    "denoiser_grid": "denoiser",
    "size_px": "",
    "fit": "",
    "aspect": "aspect ratio",
    "num_squares": "Training squares",
    "num_groups": "Images that are no near-copies of each other",
    "area": "Share of the image",
    "area_spread": "Spread of that share over images",
    "at_border": "Share of the border that it touches",
    "in_largest_piece": "Share of it in one piece",
    "separation": "Variance between part and background",
    "num_windows": "Training windows",
    "num_validation_windows": "Validation windows",
    "features_cpu_s": "Processor time for features",
    "memory_cpu_s": "Processor time for the memory",
    "cpu_s": "Total processor time",
    "decoder_loss": "Error of the decoder",
    "feature": "Denoiser on features",
    "pixel": "Denoiser on pixels",
    "num_steps": "steps",
    "val_loss": "loss on other normal data",
    "spectral_log10_p": "log10 of the p-value in the spectrum",
}

# Measured by an AUROC: terms of the score, kinds of planted anomalies
TERMS = {
    "recon": "denoiser's error",
    "memory": "distance to normal data",
    "position": "distance from normal at the place",
    "window": "evidence from whole windows",
    "point": "evidence from the point itself",
    "feature": "difference of features",
    "recon.feature": "denoiser's error on features",
    "recon.pixel": "denoiser's error on pixels",
    "feature.pixel": "difference of features",
    "memory.patch": "distance to normal patches",
    "memory.position": "distance from normal at the position",
}
KINDS = {"cut_paste": "cut and pasted patch", "perlin_blend": "blended-in texture", "scar": "thin scar"}

# Values, by the setting that has them; what users name themselves, such as channels, must stay as it is
FITS = {"stretch": "stretched", "letterbox": "letterboxed"}
VALUES = {
    "fit": FITS,
    "fit_mode": FITS,
    "space": {
        "feature": "on the features of the frozen network",
        "pixel": "on the pixels",
        "both": "on the features of the frozen network and on the pixels",
    },
    "transform": {"cwt": "continuous wavelet transform", "stft-mel": "mel spectrogram"},
    "representation": {
        "window": "raw readings",
        "scalogram": "a wavelet map",
        "folded": "folded by its period",
    },
    "method": {
        "retrieval": "comparison with remembered windows, and a pretrained network that judges the difference",
        "denoiser": "a denoiser trained on these data, and remembered windows",
        "retrieval of images": "comparison with remembered patches, and with what is normal at each place",
    },
    "memory_spaces": {
        "input": "windows",
        "feature": "their features",
        "complex": "their complex wavelet maps",
        "mexican_hat": "their Mexican-hat wavelet maps",
        "log_magnitude": "the magnitudes of their wavelet maps",
        "statistics": "their statistics",
    },
    "terms": TERMS,
}
MEASURED = {**TERMS, **KINDS, **VALUES["representation"]}

# Choices whose values, and the names of their evidence, are shares of a whole
SHARES = ("top_share",)
