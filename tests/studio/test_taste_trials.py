"""Blind votes on a server's taste: what is drawn and shown, what they say, and what is used after them."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from core.errors import NotAllowedError, UserError
from core.job import NOBODY
from core.requests import ImagineRequest
from storage import duels as rows
from storage import server_tastes
from storage.server_tastes import Noted, Verdict
from studio.authority import Actor, ShownDuel
from studio.duels import WEEK
from studio.library.wall import SUBJECTS
from studio.server_tastes import told_of_server
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB, MIRA
from tests.studio.test_duels import CHANNEL, HERE, Channel, channel
from tests.studio.test_server_tastes import CAROL, learned, night, taste_of
from tests.studio.test_tastes import STRANGER, wall

__all__ = ["channel", "wall"]


async def noted(channel: Channel) -> Noted:
    return await channel.wall.database.read(partial(server_tastes.read_noted, guild_id=HERE))


async def ready(channel: Channel) -> Any:
    """A taste that is known and that nobody has voted on."""
    await channel.open()
    await channel.wall.opened.studio.duels.set_channel(MIRA, None)
    await learned(channel.wall)
    await channel.wall.opened.studio.server_tastes.use(MIRA, on=False)
    return channel.wall.opened.studio.server_tastes


async def asked(channel: Channel) -> list[ShownDuel]:
    """Begin a vote; the messages that show it."""
    tastes = await ready(channel)
    await tastes.begin_trial(MIRA, CHANNEL)
    trial, queue = (await noted(channel)).trial, channel.wall.opened.services.queue
    assert trial is not None

    async def drawn() -> bool:
        jobs = [await queue.job(job_id) for pair in trial.pairs for job_id in pair]
        return all(job is not None and job.status.over for job in jobs)

    await eventually(drawn)
    await channel.duelling.look()
    return list(channel.messages.values())


async def voted(channel: Channel, actors: tuple[Actor, ...], right: int = 8) -> None:
    """Members like the taste's picture of so many pairs, and the other of the rest."""
    for message, duel in list(channel.messages.items()):
        assert duel.by_taste is not None
        for pair in duel.pairs:
            [chosen] = set(pair) & duel.by_taste
            [other] = set(pair) - {chosen}
            for actor in actors:
                await channel.vote(actor, chosen if right > 0 else other, message)
            right -= 1


async def over(channel: Channel) -> str:
    """A week goes by; what is told then."""
    state = (await noted(channel)).trial
    assert state is not None
    begun = (datetime.now(UTC) - WEEK).timestamp() - 60
    earlier = partial(server_tastes.note, guild_id=HERE, trial=replace(state, begun=begun))
    await channel.wall.database.write(earlier)
    await channel.duelling.look()
    return " ".join(told_of_server(await channel.wall.opened.studio.server_tastes.card(ALICE)))


async def test_nothing_is_drawn_by_a_taste_that_nobody_has_voted_on(channel: Channel) -> None:
    tastes = await ready(channel)
    request, run = await channel.wall.asked(ALICE, "a boat --p server")
    assert request.candidates == 0 and request.taste_words == ()
    assert run.taste is not None and run.taste.direction == b"" and "first a blind vote" in run.taste.note
    assert "first a blind vote" in " ".join(told_of_server(await tastes.card(ALICE)))
    both = (await channel.wall.asked(ALICE, "a boat --p server me"))[0]
    assert both.candidates == 8, "the other taste chooses still"
    await tastes.use(MIRA, on=True)
    assert (await taste_of(channel.wall)).direction != b""
    assert "A manager decided that" in " ".join(told_of_server(await tastes.card(ALICE)))


async def test_eight_pairs_of_one_prompt_are_drawn_with_and_without_it(channel: Channel) -> None:
    shown = await asked(channel)
    assert [list(map(list, duel.pairs)) for duel in shown] == 2 * [[[1, 2], [3, 4], [5, 6], [7, 8]]]
    assert [len(duel.by_taste or ()) for duel in shown] == [4, 4]
    assert all(len(set(pair) & (duel.by_taste or set())) == 1 for duel in shown for pair in duel.pairs)
    trial, queue = (await noted(channel)).trial, channel.wall.opened.services.queue
    assert trial is not None and len(trial.pairs) == len(SUBJECTS) == 8
    for subject, pair in zip(SUBJECTS, trial.pairs, strict=True):
        by_taste, plain = [await queue.job(job_id) for job_id in pair]
        assert by_taste is not None and plain is not None
        one, other = by_taste.request, plain.request
        assert isinstance(one, ImagineRequest) and isinstance(other, ImagineRequest)
        assert one.prompt == other.prompt == subject and one.seed == other.seed
        assert (one.candidates, other.taste) == (8, ()) and one.taste == (("server", 1.0),)
        assert by_taste.origin.user_id == NOBODY and by_taste.origin.private
    runs = [run for run in channel.wall.executor.runs if run.taste is not None]
    assert sum(run.taste.direction != b"" for run in runs if run.taste) == 8, "it is tried before it is used"


