"""``--lora`` with a style that members have made: found for those who may use it, refused to all others."""

from dataclasses import replace

import pytest

from core.errors import NotAllowedError, PromptError, UserError
from core.prompt.values import stored_lora
from core.requests import ImagineRequest
from jobs.executors.base import Device
from studio.authority import Actor
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB
from tests.studio.projects.conftest import World


async def _asked(world: World, actor: Actor, text: str) -> ImagineRequest:
    [new] = await (await world.studio.requests.imagine(actor, text, None)).jobs()
    request = new.request
    assert isinstance(request, ImagineRequest)
    return request


@pytest.fixture
async def ink(world: World) -> str:
    """The id of a trained style."""
    made = await world.projects.new(ALICE, "Ink wash", "style", words="in ink wash")
    await world.put(made, ALICE, [""] * 5)
    await world.trained(ALICE, "Ink wash")
    return made.id


async def test_a_style_is_named_by_one_word_and_brings_its_words(world: World, ink: str) -> None:
    request = await _asked(world, BOB, "a red boat --lora ink-wash:0.8")
    [(name, weight)] = request.loras
    stored = stored_lora(name)
    assert stored is not None and (stored.shown, stored.project, weight) == ("Ink-wash", ink, 0.8)
    assert request.prompt == "a red boat, in ink wash"
    assert request.files == (stored.sha256,)
    again = await _asked(world, BOB, "a red boat, in ink wash --lora Ink-wash")
    assert again.prompt == "a red boat, in ink wash"
    parts = await _asked(world, BOB, "a red boat::2 a lake::1 --lora ink-wash")
    assert parts.prompt_parts == (("a red boat, in ink wash", 2.0), ("a lake", 1.0))


async def test_a_style_is_offered_to_those_who_may_draw_with_it(world: World, ink: str) -> None:
    assert await world.projects.new(ALICE, "Ink blots", "style")
    typed = "a boat --lora in"
    assert await world.studio.own.suggestions(BOB, typed) == ["a boat --lora Ink-wash"]
    assert await world.studio.own.suggestions(BOB, "a boat --lora x") == []
    await world.projects.share(ALICE, "Ink wash", 0, ["add"])
    assert await world.studio.own.suggestions(BOB, typed) == []
    assert await world.studio.own.suggestions(ALICE, typed) == ["a boat --lora Ink-wash"]


async def test_an_unknown_one_is_told_as_ever(world: World, ink: str) -> None:
    with pytest.raises(PromptError, match="no LoRA `pen` here"):
        await _asked(world, BOB, "a red boat --lora pen")


async def test_who_may_not_use_it_can_neither_name_it_nor_press_a_button_for_it(
    world: World, ink: str
) -> None:
    request = await _asked(world, BOB, "a red boat --lora ink-wash")
    await world.projects.share(ALICE, "Ink wash", 0, ["add"])
    with pytest.raises((PromptError, NotAllowedError)):
        await _asked(world, BOB, "a red boat --lora ink-wash")
    [new] = await (await world.studio.requests.imagine(BOB, "a red boat", None)).jobs()
    with pytest.raises(NotAllowedError):
        await world.studio.submit(BOB, replace(new, request=request))
    await world.studio.submit(ALICE, replace(new, request=request))


async def test_a_forgotten_style_draws_nothing_more(world: World, ink: str) -> None:
    request = await _asked(world, BOB, "a red boat --lora ink-wash")
    [new] = await (await world.studio.requests.imagine(BOB, "a red boat", None)).jobs()
    await world.projects.forget(ALICE, "Ink wash")
    with pytest.raises(UserError):
        await world.studio.submit(BOB, replace(new, request=request))


@pytest.mark.parametrize(("memory", "refused"), [(10 * 10**6, True), (8 * 10**9, False)])
async def test_what_no_device_can_hold_is_refused_before_the_queue(
    memory: int, refused: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await world.projects.new(ALICE, "pen", "style")
    await world.put(made, ALICE, [""] * 5)
    devices = (Device("cpu", "ready", memory=memory),)
    monkeypatch.setattr(type(world.learner), "devices", property(lambda self: devices))
    new = await world.training.train(ALICE, "pen")
    if not refused:
        assert (await world.studio.submit(ALICE, new)).job
        return
    with pytest.raises(UserError, match=r"needs about \d+ MB of memory; this device has 10 MB"):
        await world.studio.submit(ALICE, new)
    assert (await world.projects.card(ALICE, "pen")).training == ""


async def test_captions_are_what_people_say_and_else_what_the_training_wrote(world: World, ink: str) -> None:
    labelling = world.studio.labelling
    first, *others = await labelling.captions(ALICE, ink)
    assert first.is_written
    await labelling.mark(ALICE, ink, first.item.sha256, "  a boat   at sea ")
    again, *unchanged = await labelling.captions(ALICE, ink)
    assert (again.text, again.is_written) == ("a boat at sea", False) and unchanged == others
    with pytest.raises(UserError, match="1 to 80 characters"):
        await labelling.mark(ALICE, ink, first.item.sha256, "x" * 81)
    await labelling.mark(ALICE, ink, first.item.sha256, "")
    assert (await labelling.captions(ALICE, ink))[0].is_written
    with pytest.raises(NotAllowedError):
        await labelling.captions(BOB, ink)


async def test_each_of_forty_pictures_may_have_its_own_caption(world: World) -> None:
    made = await world.projects.new(ALICE, "forty", "style")
    await world.put(made, ALICE, [f"a boat with {number} sails" for number in range(40)])
    assert len({one.text for one in await world.studio.labelling.captions(ALICE, made.id)}) == 40
    await world.trained(ALICE, "forty")
    assert [one.number for one in await world.training.versions(ALICE, "forty")] == [1]


async def test_captions_are_written_before_a_training_by_whose_pictures_they_are(world: World) -> None:
    made = await world.projects.new(ALICE, "sepia", "style")
    await world.put(made, ALICE, ["a boat", "", ""])
    await world.put(made, BOB, [""], first=3)
    assert await world.studio.write_captions(ALICE, "sepia") == (2, 0)

    async def written() -> bool:
        found = await world.studio.labelling.captions(ALICE, made.id)
        return [bool(one.text) for one in found] == [True, True, True, False]

    await eventually(written)
    assert await world.studio.write_captions(ALICE, "sepia") == (0, 0)
    with pytest.raises(NotAllowedError):
        await world.studio.write_captions(BOB, "sepia")
