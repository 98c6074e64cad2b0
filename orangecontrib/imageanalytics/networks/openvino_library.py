"""Import OpenVINO, in the same way everywhere in this package."""

import functools
import importlib.util
import logging
import sys

log = logging.getLogger(__name__)


def library():
    """OpenVINO, imported without the part that reports each use to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


@functools.cache
def has_openvino() -> bool:
    """Whether OpenVINO can be used on this computer; imports it."""
    if importlib.util.find_spec("openvino") is None:
        return False
    try:
        library().Core()
    except Exception as error:  # of whatever kind: a library of the system is missing
        log.info("OpenVINO does not start, so torch is used: %s", error)
        return False
    return True
