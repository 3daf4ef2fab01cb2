"""Every button and menu of messages that a killed bot left behind, pressed with a new process on the same
data folder."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.ui.replies import UNEXPECTED, UNEXPECTED_BESIDE
from studio.requests.actions import OF_VIDEOS, RIGHTS
from tests.support.messages import items_of, text_of
from tests.wire.discord import EPHEMERAL, GUILD, THINKING, Call, Discord, Interaction, Message
from tests.wire.forked import ForkedBot

CHANNEL, ALICE = GUILD + 1, 77
MODAL, UPDATES = (
    9,
    (6, 7),
)  # kinds of answers, https://discord.com/developers/docs/interactions/receiving-and-responding
BUTTON, MENU = 2, 3  # kinds of components
ONLY_WHILE_RUNNING, ONLY_ON_THE_WEB = {"cancel", "stop"}, {"read"}
# What only videos have is pressed after a restart in tests/bot/test_video.py, what verdicts and trainings
# have in tests/bot/test_own_models.py, and what an editor brings in tests/bot/test_edit.py. Classify gave its
# place under pictures to Animate.
ELSEWHERE = {*OF_VIDEOS, "gif", "three", "classify", "describe", "isright", "iswrong", "verdict", "project"}

PROGRESS = ("(Waiting", "%)", "(Starting")
LAST = ("favourite", "fv:", "delete")  # they take away what others are pressed on


class Screen(Discord):
    """Also knows windows, and answers that change the pressed message."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: dict[int, dict[str, Any]] = {}  # interaction id → window
        self.stood: dict[int, int] = {}  # interaction id → states that the message it changes had had

    def route(self, call: Call) -> Any:
        answer, found = super().route(call), re.fullmatch(r"/interactions/(\d+)/([^/]+)/callback", call.path)
        if found:
            made, kind = self.interactions[found[2]], call.body["type"]
            if kind == MODAL:
                self.windows[made.id] = call.body["data"]
            if kind in UPDATES:
                made.message = self.messages[int(made.payload["message"]["id"])]
                self.stood[made.id] = len(made.message.versions)
            if kind == UPDATES[1]:
                self._change(made.message, call.body["data"], call.files)
        return answer

    def choose(self, message: Message, custom_id: str, user_id: int, *values: str) -> Interaction:
        made = self.interaction(message.channel_id, user_id, kind=3)
        data = {"custom_id": custom_id, "component_type": MENU, "values": list(values)}
        return self.act(made, {"data": data, "message": self._message(message)})

    def submit(self, window: dict[str, Any], user_id: int, **texts: str) -> Interaction:
        """A window sent: with what stands in its fields, or ``texts``."""
        made, rows = self.interaction(CHANNEL, user_id, kind=5), []
        for label in window["components"]:
            field = label["component"]
            if field["type"] == 4:
                value = texts.get(field["custom_id"], field.get("value") or "")
                rows.append(
                    {
                        "type": 18,
                        "id": 1,
                        "component": {"type": 4, "id": 2, "custom_id": field["custom_id"], "value": value},
                    }
                )
        return self.act(made, {"data": {"custom_id": window["custom_id"], "components": rows}})


@dataclass(frozen=True)
class Part:
    message: Message
    custom_id: str
    kind: int
    values: tuple[str, ...] = ()


def parts(message: Message) -> Iterator[Part]:
    """The live components of a message."""
    for item in items_of(message):
        if item.custom_id and not item.disabled:
            kind = MENU if item.is_menu else BUTTON
            yield Part(message, item.custom_id, kind, item.values[: min(2, item.most)])


def said(discord: Screen, made: Interaction) -> str:
    """What its presser reads by now; "" while there is only "thinking …", or progress."""
    if made.id in discord.windows:
        return f"window {discord.windows[made.id]['title']}"
    if made.followups:
        return text_of(made.followups[-1])
    message = made.message
    if message is None or message.flags & THINKING:
        return ""
    if made.id in discord.stood:
        changed = len(message.versions) > discord.stood[made.id]
        return "deleted" if message.deleted else text_of(message) * changed
    waits = text_of(message) == "…" or any(word in text_of(message) for word in PROGRESS)
    return "" if waits else text_of(message)


