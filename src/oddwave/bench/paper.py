"""The figures of the paper that a run can be set beside: image AUC per category of MVTec AD.

Source: Chen 2025, Research on Anomaly Detection Methods Based on Diffusion Models (arXiv 2505.05137), Table I. The
paper gives no error bars.
"""

__all__ = ["PAPER_PICTURE_AUC", "PAPER_PICTURE_METHODS"]

PAPER_PICTURE_METHODS = ("VAE", "AnoGAN", "PatchSVDD", "DDPM", "the paper's")

PAPER_PICTURE_AUC: dict[str, tuple[float, ...]] = {
    "bottle": (0.891, 0.878, 0.903, 0.915, 0.946),
    "cable": (0.885, 0.869, 0.898, 0.912, 0.942),
    "hazelnut": (0.879, 0.865, 0.895, 0.908, 0.938),
    "metal_nut": (0.882, 0.867, 0.897, 0.910, 0.940),
    "pill": (0.893, 0.880, 0.905, 0.917, 0.948),
    "tile": (0.887, 0.872, 0.899, 0.913, 0.944),
}
