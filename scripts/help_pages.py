"""Make the pages that Orange shows for F1 from the Markdown in doc/.

They are kept in the repository, inside the package: so they are at hand wherever it is
installed, and building it needs nothing more.

    python scripts/help_pages.py
"""

import html
import os
import re

from markdown_it import MarkdownIt

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOC = os.path.join(ROOT, "doc")
HELP = os.path.join(ROOT, "orangecontrib", "imageanalytics", "help")
IMAGES = "../orangecontrib/imageanalytics/help/"  # as doc/ names their folder

# Orange parses index.html as XML and looks in the element "widgets" for links.
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<title>{title}</title>
<link rel="stylesheet" href="style.css"/>
</head>
<body>
<nav><a href="index.html">Image Analytics</a></nav>
<main>
{body}</main>
</body>
</html>
"""


def pages() -> dict[str, str]:
    """
    The help, from the Markdown as it is now.

    Returns
    -------
    dict of str to str
        Names of files and their contents.
    """
    made = {}
    for name in sorted(os.listdir(DOC)):
        if name.endswith(".md"):
            with open(os.path.join(DOC, name), encoding="utf-8") as file:
                made[name.removesuffix(".md") + ".html"] = page(file.read())
    return made


def page(text: str) -> str:
    """One page, from its Markdown."""
    markdown = MarkdownIt("commonmark", {"xhtmlOut": True}).enable("table")
    # Directives are for Sphinx alone.
    tokens = [t for t in markdown.parse(text) if not t.info.startswith("{")]
    body = markdown.renderer.render(tokens, markdown.options, {})
    body = body.replace(f'src="{IMAGES}', 'src="')
    body = re.sub(r'href="([\w-]+)\.md(#[^"]*)?"', r'href="\1.html\2"', body)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
    return PAGE.format(title=html.escape(title), body=_sections(body))


def _sections(body: str) -> str:
    """Put what follows each heading of the second level into an element of its own."""
    first, *others = re.split(r"(?=<h2>)", body)
    for section in others:
        heading = re.match(r"<h2>(.*?)</h2>", section)[1]
        name = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
        first += f'<section id="{name}">\n{section}</section>\n'
    return first


def main():
    made = pages()
    for name in os.listdir(HELP):
        if name.endswith(".html") and name not in made:
            os.remove(os.path.join(HELP, name))
    for name, content in made.items():
        path = os.path.join(HELP, name)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)


if __name__ == "__main__":
    main()
