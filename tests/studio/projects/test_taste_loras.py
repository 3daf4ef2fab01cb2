"""*Make it strong*: what is trained on a taste, whom it draws for, the blind choice that decides, its end."""

from dataclasses import replace

import pytest

from core.errors import LimitError, NotAllowedError, UserError
from core.prompt.values import stored_lora
from core.requests import ImagineRequest
from core.requests.custom_models import TrainRequest
from jobs.queue import Result
from storage import taste_loras
from studio.authority import Actor
from studio.taste_loras import EACH, PROMPTS, told_of_lora
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB
from tests.studio.projects.conftest import World
from tests.studio.servers import Channel

PAIRS = PROMPTS * EACH


async def liked(world: World, actor: Actor, count: int, text: str = "a red house") -> list[Result]:
    found = []
    for seed in range(count):
        result = await world.drawn(actor, f"{text} --seed {10 * seed + 1}")
        await world.studio.own.keep(actor, result.job.id, 3)
        found.append(result)
    return found


async def strong(world: World, name: str = "me", actor: Actor = ALICE) -> None:
    await world.ended(actor, await world.studio.taste_loras.train(actor, name))


async def drawn(world: World, name: str = "me") -> None:
    async def is_drawn() -> bool:
        return not (await world.studio.taste_loras.card(ALICE, name)).drawing

    await eventually(is_drawn)


async def compared(world: World, likes_it: int, name: str = "me") -> None:
    """Choose blind, the picture with the LoRA so many times."""
    loras = world.studio.taste_loras
    await world.studio.compare_taste(ALICE, name)
    await drawn(world, name)
    lora = (await world.services.database.read(lambda c: taste_loras.of_user(c, ALICE.user_id)))[0]
    for turn in range(PAIRS):
        shown = await loras.pair(ALICE, name)
        assert shown is not None and (shown.number, shown.of) == (turn + 1, PAIRS)
        pairs = await world.services.database.read(lambda c: taste_loras.list_pairs(c, lora.project_id))
        pair = next(one for one in pairs if one.position == shown.position)
        await loras.choose(ALICE, name, shown.position, first=pair.first == (turn < likes_it))
    assert await loras.pair(ALICE, name) is None


async def asked(world: World, actor: Actor, text: str) -> ImagineRequest:
    request = (await world.drawn(actor, text)).job.request
    assert isinstance(request, ImagineRequest)
    return request


async def test_five_liked_pictures_are_enough_and_four_are_refused(world: World) -> None:
    await liked(world, ALICE, 4)
    assert "there are 4" in told_of_lora(await world.studio.taste_loras.card(ALICE))[0]
    with pytest.raises(UserError, match="5 liked pictures .* there are 4"):
        await world.studio.taste_loras.train(ALICE)
    assert await world.projects.all(ALICE) == [], "nothing is left of a refusal"
    await world.studio.own.keep(ALICE, (await world.drawn(ALICE, "a boat --seed 99")).job.id, 0)
    new = await world.studio.taste_loras.train(ALICE)
    assert isinstance(new.request, TrainRequest) and new.private and new.lane.value == "relax"
    await world.ended(ALICE, new)
    card = await world.studio.taste_loras.card(ALICE)
    assert (card.version, card.is_on, card.is_older, card.of) == (1, False, False, 0)
    assert "Compare it blind" in told_of_lora(card)[0]


async def test_it_acts_once_it_was_chosen_and_says_so(world: World) -> None:
    await liked(world, ALICE, 6)
    await strong(world)
    assert (await asked(world, ALICE, "a boat --p")).taste_loras == (), "nobody has chosen it"
    await compared(world, likes_it=6)
    card = await world.studio.taste_loras.card(ALICE)
    assert (card.is_on, card.won, card.of) == (True, 6, 8)
    assert "in 6 of 8 pairs" in told_of_lora(card)[0] and "It acts" in told_of_lora(card)[1]
    request = await asked(world, ALICE, "a boat --p")
    [(lora, weight)] = request.taste_loras
    stored = stored_lora(lora)
    assert stored is not None and (stored.project, weight) == (card.project_id, 0.7)
    assert stored.sha256 in request.files
    assert (await asked(world, ALICE, "a boat --p --s 900")).taste_loras == ((lora, 1.0),)
    for without in ("a boat", "a boat --p --raw", "a boat --p --s 0"):
        assert (await asked(world, ALICE, without)).taste_loras == (), without


