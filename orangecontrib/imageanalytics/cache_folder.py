"""Folders for data that can be computed or fetched again, and for other data."""

import os
import sqlite3

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
    """Folder for data that cannot be computed or fetched again.

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


def cannot_be_cleared(path: str, error: sqlite3.Error) -> OSError:
    """Make the error that says why a database of the cache cannot be cleared.

    Parameters
    ----------
    path : str
        Path of the database.
    error : sqlite3.Error
        The error that was raised.
    """
    locked = "locked" in str(error)
    reason = "another program is using it; try again later" if locked else error
    return OSError(f"{path} cannot be cleared: {reason}")
