"""Hooks of MkDocs: pages made from files of the repository, and the tables of the configuration reference.

Markdown in `docs/` links to files of the repository by relative paths (`../CONTRIBUTING.md`), which work where the
repository is browsed. Here these links become links to the pages made from the same files, and plain text where a file
has no page. That each path exists is checked by `tests/test_docs.py`.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/RECIPES.md": "recipes.md",
    "pretrained/rooftop-unet/MODEL_CARD.md": "model_card.md",
}
PICTURES = {"pretrained/rooftop-unet/examples.jpg": "examples.jpg"}
MARK = "<!-- reference -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures outside `docs/`."""
    for source, page in PAGES.items():
        if source != "README.md":
            text = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=_without_links(text, Path(source).parent)))
    for source, name in PICTURES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point links to the repository at the pages made from it, and fill in the configuration reference."""
    for source, page in PAGES.items():
        markdown = re.sub(rf"\]\(\.\./{re.escape(source)}(?=[)#])", f"]({page}", markdown)
    markdown = re.sub(r"\[([^\]\n]*)\]\(\.\./[^)\s]*\)", r"\1", markdown)  # a file of the repository without a page
    return markdown.replace(MARK, _reference()) if MARK in markdown else markdown


def _without_links(text: str, folder: Path) -> str:
    """Links of a page from elsewhere, with targets as seen from `docs/`; those without a page become plain text."""

    def moved(match: re.Match[str]) -> str:
        words, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        if re.match(r"https?:|#", target + anchor):
            return match.group(0)
        path = (folder / target).as_posix()
        page = PAGES.get(path) or PICTURES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else "")
        return f"[{words}]({page}{anchor})" if page else words

    return re.sub(r"\[([^\]\n]*)\]\(([^)#\s]*)(#[^)\s]*)?\)", moved, text)


def _reference() -> str:
    """Tables of all keys, one for each script and one for the groups that scripts share."""
    from rooftop.config.schema import reference

    tables: dict[str, list[str]] = {}
    for row in reference():
        shared = row.key.split(".")[0] if row.key.startswith(("data.", "polygons.")) else ""
        title = f"The group `{shared}`" if shared else f"{row.script}.py"
        head = ["| key | meaning | values | default |", "|---|---|---|---|"]
        values = "; ".join(filter(None, (row.type, row.range))).removeprefix("group; ")
        cells = (f"`{row.key}`", row.meaning, values, f"`{row.default}`" if row.default else "")
        line = "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
        tables.setdefault(title, head).append(line)
    return "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in tables.items())