async def test_it_stays_off_where_it_lost_and_can_be_turned_on_by_hand(world: World) -> None:
    await liked(world, ALICE, 6)
    await strong(world)
    await compared(world, likes_it=5)
    loras = world.studio.taste_loras
    card = await loras.card(ALICE)
    assert (card.is_on, card.won) == (False, 5) and told_of_lora(card)[-1] == "It is off."
    assert (await asked(world, ALICE, "a boat --p")).taste_loras == ()
    await loras.turn(ALICE, "me", on=True)
    assert (await asked(world, ALICE, "a boat --p")).taste_loras
    await loras.turn(ALICE, "me", on=False)
    assert (await asked(world, ALICE, "a boat --p")).taste_loras == ()


async def test_a_comparison_draws_the_same_words_and_seeds_and_names_nothing(world: World) -> None:
    await liked(world, ALICE, 6)
    await strong(world)
    made = await world.studio.taste_loras.comparison(ALICE)
    assert len(made) == PROMPTS and made[0][0].request != made[0][1].request
    for with_it, without in made:
        one, other = with_it.request, without.request
        assert isinstance(one, ImagineRequest) and one.taste_loras
        assert replace(one, taste_loras=()) == other
        assert with_it.private and without.private and not one.prompt.count("taste")
    assert made[0][0].request.prompt == "a red house", "what she draws herself"
    await world.studio.compare_taste(ALICE, "me")
    with pytest.raises(UserError, match="that pair"):
        await world.studio.taste_loras.choose(ALICE, "me", 99, first=True)
    await drawn(world)
    shown = await world.studio.taste_loras.pair(ALICE)
    assert shown is not None and shown.first[:4] == b"RIFF"
    await world.studio.taste_loras.choose(ALICE, "me", shown.position, first=True)
    with pytest.raises(UserError, match="already"):
        await world.studio.taste_loras.choose(ALICE, "me", shown.position, first=False)


async def test_where_the_queue_has_no_room_nothing_is_half_asked(world: World) -> None:
    await liked(world, ALICE, 6)
    await strong(world)
    real, count = world.studio.submit, 0

    async def full(*args: object, **more: object) -> object:
        nonlocal count
        count += 1
        if count > 3:
            raise LimitError("full")
        return await real(*args, **more)  # type: ignore[arg-type]

    world.studio.submit = full  # type: ignore[method-assign,assignment]
    with pytest.raises(LimitError):
        await world.studio.compare_taste(ALICE, "me")
    assert (await world.studio.taste_loras.card(ALICE)).left == 0


async def test_nobody_draws_with_anothers(world: World) -> None:
    await liked(world, ALICE, 6)
    await strong(world)
    await world.studio.taste_loras.turn(ALICE, "me", on=True)
    hers = await world.drawn(ALICE, "a boat --p")
    assert isinstance(hers.job.request, ImagineRequest) and hers.job.request.taste_loras
    code = (await world.studio.tastes.keep(ALICE, shared=True)).code
    for actor, text in ((BOB, f"a boat --p {code}"), (ALICE, f"a boat --p {code}"), (BOB, "a boat --p")):
        assert (await asked(world, actor, text)).taste_loras == (), text
    for action in ("again", "vary"):
        mine = await world.studio.submit(ALICE, await world.studio.from_button(ALICE, hers.job.id, action, 0))
        his = await world.studio.submit(BOB, await world.studio.from_button(BOB, hers.job.id, action, 0))
        assert getattr(mine.job.request, "taste_loras", None) == hers.job.request.taste_loras
        assert getattr(his.job.request, "taste_loras", None) == ()
    project = (await world.studio.taste_loras.card(ALICE)).project_id
    for method in ("train", "comparison", "pair", "forget"):
        with pytest.raises((UserError, NotAllowedError)):
            await getattr(world.studio.taste_loras, method)(BOB, project)


async def test_a_changed_taste_says_so_and_what_went_out_is_not_learned_again(world: World) -> None:
    results = await liked(world, ALICE, 6)
    await strong(world)
    assert not (await world.studio.taste_loras.card(ALICE)).is_older
    await world.studio.own.let_go(ALICE, results[0].job.id, 3)
    card = await world.studio.taste_loras.card(ALICE)
    assert card.is_older and "has changed" in told_of_lora(card)[-1]
    await strong(world)
    assert [len(one.items) for one in world.learner.snapshots] == [6, 5]
    card = await world.studio.taste_loras.card(ALICE)
    assert (card.version, card.is_older) == (2, False)


