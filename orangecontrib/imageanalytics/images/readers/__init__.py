"""Readers of formats: modules with ``open(file, format)``, which returns a `LazyImage`.

The table in `images.formats` says which module reads which format. The libraries are
imported when the first image needs them.
"""
