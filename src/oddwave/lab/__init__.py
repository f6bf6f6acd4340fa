"""The laboratory: whatever compares detectors. The product never imports it.

`rivals/` are the methods a user would pick instead, `datasets/` the loaders of official layouts, `metrics/` what is
measured, `bench/` the benchmark that puts them together, `studies/` single questions, each a script of its own.
"""

__all__: list[str] = []
