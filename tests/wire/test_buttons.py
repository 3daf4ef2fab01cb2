"""Every button and menu of messages that a killed bot left behind, pressed with a new process on the same
data folder."""

import dataclasses
import io
import re
import time
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
ONLY_WHILE_RUNNING = {"cancel", "stop"}
# What only videos have is pressed after a restart in tests/bot/test_video.py, what verdicts and trainings
# have in tests/bot/test_own_models.py, cameras in test_cameras.py, what an editor brings in test_edit.py, and
# what a taste left out in test_taste_buttons.py.
ELSEWHERE = {
    *OF_VIDEOS,
    "gif",
    "three",
    "others",
    "isright",
    "iswrong",
    "falsealarm",
    "snooze",
    "verdict",
    "project",
}

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
    """The live components of a message; of a menu each entry, or two where several may be chosen or all do
    alike."""
    for item in items_of(message):
        if item.custom_id and not item.disabled and item.is_menu:
            values = item.values[:2] if item.custom_id.startswith("sh:") else item.values
            chosen = [item.values[:2]] if item.most > 1 else [(value,) for value in values]
            yield from (Part(message, item.custom_id, MENU, values) for values in chosen)
        elif item.custom_id and not item.disabled:
            yield Part(message, item.custom_id, BUTTON)


def act(discord: Screen, part: Part, user_id: int = ALICE) -> Interaction:
    """Somebody presses a button, or chooses in a menu."""
    if part.kind == MENU:
        return discord.choose(part.message, part.custom_id, user_id, *part.values)
    return discord.press(part.message, part.custom_id, user_id)


def action_of(part: Part) -> str:
    """What a button of a job, or an entry of its menu, does; "" for others."""
    kind, *rest = part.custom_id.split(":")
    return {"at": rest[1] if len(rest) > 1 else "", "mn": "".join(part.values)}.get(kind, "")


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
    wide = discord.choose(one.message, f"mn:{job_id}:1:frame", ALICE, "left")
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
    sheet = discord.slash("imagine", CHANNEL, ALICE, prompt="a {red, blue} boat --sheet")
    await discord.until(lambda: sheet.message and "job " in text_of(sheet.message))
    draft = discord.choose(sheet.message, f"sh:{bot.rows()[sheet.id][0]}:upscale", ALICE, "11")
    others.append(draft)
    await discord.until(lambda: all(said(discord, m) for m in (wide, star, region, *others)))
    second = discord.press(wide.message, f"at:{bot.rows()[wide.id][0]}:favourite:0", ALICE)
    await discord.until(lambda: said(discord, second))
    kept = discord.slash("favourites", CHANNEL, ALICE)
    await discord.until(lambda: kept.message and kept.message.components)
    shown = [m for m in discord.messages.values() if m.components and not m.deleted]
    found = [part for message in shown for part in parts(message)]
    own = ("full", "seed")  # the others are as of any picture
    found = [part for part in found if part.message is not draft.message or action_of(part) in own]
    return sorted(
        found, key=lambda part: [name in (action_of(part) or part.custom_id) for name in LAST[::-1]]
    )


