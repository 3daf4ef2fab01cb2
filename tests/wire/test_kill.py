"""SIGKILL at named points and at random: no job is lost, none is told twice. The long form is ``python -m
proofs.wire.kill``."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from proofs.wire import kill
from tests.support.messages import text_of
from tests.wire.discord import EPHEMERAL, GUILD, Discord
from tests.wire.forked import ForkedBot

CHANNEL = GUILD + 1


@pytest.mark.slow
@pytest.mark.parametrize("kills", [6, pytest.param(18, marks=pytest.mark.long)])
async def test_every_job_ends_with_one_message_whenever_bot_or_worker_is_killed(tmp_path, kills: int) -> None:
    """The points beside each other, as many as there is time for; the long form has all of them."""
    points = ["worker", *dict.fromkeys(kill.POINTS)][:: 18 // kills][:kills]
    report = await kill.run(tmp_path, points, process=ForkedBot)
    assert (report.lost, report.doubled, report.missed, report.silent) == ([], [], [], []), "\n".join(
        report.stories
    )
    assert report.kills.total() == kills and report.jobs >= kills and (report.cut_off or kills < 18)
    assert report.results + report.failures == report.jobs
    assert (report.identifies, report.resumes) == (1, kills)


async def test_the_count_sees_a_bot_that_forgets_after_a_start_what_it_owes(tmp_path: Path) -> None:
    report = await kill.run(tmp_path, ["job rendered"], "--no-resume", settle=4, process=ForkedBot)
    assert report.lost and not report.doubled


@pytest.mark.parametrize(
    ("private", "flags", "deleted", "lost"),
    [
        (False, 0, False, False),
        (True, EPHEMERAL, False, False),  # the settings came too late
        (False, EPHEMERAL, False, True),  # others were to see it
        (True, EPHEMERAL, True, True),
        (False, 0, True, True),
    ],
)
def test_the_count_knows_who_is_to_see_a_result(private: bool, flags: int, deleted: bool, lost: bool) -> None:
    discord, job_id = Discord(), "abcdefgh2345"
    bot = SimpleNamespace(
        rows=lambda: {1: (job_id, "delivered", True)}, private_jobs=lambda: {job_id} if private else set()
    )
    discord.post(CHANNEL, f"a red house · job {job_id}", flags=flags).deleted = deleted
    report = kill.Killer(discord, bot, seed=1).count()
    assert (report.lost, report.results) == ([job_id] if lost else [], 0 if lost else 1)


async def test_a_result_is_found_again_in_a_channel_where_people_talk(tmp_path: Path) -> None:
    async with Discord() as discord:
        bot = ForkedBot(discord, tmp_path)
        await bot.start("--crash=message stands")
        asked = discord.slash("imagine", CHANNEL, 77, prompt="a red house")
        asked.born -= 20 * 60  # its token is refused: the result goes to the channel
        await bot.ended()
        job_id = bot.rows()[asked.id][0]
        assert len(discord.finals(job_id)) == 1
        for _ in range(450):
            discord.post(CHANNEL, "how nice")
        sent, discord.forgets_nonces = discord.finals(job_id)[0].id, True
        # Said before it, within the minute looked back
        for message in [m for m in discord.messages.values() if text_of(m) == "how nice"][:250]:
            discord.messages.pop(message.id)
            message.id = sent - (1 << 22) * 1000 + message.id % (1 << 22)
            discord.messages[message.id] = message
        async with bot:
            await discord.until(lambda: bot.rows()[asked.id][2], every=0.2)
            assert len(discord.finals(job_id)) == 1


async def test_a_result_that_nobody_could_be_sent_is_brought_by_show(tmp_path: Path) -> None:
    async with Discord() as discord, ForkedBot(discord, tmp_path) as bot:
        asked = discord.slash("imagine", CHANNEL, 77, prompt="a slow red house")
        await discord.until(lambda: asked.message and any(text for _, text in asked.message.versions))
        discord.forbidden.add(CHANNEL)
        discord.closed_dms.add(77)
        refused: list[int] = []
        discord.after = lambda call: (
            refused.append(1) if call.path == f"/channels/{discord.dms.get(77)}/messages" else None
        )
        discord.token_life = 0
        await discord.until(lambda: refused)
        job_id, status, _ = bot.rows()[asked.id]
        assert status in ("rendered", "delivered") and not discord.finals(job_id)
        discord.token_life = 900
        shown = discord.slash("show", CHANNEL, 77, job=job_id)
        await discord.until(lambda: shown.message and f"job {job_id}" in text_of(shown.message))
        assert [name for name, _ in shown.message.files] == [
            f"atelier-{job_id}-{n}.png" for n in (1, 2, 3, 4)
        ]


async def test_a_gateway_that_drops_in_the_middle_of_a_job_costs_nothing(tmp_path: Path) -> None:
    async with Discord() as discord, ForkedBot(discord, tmp_path) as bot:
        asked = discord.slash("imagine", CHANNEL, 77, prompt="a slow red house")
        await discord.until(lambda: asked.message and "%" in text_of(asked.message))
        await discord.drop_gateways(4000)
        await discord.until(lambda: "job " in text_of(asked.message))
        await discord.until(lambda: discord.resumes)
        again = discord.press(asked.message, f"at:{bot.rows()[asked.id][0]}:again:0", 77)
        await discord.until(lambda: again.message and "job " in text_of(again.message))
        assert discord.identifies == 1
