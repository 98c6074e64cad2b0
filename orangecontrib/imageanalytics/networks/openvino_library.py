"""Import OpenVINO, in the same way everywhere in this package."""

import sys


def library():
    """OpenVINO, imported without the part that reports each use to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino
