"""How messages are laid out: within Discord's limits at their worst, and with every action in one place."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import discord
import pytest

from bot.cogs.queue import own_layout
from bot.cogs.search import FoundMenu, SearchPageButton
from bot.posts import without_result
from bot.ui import buttons, markdown, messages, turns
from bot.ui.layout import MOST_CHARACTERS, MOST_COMPONENTS, Picture, inside, layout, parts_of
from bot.ui.messages import length
from bot.ui.replies import INVALID_FORM, Post
from core.events import Cancelled, ChatAnswer, Failed, Paused, Queued
from core.job import Job, Lane, Origin, Status
from core.requests import AskRequest, ImagineRequest
from core.requests.video import VideoRequest
from jobs.queue import JobView, Snapshot
from storage.job_queries import StoredPicture
from studio.requests import actions
from tests.support.messages import actions_of, items_of, names_of, rows_of, text_of

NOW = datetime.now(UTC)
ORIGIN = Origin(10**18, 10**18, 10**18)
WORDS = "🌊 *waves* _and_ ~foam~ " * 40
WEB = "https://studio.example"
HAS = ("asks", "videos", "edits")
HOSTS = [dict(zip(HAS, one, strict=True)) for one in itertools.product((0, 1), repeat=3)]


def job_of(request: Any) -> Job:
    return Job("abcdefghijkm", request, ORIGIN, Status.DELIVERED, Lane.FAST, NOW)


DRAWN = job_of(ImagineRequest(prompt=WORDS, seed=5))
FILMED = job_of(VideoRequest(prompt=WORDS, seed=5))
ASKED = job_of(AskRequest(question=WORDS, images=("a" * 64,)))
FILE = Picture(b"x", "a file.png", WORDS)


class Shown:
    """What a layout says and offers, as a message."""

    def __init__(self, view: discord.ui.LayoutView) -> None:
        self.content, self.components = "", view.to_components()


def size_of(view: discord.ui.LayoutView) -> tuple[int, int]:
    """Components, those inside of others included; UTF-16 units of all texts."""
    texts = [one.content for one in view.walk_children() if isinstance(one, discord.ui.TextDisplay)]
    return sum(1 for _ in view.walk_children()), sum(map(length, texts))


def read(components: list[dict[str, Any]]) -> list[Any]:
    """Components as discord.py reads them in a message, where "required" says nothing."""
    found = [discord.Container(one, None) for one in components]
    for one in inside(found):
        if isinstance(one, discord.SelectMenu):
            one.required = True
    return [one.to_dict() for one in found]


def laid_out(post: Post) -> discord.ui.LayoutView:
    return layout(post.text, post.media, post.rows, post.files, post.accent)


def wide(side: int = 768) -> StoredPicture:
    return StoredPicture("a" * 64, "image/png", side, side * 2 // 3, seed=7, index=0, size=1000)


def queue_of(count: int) -> Snapshot:
    views = tuple(JobView(DRAWN, NOW, position=n + 2, eta=100.0) for n in range(count))
    return Snapshot(
        running=views[:1], waiting=views[1:], total_waiting=count - 1, paused=True, draining=False
    )


def finished() -> str:
    return messages.finished(DRAWN, {"notes": [WORDS] * 3}, notes=[WORDS])


def worst() -> dict[str, discord.ui.LayoutView]:
    """Each kind of message with as much in it as there can be."""
    long = messages.title(DRAWN)
    found = {f"abcdefghijkm {n}": WORDS for n in range(9)}
    paging = (SearchPageButton("abcdefghijkm", 1, "l"), SearchPageButton("abcdefghijkm", 3, "r"))
    answer, whole = markdown.answered(ASKED, ChatAnswer(WORDS * 90), {"notes": [WORDS] * 4})
    assert not whole
    posts = {
        "waiting": Post(messages.waiting_text(DRAWN, Queued(2, 9.0)), rows=buttons.after_end(DRAWN)),
        "progress": Post(messages.progress_text(DRAWN, 50, "12 of 30"), (FILE,), buttons.after_end(DRAWN)),
        "grid": Post(finished(), (FILE,) * 4, buttons.for_grid(DRAWN, 4, WEB)),
        "films": Post(finished(), (FILE,), buttons.for_grid(FILMED, 4, WEB, videos=True)),
        "film": Post(finished(), (FILE,), buttons.for_video(FILMED, 0, WEB)),
        "captions": Post(messages.described(DRAWN, [WORDS] * 4), (FILE,), buttons.for_captions(DRAWN, 4)),
        "shortened": Post(messages.shortened(DRAWN, [(WORDS, 0.5)]), rows=buttons.for_shortened(DRAWN, 5)),
        "labels": Post(long, (FILE,), buttons.for_labels(DRAWN, [WORDS] * 3)),
        "answer": Post(answer, (FILE,), markdown.rows_of_answer(ASKED, WORDS), (FILE,) * 4),
        "favourite": Post(long, (FILE,), buttons.for_favourite(DRAWN.id, 1, 1, 9)),
        "search": Post(WORDS, (FILE,) * 10, ((FoundMenu("abcdefghijkm", found),), paging)),
        **{
            type(event).__name__: without_result(DRAWN, event)
            for event in (Failed(WORDS), Cancelled(), Paused())
        },
        **{
            f"picture {host} {web}": Post(
                finished(), (FILE,), buttons.for_single(DRAWN, 0, wide(), web, **host)
            )
            for host in HOSTS
            for web in ("", WEB)
        },
    }
    views = {kind: laid_out(post) for kind, post in posts.items()}
    return {**views, "queue": own_layout(queue_of(95), 1)}


@pytest.mark.parametrize(("kind", "view"), worst().items())
def test_no_message_is_larger_than_discord_takes(kind: str, view: discord.ui.LayoutView) -> None:
    components, characters = size_of(view)
    assert components <= MOST_COMPONENTS and 0 < characters <= MOST_CHARACTERS
    assert all(len(row) <= 5 for row in rows_of(Shown(view)))
    assert all(0 < len(name) <= 80 for name in names_of(Shown(view)))


@pytest.mark.parametrize(("kind", "view"), worst().items())
def test_nothing_is_sent_that_discord_takes_as_given(kind: str, view: discord.ui.LayoutView) -> None:
    sent = json.dumps(view.to_components())
    given = ("null", '": false', '"required": true', '"min_values": 1', '"max_values": 1')
    assert not [words for words in given if words in sent]
    whole = discord.ui.LayoutView.to_components(view)
    assert json.dumps(read(view.to_components())) == json.dumps(read(whole))


def test_of_a_text_that_is_too_long_the_end_stays() -> None:
    view = layout(f"{'a' * 9000}\n-# seed 5 · job {DRAWN.id}", (FILE,), buttons.for_grid(DRAWN, 4))
    assert size_of(view)[1] <= MOST_CHARACTERS
    assert text_of(Shown(view)).endswith(f"\n-# seed 5 · job {DRAWN.id}")


def test_only_the_small_print_at_the_end_goes_below() -> None:
    assert parts_of("a\n-# b\nc\n-# d\n-# e") == ("a\n-# b\nc", "-# d\n-# e")
    assert parts_of("a") == ("a", "") and parts_of("-# a") == ("", "-# a")


@pytest.mark.parametrize("host", HOSTS, ids=str)
@pytest.mark.parametrize("web", ["", WEB])
@pytest.mark.parametrize("side", [768, 2048, 4096])
def test_every_action_of_a_picture_has_one_place(host: dict[str, int], web: str, side: int) -> None:
    picture = wide(side)
    offered = [action for group in actions.for_picture(DRAWN, picture) for action in group]
    offered += [*(actions.ANIMATES if host["videos"] else ()), *(actions.EDITS if host["edits"] else ())]
    offered += ["question"] if host["asks"] else []
    view = laid_out(Post("a", rows=buttons.for_single(DRAWN, 0, picture, web, **host)))
    assert Counter(actions_of(Shown(view))) == Counter(offered)


def places_of(host: dict[str, int], web: str) -> dict[str, str]:
    """Action → the row of buttons, or the menu, that has it."""
    rows = rows_of(Shown(laid_out(Post("a", rows=buttons.for_single(DRAWN, 0, wide(), web, **host)))))
    found = {}
    for item in itertools.chain(*rows):
        where = item.custom_id if item.is_menu else "button"
        found |= {action: where for action in item.values or item.custom_id.split(":")[2:3]}
    return found


def test_an_action_has_the_same_place_on_every_host() -> None:
    everything = places_of({"asks": 1, "videos": 1, "edits": 1}, WEB)
    for host, web in itertools.product(HOSTS, ("", WEB)):
        assert places_of(host, web).items() <= everything.items()


def test_a_video_has_every_action_in_one_place() -> None:
    offered = [action for group in actions.for_video(FILMED) for action in group]
    view = laid_out(Post("a", rows=buttons.for_video(FILMED, 0, WEB)))
    assert Counter(actions_of(Shown(view))) == Counter(offered)


def test_a_picture_held_back_leaves_its_buttons_in_place_but_dead() -> None:
    items = [item for row in buttons.for_grid(DRAWN, 4, gone=(2,)) for item in row]
    assert [item.item.disabled for item in items] == [n in (2, 7) for n in range(9)]


def test_a_file_is_named_as_discord_leaves_it() -> None:
    assert Picture(b"", "my café (1).png", "").file_name == "my_caf_1_.png"


def refusal(code: int) -> discord.HTTPException:
    response: Any = SimpleNamespace(status=400, reason="Bad Request")
    return discord.HTTPException(response, {"code": code, "message": "components[0].components[2]: no"})


async def test_files_are_named_where_their_bytes_are_alone() -> None:
    async def send(view: discord.ui.LayoutView, files: Sequence[discord.File]) -> list[Any]:
        return discord.http.handle_message_parameters(view=view, attachments=files).multipart or []

    told, *given = await Post("a", (FILE, FILE), files=(FILE,)).deliver(send)
    attachments = json.loads(told["value"])["attachments"]
    assert attachments == [{"id": 0}, {"id": 1}, {"id": 2, "description": FILE.alt_text}]
    assert [one["filename"] for one in given] == ["a_file.png"] * 3


async def test_a_refused_layout_is_sent_once_more_without_its_buttons(caplog) -> None:
    sent = []

    async def send(view: discord.ui.LayoutView, files: Sequence[discord.File]) -> str:
        sent.append((items_of(Shown(view)), [file.filename for file in files]))
        if len(sent) == 1:
            raise refusal(INVALID_FORM)
        return text_of(Shown(view))

    post = Post("a\n-# job 1", (FILE,), buttons.for_grid(DRAWN, 4), accent=1)
    assert await post.deliver(send) == "a\n-# job 1"
    assert len(sent[0][0]) == 9 and sent[1] == ([], sent[0][1]) and sent[0][1] == ["a_file.png"]
    assert "components[0].components[2]" in caplog.text


@pytest.mark.parametrize("code", [INVALID_FORM, 50013])
async def test_what_is_refused_for_good_is_told(code: int) -> None:
    async def send(view: discord.ui.LayoutView, files: Sequence[discord.File]) -> None:
        raise refusal(code)

    with pytest.raises(discord.HTTPException):
        await Post("a", rows=buttons.for_grid(DRAWN, 4)).deliver(send)


def test_the_menu_of_a_turn_stands_below_its_buttons() -> None:
    turn: Any = SimpleNamespace(id="abcdefghijkm", kind="draw")
    rows = turns.add_menu(buttons.after_end(DRAWN), turn)
    assert [len(row) for row in rows] == [1, 1]