async def left_behind(discord: Screen, bot: ForkedBot) -> list[Part]:
    """One of each kind of message."""
    made = discord.slash("imagine", CHANNEL, ALICE, prompt="a red house --ar 3:2")
    await discord.until(lambda: made.message and "job " in text_of(made.message))
    job_id = bot.rows()[made.id][0]
    one = discord.press(made.message, f"at:{job_id}:upscale:1", ALICE)
    await discord.until(lambda: one.message and one.message.components)
    # Not square, so that Make Square is there
    wide = discord.press(one.message, f"at:{job_id}:left:1", ALICE)
    star = discord.press(one.message, f"at:{job_id}:favourite:1", ALICE)
    region = discord.press(one.message, f"at:{job_id}:region:1", ALICE)
    others = [
        discord.slash("describe", CHANNEL, ALICE, link=f"{job_id} 2"),
        discord.slash("classify", CHANNEL, ALICE, link=f"{job_id} 2"),
        discord.slash("shorten", CHANNEL, ALICE, prompt="a very red old house"),
        discord.slash("ask", CHANNEL, ALICE, question="What is on it?", link=f"{job_id} 2"),
    ]
    others.append(discord.slash("settings", CHANNEL, ALICE))
    others.append(discord.slash("imagine", CHANNEL, ALICE, prompt="a {red, blue} house"))
    await discord.until(lambda: all(said(discord, m) for m in (wide, star, region, *others)))
    second = discord.press(wide.message, f"at:{bot.rows()[wide.id][0]}:favourite:0", ALICE)
    await discord.until(lambda: said(discord, second))
    kept = discord.slash("favourites", CHANNEL, ALICE)
    await discord.until(lambda: kept.message and kept.message.components)
    shown = [m for m in discord.messages.values() if m.components and not m.deleted]
    found = [part for message in shown for part in parts(message)]
    return sorted(found, key=lambda part: [name in part.custom_id for name in LAST[::-1]])


@pytest.mark.slow
async def test_every_button_of_a_killed_bots_messages_works_with_the_next(tmp_path: Path) -> None:
    settings = {"USER_RUNNING": "50", "ASK_MODEL": "pretended/model"}
    async with Screen() as discord, ForkedBot(discord, tmp_path, **settings) as bot:
        old = await left_behind(discord, bot)
        actions = {part.custom_id.split(":")[2] for part in old if part.custom_id.startswith("at:")}
        assert actions == set(RIGHTS) - ONLY_WHILE_RUNNING - ONLY_ON_THE_WEB - ELSEWHERE
        assert {part.custom_id[:2] for part in old} == {"at", "dr", "st", "sm", "rg", "rw", "fv"}
        await bot.kill()
        await bot.start()
        windows, pressed = [], set()
        for part in old:
            if part not in parts(part.message):  # the question is answered, the settings are others by now
                continue
            if part.kind == MENU:
                made = discord.choose(part.message, part.custom_id, ALICE, *part.values)
            else:
                made = discord.press(part.message, part.custom_id, ALICE)
            await discord.until(lambda made=made: said(discord, made), 20)
            text = said(discord, made)
            wrong = (UNEXPECTED, UNEXPECTED_BESIDE, "❌", "newer version")
            assert not any(sign in text for sign in wrong), (part.custom_id, text)
            pressed.add(part.custom_id)
            if made.id in discord.windows:
                windows.append(discord.windows[made.id])
        left = {part.custom_id for part in old} - pressed
        assert all(custom_id.startswith("dr:") for custom_id in left) and len(left) == 1  # No, after Yes
        assert {window["custom_id"].split(":")[1] for window in windows} == {
            "caption",
            "short",
            "edit",
            "remix",
            "zoom",
            "region",
            "more",
            "question",
            "teach",
            "draw",
        }
        await bot.kill()
        await bot.start()
        for window in windows:  # that were open meanwhile
            kind = window["custom_id"].split(":")[1]
            words = {"prompt": "make the house blue"} if kind == "edit" else {}  # its field is empty
            made = discord.submit(
                window,
                ALICE,
                **words,
                region="" if window["custom_id"].split(":")[-1] else "the roof",
                question="And above it?",
                answer="A roof",
            )
            told = "set" if kind == "teach" else "job "
            await discord.until(lambda made=made, told=told: told in said(discord, made), 20)
            assert "❌" not in said(discord, made), (window["custom_id"], said(discord, made))


@pytest.mark.slow
async def test_a_private_jobs_old_buttons_refuse_a_stranger_after_a_restart(tmp_path: Path) -> None:
    async with Screen() as discord, ForkedBot(discord, tmp_path, USER_RUNNING="50") as bot:
        made = discord.slash("imagine", CHANNEL, ALICE, prompt="a red house --stealth")
        await discord.until(
            lambda: made.message and made.message.components and "job " in text_of(made.message)
        )
        assert made.message.flags & EPHEMERAL
        await bot.kill()
        await bot.start()
        for part in list(parts(made.message)):
            refused = discord.press(made.message, part.custom_id, ALICE + 1)
            await discord.until(lambda refused=refused: said(discord, refused))
            assert ("is private and belongs to somebody else") in said(discord, refused) and len(
                bot.rows()
            ) == 1
        own = discord.press(made.message, next(parts(made.message)).custom_id, ALICE)
        await discord.until(lambda: own.message and own.message.files)
        assert Image.open(io.BytesIO(own.message.files[0][1])).size == (64, 64)
