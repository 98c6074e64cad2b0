"""How formats are read: a module has ``open(file, format)``, which gives a `LazyImage`.

Which module reads what stands in `images.formats`. The libraries are imported when the
first image needs them.
"""
