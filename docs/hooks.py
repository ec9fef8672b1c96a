"""Hooks of MkDocs: files of the repository outside docs/ are part of the site.

The documents link to configurations, examples and the changelog as files of the repository, so that
the links work there too. On the site these files lie below `repository/`.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
#: Files outside docs/ that are part of the site, as patterns below the root.
OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "benchmarks/*.md",
    "configs/**/*.yaml",
    "examples/**/*.py",
    "examples/*.sh",
)
PLACE = "repository"
#: MkDocs takes a README for the first page of its section.
RENAMED = {f"{PLACE}/benchmarks/README.md": f"{PLACE}/benchmarks.md"}
LINK = re.compile(r"(\]\()([^)#\s:]+)(#[^)\s]*)?(\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside docs/."""
    for pattern in OUTSIDE:
        for file in sorted(ROOT.glob(pattern)):
            path = place_of(file.relative_to(ROOT).as_posix())
            files.append(File.generated(config, path, abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point the links of a page to the places that files have on the site."""
    here = page.file.src_uri
    origin = origin_of(here)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link[2]))
        path = place_of(target)
        if path not in files.src_uris and path.startswith(PLACE):
            # A folder, such as configs/studies: its first file stands for it.
            inside = sorted(uri for uri in files.src_uris if uri.startswith(f"{path}/"))
            path = inside[0] if inside else path
        place = posixpath.relpath(path, posixpath.dirname(here) or ".")
        return f"{link[1]}{place}{link[3] or ''}{link[4]}"

    return LINK.sub(moved, markdown)


def origin_of(uri: str) -> str:
    """Return where a file of the site lies in the repository."""
    uri = {new: old for old, new in RENAMED.items()}.get(uri, uri)
    return uri.removeprefix(f"{PLACE}/") if uri.startswith(f"{PLACE}/") else f"docs/{uri}"


def place_of(path: str) -> str:
    """Return where a file of the repository lies on the site."""
    place = path.removeprefix("docs/") if path.startswith("docs/") else f"{PLACE}/{path}"
    return RENAMED.get(place, place)
