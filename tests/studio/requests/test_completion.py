"""What is told of a prompt while it is typed: words never learned, and flags without effect."""

import json
from pathlib import Path

import pytest

from core.profiles import DEMO
from core.settings import load_settings
from storage.members import Members
from studio.authority import Actor
from studio.requests.completion import Completion, Hints, ImageModel, Mark
from tests.studio.conftest import ALICE, Opened


async def marked(opened: Opened, text: str) -> list[tuple[str, str]]:
    marks = await opened.studio.own.marks(ALICE, text)
    assert [mark.begin for mark in marks] == sorted(mark.begin for mark in marks)
    assert all(text[mark.begin : mark.end].strip() == mark.text for mark in marks)
    return [(mark.kind, mark.text) for mark in marks]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a dragon over a castle", ["dragon", "castle"]),
        ("Two RED houses, a half-moon; the cats' garden (in snow)!", []),
        ("a cat's house::2 <1> https://a.example/dragon.png a tree::0.5", []),
        ("a house --no dragons, trees", ["dragons"]),
        ("ein rotes Haus im Schnee", ["ein", "rotes", "Haus", "im", "Schnee"]),
        ("une maison 🐉 红房子", ["une", "maison", "🐉", "红房子"]),
        ("a cafe\u0301 by the sea", ["cafe\u0301"]),
        ("a {red, blue, turquoise} house", ["turquoise"]),
    ],
)
async def test_words_that_the_model_has_never_learned_are_marked(
    opened: Opened, text: str, words: list[str]
) -> None:
    assert await marked(opened, text) == [("word", word) for word in words]


async def test_a_known_word_is_offered_for_a_plural_and_for_a_slip(opened: Opened) -> None:
    found = await opened.studio.own.marks(ALICE, "a hosue in the meadows, a quay")
    assert [mark.instead for mark in found] == [("house",), ("meadow",), ()]
    assert not found[1].grows and found[0] == Mark(2, 7, "word", "hosue", "", ("house",))
    [begun] = await opened.studio.own.marks(ALICE, "a mushr")
    assert begun.grows


async def test_flags_are_marked_with_the_reason(opened: Opened) -> None:
    text = "a house --ar wide --v 8.2 --uplight --p --motion low --chaoss 3 --s 250 --niji"
    found = {mark.text: mark for mark in await opened.studio.own.marks(ALICE, text)}
    assert {name: mark.kind for name, mark in found.items()} == {
        "--ar wide": "fault",
        "--v 8.2": "flag",
        "--uplight": "flag",
        "--motion low": "flag",
        "--chaoss 3": "fault",
        "--niji": "flag",
    }
    assert "--chaos" in found["--chaoss 3"].why
    assert await marked(opened, "a house --model nothing") == [("fault", "--model nothing")]
    assert await marked(opened, "a red boat sails to the left --video --motion low") == []


async def test_a_flag_that_is_left_out_of_a_pasted_prompt_is_no_fault(opened: Opened) -> None:
    assert ("flag", "--glow 5") in await marked(opened, "a red house --glow 5 --ar 3:2")
    assert ("fault", "--glow 5") in await marked(opened, "a red house --glow 5")


async def test_after_the_first_time_only_what_is_unknown_is_told(opened: Opened) -> None:
    own = opened.studio.own
    assert "simple scenes" in (await own.hint(ALICE, "a red house") or "")
    assert await own.hint(ALICE, "a red house") is None
    told = await own.hint(ALICE, "a dragon over a castle") or ""
    assert "never learned: dragon, castle. It draws ball, star" in told
    assert await own.warning(ALICE, "a dragon over a cas") == told.replace(", castle", "")
    assert await own.warning(ALICE, "a red hou") == ""


async def test_a_model_that_may_know_any_word_has_none_marked(opened: Opened, tmp_path: Path) -> None:
    async def styles(actor: Actor) -> list[str]:
        return []

    for name, told in (("any", []), ("few", ["dragon", "castle"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "atelier.json").write_text(json.dumps({"vocabulary": "a over"} if told else {}))
        settings = load_settings({"IMAGE_MODEL": str(tmp_path / name)})
        members = Members(opened.services.database)
        completion = Completion(members, settings, Hints.of(settings), styles, tmp_path)
        assert [mark.text for mark in await completion.marks(ALICE, "a dragon over a castle")] == told


async def test_models_are_told_with_their_times_and_who_made_them(opened: Opened, tmp_path: Path) -> None:
    async def styles(actor: Actor) -> list[str]:
        return []

    queue, own, hub_id = opened.services.queue, opened.studio.own, "stabilityai/sdxl-turbo"
    queue.dispatcher.estimate.add("imagine|0x0x4s0|image", 3.0)
    [only] = await own.image_models(ALICE)
    assert (only.name, only.usual, only.seconds) == ("stable-diffusion", True, 3.0)
    assert only.about.startswith("knows ") and only.about.endswith(" words and no others")

    settings = load_settings({"IMAGE_MODELS": f"fast={hub_id}@0123456, v6={DEMO / 'stable-diffusion'}"})
    members = Members(opened.services.database)
    completion = Completion(members, settings, Hints.of(settings), styles, tmp_path)
    fast = ImageModel(
        "fast", False, "sdxl-turbo, by stabilityai, free below $1M a year (Stability Community)", None
    )
    first, second, third = await completion.image_models(ALICE, queue.picture_seconds)
    assert (first, second, (third.name, third.usual)) == (only, fast, ("v6", False))
    for chosen in ({"model": "fast"}, {"model": None, "suffix": "--model fast"}):
        await own.change(ALICE, **chosen)
        found = await completion.image_models(ALICE, queue.picture_seconds)
        assert [(one.name, one.usual) for one in found] == [("fast", True), ("v6", False)], chosen
    await own.change(ALICE, suffix="--v 6")
    found = await completion.image_models(ALICE, queue.picture_seconds)
    assert [(one.name, one.usual) for one in found] == [("fast", False), ("v6", True)]


async def test_prompts_to_begin_with_are_those_of_the_chosen_model_s_card(
    opened: Opened, tmp_path: Path
) -> None:
    async def no_styles(actor: Actor) -> list[str]:
        return []

    own = opened.studio.own
    assert await own.examples(ALICE) == opened.studio.hints.prompts != ()
    others = {"own": {"prompts": ["a tiny bakery"]}, "plain": {}, "wrong": {"prompts": [7]}}
    for name, told in others.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text('{"_class_name": "ZImagePipeline"}')
        (tmp_path / name / "atelier.json").write_text(json.dumps(told))
    models = ",".join(f"{name}={tmp_path / name}" for name in others)
    models += ",missing=stabilityai/sdxl-turbo@0123456"
    settings = load_settings({"IMAGE_MODELS": models, "DATA_DIR": str(tmp_path / "data")})
    members = Members(opened.services.database)
    completion = Completion(members, settings, opened.studio.hints, no_styles, tmp_path / "cache")
    found = {}
    for name in (*others, "missing"):
        await own.change(ALICE, model=name)
        found[name] = await completion.examples(ALICE)
    assert found["own"] == ("a tiny bakery",) and found["wrong"] == found["missing"] == ()
    assert any("清茶" in one for one in found["plain"]), "its family's"
    await own.change(ALICE, model="own")
    assert await completion.prompts(ALICE, "", 100) == ["a tiny bakery"]
