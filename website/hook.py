"""The site's hook: adds generated pages and their navigation, and mends links that leave docs/."""

import posixpath
import re
from pathlib import Path
from typing import Any

import api_pages
import command_page
import registry_pages
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PULLED = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def generated() -> dict[str, str]:
    """Markdown of each page that isn't in docs/, by its path below docs/."""
    reference = {**command_page.pages(), **registry_pages.pages(), **api_pages.pages()}
    return {**reference, **{page: mended((ROOT / name).read_text(), "") for name, page in PULLED.items()}}


def mended(markdown: str, folder: str) -> str:
    """`markdown` of a page in `folder` of the repository ("" or "docs/..."), with links that hold on the site.

    A link to another page keeps its anchor; one to a file that isn't on the site becomes the file's name.
    """
    here = posixpath.relpath(folder or ".", "docs") if folder else "."

    def link(match: re.Match[str]) -> str:
        path, _, anchor = match["target"].partition("#")
        if not path or "://" in match["target"] or path.startswith("mailto:"):
            return match[0]
        target = posixpath.normpath(posixpath.join(folder, path))
        if not (ROOT / target).exists():
            return match[0]  # the strict build tells of it
        if target in PULLED:
            on_site = PULLED[target]
        elif target == "docs/decisions":
            on_site = "decisions/index.md"
        elif target.startswith("docs/"):
            on_site = target.removeprefix("docs/")
        else:
            said, name = match["text"], f"`{target}`"
            return name if said.strip("`") == target else f"{said} ({name})"
        relative = posixpath.relpath(on_site, here)
        return f"{match['picture']}[{match['text']}]({relative}{'#' if anchor else ''}{anchor})"

    return LINK.sub(link, markdown)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the generated pages."""
    decisions = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    first = {name: (ROOT / "docs/decisions" / name).read_text().partition("\n")[0] for name in decisions}
    index = "\n".join(
        ["# Decisions", "", *(f"- {name[:4]}: [{title.lstrip('# ')}]({name})" for name, title in first.items())]
    )
    for path, text in {**generated(), "decisions/index.md": index}.items():
        files.append(File.generated(config, path, content=text))
    reference = {**command_page.pages(), **registry_pages.pages(), **api_pages.pages()}
    config["nav"] += [
        {"Reference": list(reference)},
        {"Decisions": ["decisions/index.md", *(f"decisions/{name}" for name in decisions)]},
        {"Project": list(PULLED.values())},
    ]
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Mend the links of pages that lie in docs/."""
    if page.file.generated_by:
        return markdown
    return mended(markdown, posixpath.dirname(f"docs/{page.file.src_uri}"))
