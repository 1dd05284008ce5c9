"""``python -m tools.docs``: write the reference pages anew."""

from __future__ import annotations

from tools.docs.pages import PAGES, ROOT


def main() -> None:
    """Write every page that is not what the code says."""
    for path, made in PAGES.items():
        file, text = ROOT / path, made()
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


if __name__ == "__main__":
    main()
