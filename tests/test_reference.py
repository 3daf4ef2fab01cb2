"""The pages of docs/reference/ are those that the code makes, and nothing in them is without a sentence."""

from dataclasses import fields

import pytest

from studio.authority import TABLE, Action
from tools.docs import rights, settings
from tools.docs.__main__ import BY_HAND, FOLDER, LOGO, PAGES, SLOW, logo, make_page, page_file
from tools.docs.markdown import cell, fields_of, sentence

OLD = "run `python -m tools.docs`"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in PAGES]
)
def test_a_page_is_what_the_code_makes(name: str) -> None:
    assert page_file(name).read_text(encoding="utf-8") == make_page(name), OLD


def test_the_logo_is_the_studios() -> None:
    assert LOGO.read_text(encoding="utf-8") == logo(), OLD


def test_the_folder_holds_no_other_page() -> None:
    assert {page.stem for page in FOLDER.iterdir()} - BY_HAND == PAGES.keys()


def test_what_nothing_is_said_of_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--new has no sentence"):
        sentence(" … ", "--new")
    monkeypatch.delitem(rights.ACTIONS, Action.TRAIN)
    with pytest.raises(ValueError, match="train"):
        rights.rights_page()
    assert rights.ACTIONS.keys() | {Action.TRAIN} == TABLE.keys()


def test_every_setting_says_what_it_takes_or_takes_any_text() -> None:
    readers = {item.name: item.metadata["read"] for item in fields(settings.Settings)}
    assert settings.takes(readers["user_running"]) == "a whole number from 1 to 100"
    assert settings.takes(readers["quantize"]).startswith("one of: auto, off")
    assert settings.takes(str) == ""


def test_a_cell_is_one_line_and_no_html_and_fields_are_found_in_a_docstring() -> None:
    assert cell("a |\n <1> `<2>`") == "a / &lt;1> `<2>`"
    text = "A card. side, width: of a picture, px; at most 9. name: as ``--model`` takes it."
    found = {"side": "of a picture, px; at most 9", "name": "as `--model` takes it"}
    assert fields_of(text, ("side", "width", "name")) == found | {"width": found["side"]}
