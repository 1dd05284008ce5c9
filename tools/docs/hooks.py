"""What MkDocs calls while it builds the site (``hooks`` in mkdocs.yml)."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_log = logging.getLogger("mkdocs.hooks.outside")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository that are no pages of the site into their paths.

    In the repository they are links that work. The site is built without an address of the repository, so there they
    become text. One to a file that does not exist is a warning, which ``--strict`` makes an error.
    """
    docs = Path(config.docs_dir)
    here = (docs / page.file.src_uri).parent

    def outside(link: re.Match[str]) -> str:
        label, target = link[1], link[2]
        path = (here / target).resolve()
        if path.is_relative_to(docs):
            return link[0]
        if not path.exists():
            _log.warning("%s links to %s, which does not exist", page.file.src_uri, target)
        known = str(path.relative_to(docs.parent)) if path.is_relative_to(docs.parent) else target
        return label if label.strip("`") == known else f"{label} (`{known}`)"

    return _LINK.sub(outside, markdown)
