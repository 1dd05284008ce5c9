"""The pages hang together: links lead somewhere, the site builds by itself, and nothing of it comes from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from markdown.extensions.toc import slugify

from docs.pages import ROOT, pages
from tools.docs import hooks

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PAGES = pages()


def anchors(file: Path) -> set[str]:
    """The anchors of a page's headings."""
    text = re.sub(r"^ *```.*?^ *```$", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links(page: Path) -> None:
    """Every link of a page within the repository leads to a file that is there, and to a heading that it has."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
        if not re.match(r"https?:|mailto:", target):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            if anchor:
                assert anchor in anchors(file), target


class Fetched(HTMLParser):
    """What a browser fetches with a page, without a click."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.addresses.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.addresses.append(given.get("href") or "")


@pytest.mark.slow
def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    """A strict build goes well without a network, and no page has the browser fetch anything from elsewhere."""
    environ = {
        **os.environ,
        "NO_MKDOCS_2_WARNING": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert len(built) > 20
    for page in built:
        parser = Fetched()
        parser.feed(page.read_text())
        assert [address for address in parser.addresses if re.match(r"(https?:)?//", address)] == [], page.name
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text()), style.name


def test_every_decision_is_listed() -> None:
    """The index of design decisions has a row for each page, and each page begins with its context."""
    folder = ROOT / "docs" / "design"
    decisions = sorted(file for file in folder.glob("*.md") if file.name != "README.md")
    listed = re.findall(r"^\| \[\d{4}\]\(([^)]+)\) \|", (folder / "README.md").read_text(), re.MULTILINE)
    assert listed == [file.name for file in decisions]
    for file in decisions:
        assert re.match(r"\d{4}-[a-z0-9-]+\.md$", file.name)
        assert re.findall(r"^## (.+)$", file.read_text(), re.MULTILINE)[:1] == ["Context"], file.name


def test_links_out_of_the_site(caplog: pytest.LogCaptureFixture) -> None:
    """On the site a link to another file of the repository is its path; one to a file that is not there is told."""
    page: Any = SimpleNamespace(file=SimpleNamespace(src_uri="stores/vault.md"))
    config: Any = SimpleNamespace(docs_dir=str(ROOT / "docs"))
    files: Any = None

    def built(text: str) -> str:
        return hooks.on_page_markdown(text, page, config, files)

    assert built("[all](../../deploy/helm/secretsync)") == "all (`deploy/helm/secretsync`)"
    assert built("[CHANGELOG.md](../../CHANGELOG.md#x)") == "CHANGELOG.md"
    for kept in ("[a](../documents.md#x)", "[a](#b)", "[a](https://example.com/)", "![a](../images/run.png)"):
        assert built(kept) == kept
    assert caplog.records == []
    built("[gone](../../nothing-here)")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
