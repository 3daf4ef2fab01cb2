"""Selecting an object over HTTP: rights, what may be asked, one question at a time, a mask as the answer."""

import asyncio
import base64

import pytest

from studio.media import masks
from tests.studio.conftest import SIDE
from tests.web.conftest import OTHER
from vision.protocol import Answered, Declined, Question, Select, Selected


class Looker:
    """Answers questions in place of a worker. wait: until it is set."""

    def __init__(self) -> None:
        self.answer: Selected | str = "nothing is set"
        self.asked: list[Select] = []
        self.begun, self.wait = asyncio.Event(), asyncio.Event()
        self.wait.set()

    async def ask(self, question: Question) -> Answered | Declined:
        if not isinstance(question, Select):  # search asks too
            return Declined(question.question_id, "not here")
        self.asked.append(question)
        self.begun.set()
        await self.wait.wait()
        if isinstance(self.answer, str):
            return Declined(question.question_id, self.answer)
        return Answered(question.question_id, self.answer)


@pytest.fixture
def looker(site) -> Looker:
    found = Looker()
    site.opened.services.eyes._executor = found
    return found


ROWS = masks.Bits(SIDE, SIDE, b"\xf0" + bytes(SIDE * SIDE // 8 - 1))
FOUND = Selected("sam", 0.75, (0, 0, 4, 1), (SIDE, SIDE), ROWS.rows, points=True, words=True)


async def test_an_object_is_found_and_comes_as_a_mask(site, looker) -> None:
    job = await site.drawn(site.you)
    looker.answer = FOUND
    source = {"job": job["id"], "n": 2}
    answer = await site.you.post("/api/selects", {"source": source, "points": [[3, 4.5, 1], [9, 9, 0]]})
    assert answer.status == 200, answer.body
    assert masks.read_mask(base64.b64decode(answer.data["mask"])) == ROWS
    assert (answer.data["by"], answer.data["score"], answer.data["box"]) == ("sam", 0.75, [0, 0, 4, 1])
    assert answer.data["points"] and answer.data["words"]
    [asked] = looker.asked
    assert asked.points == ((3, 4.5, 1), (9, 9, 0)) and asked.path.endswith(".png")
    assert len((await site.you.get("/api/jobs")).data["jobs"]) == 1, "it is no job"


async def test_getting_ready_tells_what_can_be_asked(site, looker) -> None:
    job = await site.drawn(site.you)
    looker.answer = Selected(points=False, words=True)
    answer = await site.you.post("/api/selects", {"source": {"job": job["id"], "n": 1}})
    assert answer.data == {"points": False, "words": True}


async def test_why_there_is_nothing_is_told(site, looker) -> None:
    job = await site.drawn(site.you)
    source = {"job": job["id"], "n": 1}
    looker.answer = Selected(refused="Nothing in the picture fits these words.")
    answer = await site.you.post("/api/selects", {"source": source, "words": "a cat"})
    assert (answer.status, answer.data["detail"]) == (422, "Nothing in the picture fits these words.")
    looker.answer = "no worker is ready"
    answer = await site.you.post("/api/selects", {"source": source, "words": "a cat"})
    assert answer.status == 429 and "magic wand" in answer.data["detail"]


async def test_one_question_at_a_time(site, looker) -> None:
    job = await site.drawn(site.you)
    looker.answer, source = FOUND, {"job": job["id"], "n": 1}
    looker.wait.clear()
    first = asyncio.ensure_future(site.you.post("/api/selects", {"source": source, "words": "a"}))
    await looker.begun.wait()
    second = await site.you.post("/api/selects", {"source": source, "words": "b"})
    assert second.status == 429 and "isn't answered yet" in second.data["detail"]
    looker.wait.set()
    assert (await first).status == 200
    assert (await site.you.post("/api/selects", {"source": source, "words": "c"})).status == 200


async def test_others_pictures_are_not_looked_at(site, looker) -> None:
    job, other = await site.drawn(site.you), await site.person(OTHER)
    answer = await other.post("/api/selects", {"source": {"job": job["id"], "n": 1}, "words": "a"})
    assert answer.status == 422 and looker.asked == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"points": [[1, 2]]}, "`points` takes up to 20"),
        ({"points": [[1, 2, 2]]}, "`points`"),
        ({"points": [[1, "2", 1]]}, "`points`"),
        ({"points": [[1, 2, 1]] * 21}, "`points`"),
        ({"box": [5, 5, 5, 9]}, "`box` takes"),
        ({"box": [1, 2, 3]}, "`box` takes"),
        ({"words": "x" * 81}, "`words` has 81"),
        ({"source": {"job": "x", "n": 1}}, "`source.job`"),
        ({"source": None}, "`source`"),
    ],
)
async def test_what_cannot_be_asked_is_told(site, body, words) -> None:
    answer = await site.you.post("/api/selects", {"source": {"job": "abcd2345efgh", "n": 1}, **body})
    assert answer.status == 400 and words in answer.data["detail"], answer.body
