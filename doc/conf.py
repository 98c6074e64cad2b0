"""Sphinx's settings."""

project = "Orange3-ImageAnalytics"
author = "the authors of Orange3-ImageAnalytics"
extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"page_width": "60rem", "fixed_sidebar": True}