async def test_a_taste_that_members_like_is_used_and_told_how_surely(channel: Channel) -> None:
    await asked(channel)
    await voted(channel, (ALICE, BOB, CAROL))
    said = await over(channel)
    assert "It fits: in a blind vote 3 members liked its pictures more 100 times of 100 (between 68" in said
    assert "--p server draws by it" in said and "A manager decided" not in said
    assert (await noted(channel)).in_use and (await taste_of(channel.wall)).direction != b""
    assert [duel.likes is not None for duel in channel.messages.values()] == [True, True]
    await channel.wall.opened.studio.server_tastes.reset(MIRA)
    assert (await noted(channel)).in_use is False, "another taste needs another vote"


@pytest.mark.parametrize(("right", "told"), [(5, "Nobody can say yet"), (0, "It doesn't fit")])
async def test_a_vote_that_chance_could_have_given_uses_nothing(
    channel: Channel, right: int, told: str
) -> None:
    await asked(channel)
    await voted(channel, (ALICE, BOB, CAROL), right)
    assert told in await over(channel)
    assert not (await noted(channel)).in_use


async def test_two_voters_are_too_few_and_change_nothing(channel: Channel) -> None:
    await asked(channel)
    await voted(channel, (ALICE, BOB))
    await channel.wall.opened.studio.server_tastes.use(MIRA, on=True)
    assert "to tell whether it fits: 2." in await over(channel)
    assert (await noted(channel)).in_use, "what a manager decided stays"


async def test_votes_on_a_taste_teach_it_nothing(channel: Channel) -> None:
    await asked(channel)
    await channel.wall.opened.studio.server_tastes.use(MIRA, on=True)
    before = await taste_of(channel.wall)
    await voted(channel, (ALICE, BOB, MIRA), 3)
    assert await night(channel.wall) and await taste_of(channel.wall) == before


async def test_managers_end_a_vote_and_begin_one_at_a_time(channel: Channel) -> None:
    await asked(channel)
    tastes = channel.wall.opened.studio.server_tastes
    with pytest.raises(UserError, match="runs already"):
        await tastes.begin_trial(MIRA, CHANNEL)
    await voted(channel, (ALICE, BOB, CAROL))
    await tastes.end_trial(MIRA)
    await channel.duelling.look()
    assert (await noted(channel)).verdict == Verdict(1.0, pytest.approx(0.676, abs=0.01), 1.0, 3)
    with pytest.raises(UserError, match="No blind vote"):
        await tastes.end_trial(MIRA)
    for actor in (BOB, STRANGER):
        with pytest.raises(NotAllowedError):
            await tastes.begin_trial(actor, CHANNEL)


async def test_what_is_not_known_yet_is_not_voted_on(channel: Channel) -> None:
    await channel.open()
    tastes = channel.wall.opened.studio.server_tastes
    with pytest.raises(UserError, match="Too little is known"):
        await tastes.begin_trial(MIRA, CHANNEL)
    await tastes.set_on(MIRA, on=False)
    with pytest.raises(UserError, match="turned this server's taste off"):
        await tastes.begin_trial(MIRA, CHANNEL)


async def test_a_vote_whose_pictures_are_not_shown_here_ends(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hidden(place: object, names: list[object]) -> list[None]:
        return [None] * len(names)

    monkeypatch.setattr(channel.duelling, "_shown", hidden)
    assert await asked(channel) == []
    assert (await noted(channel)).trial is None


async def test_weekly_votes_go_on_beside_it(channel: Channel) -> None:
    await asked(channel)
    await channel.wall.opened.studio.duels.set_channel(MIRA, CHANNEL)
    await channel.duelling.look()
    assert [duel.by_taste is None for duel in channel.messages.values()] == [False, False, True]
    await channel.duelling.look()
    assert len(channel.messages) == 3 and await channel.wall.database.read(rows.list_open) != []
