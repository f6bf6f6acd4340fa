"""What settings, choices and terms are called on the page: names as they stand in files, in plain words.

A name that is missing here is shown with its underscores as spaces, so that a new one never breaks the page. Read
`facts.py` next: it looks names up here.
"""

__all__ = ["CHOICES", "ENTRIES", "FITS", "MEASURED", "SHARES", "VALUES"]

# What was chosen automatically
CHOICES = {
    "frame": "How an image becomes a square",
    "windows": "Window lengths",
    "representation": "What is made of a window",
    "training": "The training itself",
    "noise_levels": "Noise levels of the denoiser",
    "noise_levels_feature": "Noise levels of the denoiser on features",
    "noise_levels_pixel": "Noise levels of the denoiser on pixels",
    "terms": "Terms of the score",
    "weights": "Weights of the terms",
    "top_share": "Share of the map that makes the score",
    "grids": "Places a side that an image is looked at in",
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
    "num_squares": "Squares learnt from",
    "num_windows": "Windows learnt from",
    "num_validation_windows": "Windows to validate on",
    "features_cpu_s": "Processor time for features",
    "memory_cpu_s": "Processor time for the memory",
    "cpu_s": "Processor time in all",
    "decoder_loss": "Error of the decoder",
    "feature": "Denoiser on features",
    "pixel": "Denoiser on pixels",
    "num_steps": "steps",
    "val_loss": "loss on other normal data",
    "spectral_log10_p": "log10 of the p-value in the spectrum",
}

# What has an AUROC of its own: terms of the score, kinds of planted anomalies
TERMS = {
    "recon": "denoiser's error",
    "memory": "distance to normal data",
    "feature": "difference of features",
    "recon.feature": "denoiser's error on features",
    "recon.pixel": "denoiser's error on pixels",
    "feature.pixel": "difference of features",
    "memory.patch": "distance to normal patches",
    "memory.position": "distance from what is usual at the place",
}
KINDS = {"cut_paste": "cut and pasted patch", "perlin_blend": "blended-in texture", "scar": "thin scar"}

# Values, by the setting that has them; what users name themselves, such as channels, must stay as it is
FITS = {"stretch": "stretched", "letterbox": "kept in shape, with bars beside them"}
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
        "window": "the readings themselves",
        "scalogram": "a wavelet map",
        "folded": "its periods below one another",
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
