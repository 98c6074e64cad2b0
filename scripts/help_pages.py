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
# As doc/ names the folders of images and icons, and as the help does.
FOLDERS = {
    "../orangecontrib/imageanalytics/help/": "",
    "../orangecontrib/imageanalytics/widgets/": "../widgets/",
}

# What is for the site alone: classes, and lines that offer a file to download.
CLASSES = re.compile(r"(?<=\))\{\.[^}\n]*\}|^\{\.[^}\n]*\}\n", re.MULTILINE)
DOWNLOADS = re.compile(r"^\[[^]\n]*\]\([^)\n]*\)\{\.download\}\n", re.MULTILINE)

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
    made["index.html"] = _with_other_names(made["index.html"], made["languages.html"])
    return made


def _with_other_names(index: str, languages: str) -> str:
    """The index with the names of widgets in other languages, by which Orange looks."""
    address = dict(re.findall(r'<a href="([\w-]+\.html)">([^<]+)</a>:', index))
    address = {name: file for file, name in address.items()}
    items = ""
    for row in re.findall(r"<tr>\n(.*?)</tr>", languages, re.DOTALL)[1:]:
        name, *others = re.findall(r"<td>(.*?)</td>", row)
        for other in others:
            items += f'<li><a href="{address[name]}">{other}</a></li>\n'
    summary = "<summary>In other languages</summary>"
    names = f"<details>\n{summary}\n<ul>\n{items}</ul>\n</details>\n"
    end = index.index("</section>", index.index('id="widgets"'))
    return index[:end] + names + index[end:]


def page(text: str) -> str:
    """One page, from its Markdown."""
    markdown = MarkdownIt("commonmark", {"xhtmlOut": True}).enable("table")
    text = CLASSES.sub("", DOWNLOADS.sub("", text))
    # Directives are for Sphinx alone.
    tokens = [t for t in markdown.parse(text) if not t.info.startswith("{")]
    body = markdown.renderer.render(tokens, markdown.options, {})
    for there, here in FOLDERS.items():
        body = body.replace(f'src="{there}', f'src="{here}')
    body = re.sub(r'href="([\w-]+)\.md(#[^"]*)?"', r'href="\1.html\2"', body)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
    return PAGE.format(title=html.escape(title), body=_sections(body))


def _sections(body: str) -> str:
    """Put what follows each heading of the second level into an element of its own.

    These elements, and headings of the third level, can be linked to.
    """
    body = re.sub(r"<h3>(.*?)</h3>", _with_anchor, body)
    first, *others = re.split(r"(?=<h2>)", body)
    for section in others:
        heading = re.match(r"<h2>(.*?)</h2>", section)[1]
        first += f'<section id="{_anchor(heading)}">\n{section}</section>\n'
    return first


def _with_anchor(heading: re.Match) -> str:
    return f'<h3 id="{_anchor(heading[1])}">{heading[1]}</h3>'


def _anchor(heading: str) -> str:
    """What links to a heading name it by, as in Sphinx."""
    text = re.sub(r"<[^>]+>", "", heading)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


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
