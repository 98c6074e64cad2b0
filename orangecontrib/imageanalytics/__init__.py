"""Image analytics for Orange: images become tables of numbers.

Scripts start from :mod:`orangecontrib.imageanalytics.import_images` and
:mod:`orangecontrib.imageanalytics.image_embedder`.
"""
