"""Sphinx settings; `make docs` builds the pages."""

project = "oddwave"
author = "The oddwave developers"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "oddwave"
