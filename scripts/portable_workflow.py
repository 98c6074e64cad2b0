"""Remove from saved workflows what holds for one computer only.

Of the recent files and folders, those remain that lie beside the workflow, by their
relative paths alone; places of windows go.

    python scripts/portable_workflow.py orangecontrib/imageanalytics/tutorials/*.ows
"""

import re
import sys
from xml.sax.saxutils import escape, unescape

from orangecanvas.scheme.readwrite import dumps, loads

PROPERTIES = re.compile(
    r'(<properties node_id="\d+" format=)"(\w+)">(.*?)(</properties>)', re.DOTALL
)


def portable(workflow: str) -> str:
    """The text of a workflow's file, without the paths of this computer."""
    return PROPERTIES.sub(_portable_properties, workflow)


def _portable_properties(match) -> str:
    start, data_format, text, end = match.groups()
    properties = loads(unescape(text), data_format)
    properties.pop("savedWidgetGeometry", None)
    if "recent_paths" in properties:
        recent_paths = properties["recent_paths"]
        beside = [p for p in recent_paths if p.prefix == "basedir"]
        if "n_folders" in properties:
            # Of those that are read, there may be some that lie elsewhere.
            read = recent_paths[: properties["n_folders"]]
            properties["n_folders"] = sum(p.prefix == "basedir" for p in read)
        for recent in beside:
            recent.abspath = ""
        properties["recent_paths"] = beside
    if "examples" in properties:
        properties["examples"] = [
            ("", prefix, relpath)
            for _, prefix, relpath in properties["examples"]
            if prefix == "basedir"
        ]
    text, _ = dumps(properties, data_format)
    return f'{start}"{data_format}">{escape(text)}{end}'


def main(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            workflow = file.read()
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(portable(workflow))


if __name__ == "__main__":
    main(sys.argv[1:])
