"""Sphinx's settings."""

import os
import zipfile

project = "Orange3-ImageAnalytics"
author = "the authors of Orange3-ImageAnalytics"
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_build"]

# Lines such as {.cards} give lists and images a class; see static/site.css.
myst_enable_extensions = ["attrs_block", "attrs_inline"]
myst_heading_anchors = 3
# Of an example, what stands after the prompt is copied.
copybutton_exclude = ".linenos, .gp"

html_theme = "furo"
html_title = "Image Analytics"
html_logo = "static/logo.svg"
html_favicon = "static/logo.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#a34c00",
        "color-brand-content": "#a34c00",
        "color-brand-visited": "#7a3a06",
    },
    "dark_css_variables": {
        "color-brand-primary": "#ffb15c",
        "color-brand-content": "#ffb15c",
        "color-brand-visited": "#e0a062",
    },
}

HERE = os.path.dirname(os.path.abspath(__file__))
TUTORIALS = os.path.join(HERE, "..", "orangecontrib", "imageanalytics", "tutorials")
ARCHIVE = os.path.join(HERE, "_build", "example-workflows.zip")


def zip_tutorials():
    """Pack the example workflows with their photos, for those without the add-on."""
    os.makedirs(os.path.dirname(ARCHIVE), exist_ok=True)
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, _, names in sorted(os.walk(TUTORIALS)):
            for name in sorted(names):
                if not name.endswith((".py", ".pyc")):
                    path = os.path.join(folder, name)
                    inside = os.path.relpath(path, TUTORIALS)
                    archive.write(path, os.path.join("example-workflows", inside))


zip_tutorials()  # before pages that link to it are read