@pytest.mark.slow
async def test_every_button_of_a_killed_bots_messages_works_with_the_next(tmp_path: Path) -> None:
    settings = {"USER_RUNNING": "50", "ASK_MODEL": "pretended/model"}
    async with Screen() as discord, ForkedBot(discord, tmp_path, **settings) as bot:
        old = await left_behind(discord, bot)
        assert {action_of(part) for part in old} - {""} == set(RIGHTS) - ONLY_WHILE_RUNNING - ELSEWHERE
        assert {part.custom_id[:2] for part in old} == {"at", "mn", "dr", "st", "sm", "rg", "rw", "fv", "sh"}
        await bot.kill()
        await bot.start()
        windows, pressed = [], set()
        for part in old:
            if part not in parts(part.message):  # the question is answered, the settings are others by now
                continue
            made = act(discord, part)
            await discord.until(lambda made=made: said(discord, made), 20)
            text = said(discord, made)
            wrong = (UNEXPECTED, UNEXPECTED_BESIDE, "❌", "newer version")
            assert not any(sign in text for sign in wrong), (part.custom_id, text)
            pressed.add((part.custom_id, part.values))
            if made.id in discord.windows:
                windows.append(discord.windows[made.id])
        left = {(part.custom_id, part.values) for part in old} - pressed
        assert [custom_id[:3] for custom_id, _ in left] == ["dr:"], left  # No, after Yes
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
            refused = act(discord, part, ALICE + 1)
            await discord.until(lambda refused=refused: said(discord, refused))
            assert ("is private and belongs to somebody else") in said(discord, refused) and len(
                bot.rows()
            ) == 1
        own = discord.press(made.message, next(parts(made.message)).custom_id, ALICE)
        await discord.until(lambda: own.message and own.message.files)
        assert Image.open(io.BytesIO(own.message.files[0][1])).size == (64, 64)


# The rows that a single picture had before messages were made of components, and those of its grid
PLAIN_PICTURE = (
    ("up2s", "up2c", "up4s", "up4c", "hd"),
    ("subtle", "strong", "region", "remix", "again"),
    ("zoom20", "zoom15", "zoom", "cutout"),
    ("left", "right", "up", "down", "favourite"),
    ("describe", "classify", "details", "dm", "delete"),
)
PLAIN_GRID = (("upscale", "again"), ("vary",))


def plain(discord: Discord, job_id: str, rows: tuple[tuple[str, ...], ...]) -> Message:
    """A message as an earlier version left it behind: words and rows of buttons."""
    message = discord.post(CHANNEL, f"**a red house** - <@{ALICE}> (fast)\n-# seed 5 · job {job_id}")
    for row in rows:
        named = [(action, f"at:{job_id}:{action}:1") for action in row]
        made = [{"type": BUTTON, "style": 2, "label": name, "custom_id": own} for name, own in named]
        message.components.append({"type": 1, "components": made})
    return message


async def pressed_on_old_messages(folder: Path, count: int) -> list[float]:
    """Seconds until each press was answered: on so many plain messages of an earlier version, and as many
    made of components, that a killed bot left behind."""
    settings = {"USER_RUNNING": "50", "USER_WAITING": "5000", "GUILD_WAITING": "5000"}
    async with Screen() as discord, ForkedBot(discord, folder, **settings) as bot:
        made = discord.slash("imagine", CHANNEL, ALICE, prompt="a red house --seed 5")
        await discord.until(lambda: made.message and "job " in text_of(made.message))
        job_id = bot.rows()[made.id][0]
        one = discord.press(made.message, f"at:{job_id}:upscale:1", ALICE)
        await discord.until(lambda: one.message and one.message.components)
        kinds = [[*parts(plain(discord, job_id, rows))] for rows in (PLAIN_PICTURE, PLAIN_GRID)]
        kinds += [[*parts(message)] for message in (made.message, one.message)]
        await bot.kill()
        await bot.start()
        seconds = []
        for number in range(count):
            inside = kinds[number % len(kinds)]
            part = inside[number // len(kinds) % len(inside)]
            old = dataclasses.replace(part.message, id=discord.new_id(), versions=[])
            discord.messages[old.id] = old
            began = time.monotonic()
            answer = act(discord, dataclasses.replace(part, message=old))
            await discord.until(lambda answer=answer, old=old: answer.acknowledged or old.deleted, 20)
            seconds.append(time.monotonic() - began)
            await discord.until(lambda answer=answer: said(discord, answer), 60)
            wrong = (UNEXPECTED, UNEXPECTED_BESIDE, "newer version", "❌")
            assert not any(sign in said(discord, answer) for sign in wrong), (part, said(discord, answer))
        return seconds


@pytest.mark.slow
async def test_old_messages_of_both_kinds_are_answered_after_a_kill(tmp_path: Path) -> None:
    seconds = await pressed_on_old_messages(tmp_path, 100)
    assert len(seconds) == 100 and max(seconds) <= 3
