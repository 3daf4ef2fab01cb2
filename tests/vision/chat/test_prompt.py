"""What a model is given of a conversation: turns, pictures, instructions, and what there is no room for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ImageError, UserError
from core.requests.chat import SHORT, SYSTEM
from core.settings import load_settings
from tests.support import tiny
from tests.vision.chat import shapes
from tests.vision.chat.mixes import PICTURES
from vision.chat.prompt import LONGEST_RATIO, MOST_PICTURES, Prompt, conversation, fitted, stored_picture
from vision.chat.talker import Talker
from vision.protocol import Talk, Turn

Loaded = Callable[[str], Talker]


def turns(*texts: str, pictures: int = 1) -> tuple[Turn, ...]:
    """Questions and answers in turn; the first question has pictures."""
    names = tuple(f"p{i}" for i in range(pictures))
    return tuple(
        Turn("assistant" if i % 2 else "user", text, () if i else names) for i, text in enumerate(texts)
    )


def made(talker: Talker, talk: Talk, most: int = 4096) -> tuple[Prompt, str]:
    prompt = talker.model.prompts.make(talk, PICTURES, most)
    return prompt, talker.model.tokenizer.decode(prompt.ids)


def test_turns_of_one_role_become_one_and_an_answer_needs_a_question() -> None:
    found = conversation([Turn("assistant", "x"), Turn("user", "a", ("p0",)), Turn("user", "b", ("p1",))])
    assert [(turn.role, turn.text, turn.pictures) for turn in found.turns] == [("user", "a\nb", ("p0", "p1"))]


def test_the_first_exchange_and_the_question_are_left_out_last() -> None:
    whole = conversation(turns("a", "A", "b", "B", "c", "C", "d"))
    left = []
    while whole is not None:
        left.append(("".join(turn.text for turn in whole.turns), whole.dropped))
        whole = whole.shorter()
    assert left == [("aAbBcCd", 0), ("aAcCd", 1), ("aAd", 2), ("d", 3)]


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_turns_that_do_not_fit_are_left_out_and_counted(loaded: Loaded, name: str) -> None:
    talker = loaded(name)
    talk = Talk(turns("first question", "alpha", "second question", "beta " * 20, "third question"))
    whole, _ = made(talker, talk)
    prompt, text = made(talker, talk, len(whole.ids) - 1)
    assert (whole.dropped, prompt.dropped) == (0, 1)
    assert "first question" in text and "third question" in text
    assert "beta" not in text
    assert len(prompt.seen) == 1
    with pytest.raises(UserError, match="room for 20"):
        made(talker, talk, 20)


def test_instructions_come_first_and_a_short_answer_is_asked_for(folder_of: Callable[[str], Path]) -> None:
    ours = shapes.loaded("smolvlm", folder_of("smolvlm"))
    _, text = made(ours, Talk(turns("what"), "short"))
    assert text.index(SYSTEM) < text.index("what") < text.index(SHORT)
    assert SHORT not in made(ours, Talk(turns("what")))[1]
    bare = shapes.loaded("smolvlm", folder_of("smolvlm"), {"system": "", "short": "Be brief!"})
    _, text = made(bare, Talk(turns("what"), "short"))
    assert text.startswith("<|im_start|>User:") and "Be brief!" in text


def test_a_template_without_a_systems_turn_has_the_instructions_in_the_first_question(loaded: Loaded) -> None:
    _, text = made(loaded("gemma3"), Talk(turns("one", "two", "three")))
    assert text.index("Look well.\none") < text.index("two")
    assert text.count("Look well.") == 1


def test_old_pictures_are_told_but_not_shown(loaded: Loaded) -> None:
    names = tuple(f"p{i}" for i in range(6))
    talk = Talk((Turn("user", "one", names), Turn("assistant", "x"), Turn("user", "two", names[:5])))
    prompt, text = made(loaded("llava"), talk)
    assert len(prompt.places) == len(prompt.seen) == MOST_PICTURES
    assert text.count("no longer shown") == 3
    assert "[picture 3, no longer shown]\none" in text
    assert [place.picture.sha for place in prompt.places] == ["p3", "p4", "p5", *names[:5]]


def test_what_the_model_really_saw_is_said(loaded: Loaded) -> None:
    talk = Talk((Turn("user", "what", ("p0", "p3")),))  # 64x48 and 96x40
    assert made(loaded("llava"), talk)[0].seen == ((32, 32), (32, 32))
    seen = made(loaded("qwen3-vl"), talk)[0].seen
    assert all(width % 16 == 0 and height % 16 == 0 for width, height in seen)
    assert seen[0] == (64, 48)


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((4000, 3000), 0, (4000, 3000)),
        ((4000, 3000), 1_000_000, (1154, 866)),
        ((100, 100), 1_000_000, (100, 100)),
        ((5000, 1), 0, (5000, 5000 // LONGEST_RATIO)),
    ],
)
def test_pictures_have_no_more_pixels_than_they_may(size, most, expected) -> None:
    assert fitted(size, most) == expected
    width, height = fitted(size, most)
    assert max(width, height) <= LONGEST_RATIO * min(width, height)


def test_a_picture_of_fifty_megapixels_takes_a_thousand_tokens_of_qwen3_vl() -> None:
    """Its preprocessor_config.json lets a picture have 16.8 megapixels; ASK_PIXELS is 1."""
    from transformers import Qwen2VLImageProcessor

    room = {"shortest_edge": 65_536, "longest_edge": 16_777_216}
    processor = Qwen2VLImageProcessor(patch_size=16, merge_size=2, size=room)

    def tokens(width: int, height: int) -> int:
        return processor.get_number_of_image_patches(height, width, {}) // 4

    most = round(load_settings({}, Path("none.env")).ask_pixels * 10**6)
    assert tokens(8660, 5774) > 16_000
    assert 900 < tokens(*fitted((8660, 5774), most)) < 1024


def test_only_the_size_of_a_stored_picture_is_read_at_first(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    tiny.picture(200, 100).save(path)
    picture = stored_picture("p", str(path), 5000)
    assert picture.size == (100, 50)
    assert picture.open().size == (100, 50)
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError):
        stored_picture("p", str(path), 0)
