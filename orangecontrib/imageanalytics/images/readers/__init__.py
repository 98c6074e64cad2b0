"""Readers of formats: modules with ``open(file, format)``, which returns a `LazyImage`.

Which module reads what stands in `images.formats`. The libraries are imported when the
first image needs them.
"""
