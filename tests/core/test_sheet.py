"""How a sheet of drafts is asked for, and what each of its drafts is."""

import pytest

from core.convert import imagine_fields_of, prompt_of, prompts_of
from core.errors import PromptError, UserError
from core.limits import SHEET
from core.prompt.parser import format_prompt
from core.requests import ImagineRequest, from_json, to_json


def sheet(text: str) -> ImagineRequest:
    [prompt] = prompts_of(text, {})
    return ImagineRequest(**{"seed": 5} | imagine_fields_of(prompt, code=9))


def test_words_and_random_styles_are_spread_over_the_drafts() -> None:
    request = sheet("a {red, blue} house, old --sheet --sref random")
    assert request.is_sheet and request.draft and request.num_images == SHEET
    fourth = request.of_seed(8)
    assert (fourth.prompt, fourth.style_codes) == ("a blue house, old", ((12, 1.0),))
    assert not fourth.is_sheet and fourth.draft and request.seed_of(3) == 8


def test_a_sheet_is_stored_and_typed_again_as_it_was_asked_for() -> None:
    request = sheet("a {red, blue} house, old --sheet --sref random")
    assert from_json("imagine", to_json(request)) == request
    typed = format_prompt(prompt_of(request))
    assert typed == "{a red house\\, old, a blue house\\, old} --sref random --sheet"
    assert prompts_of(typed, {}) == [prompt_of(request)]


@pytest.mark.parametrize("text", ("{a, b::2 c} --sheet", "a {--ar 3:2, --ar 2:3} --sheet", "{a --sheet, b}"))
def test_sets_on_a_sheet_hold_words_alone(text: str) -> None:
    with pytest.raises(PromptError, match="words alone"):
        prompts_of(text, {})


def test_what_makes_a_draft_slow_is_refused_on_a_sheet() -> None:
    with pytest.raises(UserError, match="`--hd` doesn't go with it"):
        sheet("a house --sheet --hd")
