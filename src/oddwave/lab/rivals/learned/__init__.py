"""Rivals that train a network on normal tensors, each written once for images, series and sound.

Read `method.py` for what a method is, `items.py` for how images, windows and clips become its tensors, `vae.py` for
the simplest method. `denoiser_method.py` is the ground of those that are diffusion models themselves.
"""

__all__: list[str] = []
