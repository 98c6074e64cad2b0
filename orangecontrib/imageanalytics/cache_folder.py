"""Where the package keeps what it can compute or fetch again, and what it cannot."""

import os

ENVIRONMENT_VARIABLE = "ORANGE_IMAGEANALYTICS_CACHE_DIR"


def user_cache():
    """Folder for cached vectors and downloaded images.

    It lies in Orange's own cache folder unless the environment variable
    ``ORANGE_IMAGEANALYTICS_CACHE_DIR`` names another. The folder may not exist.

    Returns
    -------
    str
        Absolute path.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return os.path.abspath(chosen)
    from Orange.misc.environ import cache_dir

    return os.path.join(cache_dir(), "imageanalytics")


def user_data():
    """Folder for what cannot be computed or fetched again.

    It lies in Orange's own data folder, which all versions of Orange share, unless
    the environment variable ``ORANGE_IMAGEANALYTICS_CACHE_DIR`` names another. The
    folder may not exist.

    Returns
    -------
    str
        Absolute path.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return os.path.abspath(chosen)
    from Orange.misc.environ import data_dir

    return os.path.join(data_dir(versioned=False), "imageanalytics")
