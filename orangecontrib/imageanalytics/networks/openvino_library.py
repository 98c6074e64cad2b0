"""OpenVINO, as it is imported everywhere in this package."""

import sys


def library():
    """OpenVINO, imported without what tells its makers of each use."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino
