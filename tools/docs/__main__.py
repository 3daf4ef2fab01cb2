"""Writes the pages of docs/reference/ that come from the code, and the site's logo."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from core.settings import ROOT

FOLDER = ROOT / "docs" / "reference"
BY_HAND = {"glossary"}  # pages of the folder
LOGO = ROOT / "docs" / "assets" / "logo.svg"
PAGES = {  # page → module of this package whose function, called like it and _page, makes it
    "settings": "settings",
    "parameters": "parameters",
    "commands": "commands",
    "buttons-and-menus": "buttons",
    "rights": "rights",
    "cli": "cli",
    "http-api": "http_api",
    "shortcuts": "shortcuts",
    "metrics-and-alerts": "metrics",
    "profiles": "profiles",
    "model-card": "model_card",
    "editor-document": "editor_document",
    "code-map": "code_map",
    "image-models": "image_models",
    "video-models": "video_models",
}
SLOW = ("image-models", "video-models")  # for which models are built: seconds


def make_page(name: str) -> str:
    """Return the text of a page. Raises ValueError for what nothing is said of."""
    text: str = getattr(import_module(f"tools.docs.{PAGES[name]}"), f"{PAGES[name]}_page")()
    return text


def page_file(name: str) -> Path:
    """Return the file of a page."""
    return FOLDER / f"{name}.md"


def logo() -> str:
    """Return the picture of the site, which is the studio's."""
    return (ROOT / "web" / "static" / "favicon.svg").read_text(encoding="utf-8")


def main() -> None:
    """Write all."""
    for name in PAGES:
        page_file(name).write_text(make_page(name), encoding="utf-8")
    LOGO.write_text(logo(), encoding="utf-8")


if __name__ == "__main__":
    main()
