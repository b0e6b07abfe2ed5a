"""A site as a reader without the internet has it: files by name, and where its links lead."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Of elements, of styles, and of the index's rows, which a script makes links of.
_LINK = re.compile(r"""<[a-z]+\b[^>]*?\s(?:src|href)="([^"]*)"|url\(['"]?([^)'"]+)|'_table_row_link_path': '([^']+)'""")


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a site on disk."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def links_within(files: Mapping[str, bytes]) -> dict[tuple[str, str], str]:
    """The file that each link (page, link) leads to; those to elsewhere, or to a place of the same page, left out."""
    found: dict[tuple[str, str], str] = {}
    for page, content in files.items():
        if page.endswith(".html"):
            for link in map("".join, _LINK.findall(content.decode())):
                address = urlsplit(link)
                if not (address.scheme or address.netloc) and address.path:
                    target = posixpath.join(posixpath.dirname(page), unquote(address.path))
                    found[page, link] = posixpath.normpath(target)
    return found


def reached_from(index: str, files: Mapping[str, bytes]) -> set[str]:
    """The pages that a reader comes to who follows links from the index."""
    links, seen, ahead = links_within(files), set[str](), {index}
    while ahead:
        seen |= ahead
        ahead = {target for (page, _), target in links.items() if page in ahead and target.endswith(".html")} - seen
    return seen