async def test_a_version_that_loses_leaves_the_older_one_on(world: World) -> None:
    results = await liked(world, ALICE, 6)
    await strong(world)
    await compared(world, likes_it=8)
    first = (await asked(world, ALICE, "a boat --p")).taste_loras
    await world.studio.own.let_go(ALICE, results[0].job.id, 3)
    await strong(world)
    assert (await asked(world, ALICE, "a boat --p")).taste_loras == first
    await compared(world, likes_it=0)
    assert (await asked(world, ALICE, "a boat --p")).taste_loras == first
    await compared(world, likes_it=8)
    assert (await asked(world, ALICE, "a boat --p")).taste_loras not in ((), first)


async def test_only_own_and_hearted_pictures_that_one_may_use_are_learned(world: World) -> None:
    hall = world.servers.servers[10].channels[100] = Channel(readers={1, 2})
    await liked(world, ALICE, 5)
    hidden = await world.drawn(BOB, "a boat --stealth --seed 500")
    shown = await world.drawn(BOB, "a boat --seed 600")
    own = await world.drawn(ALICE, "a boat --stealth --seed 700")
    await world.studio.own.keep(ALICE, shown.job.id, 0)
    await world.studio.own.keep(ALICE, own.job.id, 0)
    with pytest.raises(NotAllowedError):
        await world.studio.own.keep(ALICE, hidden.job.id, 0)
    await strong(world)
    [learned] = world.learner.snapshots
    names = {item.sha256 for item in learned.items}
    assert shown.pictures[0].sha256 in names and own.pictures[0].sha256 in names and len(names) == 7
    hall.readers.clear()
    assert (await world.studio.taste_loras.card(ALICE)).pictures == 6, "she can't see his picture any more"


async def test_a_folder_has_its_own_and_takes_it_along(world: World) -> None:
    results = await liked(world, ALICE, 5)
    folder = await world.studio.folders.create(ALICE, "Quiet evening")
    named = [(one.job.id, 3) for one in results]
    await world.studio.folders.put(ALICE, folder.id, named)
    await strong(world, "quiet-evening")
    await world.studio.taste_loras.turn(ALICE, "quiet-evening", on=True)
    assert (await asked(world, ALICE, "a boat --p")).taste_loras == ()
    [(_lora, weight)] = (await asked(world, ALICE, "a boat --p quiet-evening::0.5 me::1.5")).taste_loras
    assert weight == round(0.7 / 4, 3)
    await world.studio.folders.rename(ALICE, folder.id, "Dusk")
    assert (await asked(world, ALICE, "a boat --p dusk")).taste_loras
    await world.studio.folders.delete(ALICE, folder.id)
    assert await world.projects.all(ALICE) == []


async def test_who_wants_nothing_learned_keeps_none(world: World) -> None:
    await liked(world, ALICE, 6)
    await strong(world)
    artefact = [one for one in await world.training.versions(ALICE, "My taste")][0].artefact
    await world.studio.own.change(ALICE, taste=False)
    assert await world.projects.all(ALICE) == []
    assert artefact is not None and not await world.services.files.has(artefact)


async def test_a_forgotten_one_is_gone(world: World) -> None:
    await liked(world, ALICE, 6)
    await strong(world)
    await world.studio.taste_loras.forget(ALICE)
    card = await world.studio.taste_loras.card(ALICE)
    assert (card.project_id, card.version, card.pictures) == ("", None, 6)
    await world.studio.taste_loras.forget(ALICE)
    with pytest.raises(UserError, match="Nothing was trained"):
        await world.studio.taste_loras.turn(ALICE, "me", on=True)


async def test_a_deleted_picture_is_unlearned(world: World) -> None:
    results = await liked(world, ALICE, 6)
    await strong(world)
    await world.studio.taste_loras.turn(ALICE, "me", on=True)
    before = (await asked(world, ALICE, "a boat --p")).taste_loras
    await world.studio.delete(ALICE, results[0].job.id)
    project = (await world.projects.all(ALICE))[0]
    version = await world.trained_again(project)
    assert version.artefact and version.artefact not in str(before)
    [(lora, _weight)] = (await asked(world, ALICE, "a boat --p")).taste_loras
    assert version.artefact in lora
