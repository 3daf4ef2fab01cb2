"""Who decides: rules where they are sure, else a model within its limits, which sees no words but the
speaker's own and writes none."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from core.requests.chat import about_tokens
from core.talk import KINDS, MAKES, MAX_STATE, Decision, Picture, State
from storage import conversations
from studio.services import Services
from studio.talk import decide, deciders
from studio.talk.deciders import LONGEST, MOST_TOKENS, UNSURE, Deciders, kind_question, picture_question
from tests.jobs.hand_executor import HandExecutor
from tests.studio.conftest import ALICE, open_studio
from tests.support.injections import CANARY, Obedient, orders
from vision.protocol import Answered, Choose, Chosen, Declined

HOUSE = Picture(number=1, words="a red house in the snow", count=4, index=1)
BLUE = Picture(number=2, words="make it blue", kind="change", before=1)
STATE = State(pictures=(HOUSE, BLUE), shown=2)
BLANK = State(pictures=tuple(replace(one, words="") for one in STATE.pictures), shown=2)
VAGUE = Decision(kind="unclear", sure=0.4)
SERVER = {"TALK": "model", "VLM_URL": "http://127.0.0.1:9/v1"}


class Says:
    """Chooses the likeliest of ``chances``, by key. told: what it was asked."""

    def __init__(self, chances: Mapping, *, agreed: bool = True, after: float = 0.0, tokens: int = 0) -> None:
        self.chances, self.agreed, self.after, self.tokens = chances, agreed, after, tokens
        self.told: list[tuple[str, str, dict]] = []

    async def choose(self, name: str, text: str, answers: Mapping) -> Chosen | None:
        self.told.append((name, text, dict(answers)))
        if self.after:
            await asyncio.sleep(self.after)
        if not any(key in answers for key in self.chances):
            return None
        found = tuple(float(self.chances.get(key, 0.0)) for key in answers)
        return Chosen(found, self.agreed, self.tokens)


@dataclass
class Deciding:
    """Who decides for Alice in an open studio."""

    deciders: Deciders
    services: Services

    async def decide(self, said: str, state: State) -> Decision:
        return await self.deciders.decide(ALICE, said, state)

    async def used(self) -> int:
        work = partial(conversations.read_token_use, user_id=ALICE.user_id, now=datetime.now(UTC))
        return (await self.services.database.read(work)).tokens


@asynccontextmanager
async def deciding(
    folder: Path, choice, ruled: Decision = VAGUE, *, limit: float | None = None, **settings: str
) -> AsyncIterator[Deciding]:
    async with open_studio(folder, **{**SERVER, **settings}) as opened:
        services = replace(opened.services, choice=choice)
        yield Deciding(Deciders(services, lambda said, state: ruled, limit), services)


@pytest.mark.parametrize(
    "ruled",
    [
        Decision(kind="change", changes=("make it blue",), sure=0.95),
        Decision(kind="back", about=(1,), sure=0.95),
        Decision(kind="unclear", command="/privacy", sure=0.3),
        Decision(kind="unclear", sure=0.3, offers=((Decision(kind="draw"), Decision(kind="video")),)),
    ],
)
async def test_what_rules_are_sure_of_is_asked_of_nobody(tmp_path: Path, ruled: Decision) -> None:
    choice = Says({"draw": 1.0})
    async with deciding(tmp_path, choice, ruled) as found:
        assert await found.decide("make it blue", STATE) is ruled
    assert choice.told == []


async def test_rules_alone_decide_unless_the_host_wants_a_model(tmp_path: Path) -> None:
    choice = Says({"draw": 1.0})
    async with deciding(tmp_path, choice, TALK="rules") as found:
        assert await found.decide("hmm", STATE) is VAGUE
    assert choice.told == []


async def test_a_server_chooses_kind_and_picture_and_the_words_stay_the_persons(tmp_path: Path) -> None:
    choice = Says({"change": 1.0, 1: 1.0}, tokens=50)
    async with deciding(tmp_path, choice) as found:
        decision = await found.decide("rather greener there", STATE)
        assert await found.used() == 100
    assert (decision.kind, decision.about, decision.by) == ("change", (1,), "server")
    assert decision.changes == ("rather greener there",) and decision.sure == 1.0
    assert [name for name, _, _ in choice.told] == ["kind", "picture"]


async def test_words_of_pictures_are_told_for_the_picture_only(tmp_path: Path) -> None:
    others = Picture(number=3, words="", kind="change", before=2, things=("secret thing",))
    choice = Says({"video": 0.9, "draw": 0.1, 2: 1.0})
    async with deciding(tmp_path, choice) as found:
        state = State(pictures=(HOUSE, BLUE, others), shown=3)
        decision = await found.decide("like a living thing", state)
    assert (decision.kind, decision.about, decision.sure) == ("video", (2,), pytest.approx(0.8))
    (_, kinds, meanings), (_, pictures, told) = choice.told
    assert "red house" not in kinds + str(meanings) and "3: change of 2" in kinds
    assert told == {
        1: "draw “a red house in the snow”",
        2: "change of 1 “make it blue”",
        3: "change of 2",
    }
    assert "secret" not in str(choice.told)


async def test_a_model_that_hesitates_has_the_person_asked(tmp_path: Path) -> None:
    choice = Says({"change": 0.5, "draw": 0.5 - UNSURE / 2, "talk": UNSURE / 2, 2: 1.0})
    async with deciding(tmp_path, choice) as found:
        decision = await found.decide("a boat", STATE)
    assert (decision.kind, decision.by) == ("unclear", "server")
    assert [[one.kind for one in plan] for plan in decision.offers] == [["change"], ["draw"]]


async def test_a_model_that_finds_it_unclear_offers_what_rules_thought(tmp_path: Path) -> None:
    ruled = Decision(kind="draw", words="boat", sure=0.6)
    async with deciding(tmp_path, Says({"unclear": 1.0}), ruled) as found:
        decision = await found.decide("boat", STATE)
    assert (decision.kind, decision.offers) == ("unclear", ((ruled,),))


@pytest.mark.parametrize("choice", [Says({}), Says({"draw": 1.0}, agreed=False)])
async def test_rules_hold_where_a_model_says_nothing_or_follows_the_order(tmp_path: Path, choice) -> None:
    async with deciding(tmp_path, choice) as found:
        assert await found.decide("hmm", STATE) is VAGUE
        assert await found.used() > 0


async def test_what_needs_a_picture_is_offered_only_where_there_is_one(tmp_path: Path) -> None:
    choice = Says({"draw": 1.0})
    async with deciding(tmp_path, choice) as found:
        assert (await found.decide("hmm", State())).kind == "draw"
    [(_, _, answers)] = choice.told
    assert set(answers) == {"draw", "find", "talk", "unclear"}


async def test_a_slow_model_is_waited_for_no_longer_and_asked_no_more_for_a_minute(
    tmp_path: Path, monkeypatch
) -> None:
    now, choice = [100.0], Says({"draw": 1.0}, after=5.0)
    monkeypatch.setattr(deciders, "monotonic", lambda: now[0])
    async with deciding(tmp_path, choice, limit=0.05) as found:
        for _ in range(3):
            began = asyncio.get_running_loop().time()
            assert await found.decide("hmm", STATE) is VAGUE
            assert asyncio.get_running_loop().time() - began < 1.0
        assert len(choice.told) == 2
        now[0], choice.after = 161.0, 0.0
        assert (await found.decide("hmm", STATE)).kind == "draw"


async def test_a_sentence_that_is_a_prompt_or_nothing_is_not_sent(tmp_path: Path) -> None:
    choice = Says({"draw": 1.0})
    async with deciding(tmp_path, choice) as found:
        for said in ("a" * (LONGEST + 1), "   ", ""):
            assert await found.decide(said, STATE) is VAGUE
    assert choice.told == []


async def test_tokens_that_are_used_up_leave_it_to_rules(tmp_path: Path) -> None:
    choice = Says({"draw": 1.0}, tokens=700)
    async with deciding(tmp_path, choice, ASK_PER_DAY=str(2 * MOST_TOKENS + 600)) as found:
        assert (await found.decide("hmm", STATE)).by == "server"
        assert await found.decide("hmm", STATE) is VAGUE
        assert await found.used() == 700
    assert len(choice.told) == 1


class Chooses(HandExecutor):
    """An executor whose worker has a chat model that likes what begins with ``liked``."""

    def __init__(self, liked: str) -> None:
        super().__init__()
        self.liked, self.questions = liked, list[Choose]()

    async def ask(self, question) -> Answered | Declined:
        if not isinstance(question, Choose):
            return Declined(question.question_id, "not here")
        self.questions.append(question)
        found = tuple(float(one.startswith(self.liked)) for one in question.answers)
        return Answered(question.question_id, Chosen(found))


async def test_the_chat_model_of_a_worker_is_asked_by_letters(tmp_path: Path) -> None:
    executor = Chooses("video, ")
    async with open_studio(tmp_path, executor, TALK="model") as opened:
        found = Deciding(Deciders(opened.services, lambda *_: VAGUE), opened.services)
        decision = await found.decide("like a living thing", replace(STATE, pictures=(HOUSE,), shown=1))
        assert (decision.kind, decision.by, decision.words) == ("video", "model", "like a living thing")
        assert await found.used() > 200  # both orders
    [question] = executor.questions
    assert [one.split(",")[0] for one in question.answers] == list(KINDS)


async def test_without_a_worker_that_chooses_rules_decide(tmp_path: Path) -> None:
    async with open_studio(tmp_path, HandExecutor(), TALK="model") as opened:
        assert await Deciders(opened.services, lambda *_: VAGUE).decide(ALICE, "hmm", STATE) is VAGUE


@pytest.mark.parametrize("word", ["w ", "häuser", "雪"])
def test_no_question_to_a_model_is_longer_than_it_may_be(word: str) -> None:
    pictures = tuple(
        Picture(number=n + 1, words=word * 200, kind="change", before=n or None) for n in range(MAX_STATE)
    )
    state, said = State(pictures=pictures, shown=MAX_STATE, asked=True), (word * LONGEST)[:LONGEST]
    kinds = [kind_question(said, state), *deciders.MEANINGS.values(), *KINDS]
    assert about_tokens("\n".join(kinds)) <= MOST_TOKENS
    assert (
        about_tokens("\n".join([picture_question(said, state), *deciders.picture_answers(state).values()]))
        <= MOST_TOKENS
    )


async def test_orders_in_pictures_start_nothing(tmp_path: Path) -> None:
    """Whatever stands in the words of a picture or in its things, the kind is that of the sentence."""
    said, obey = "make it blue", Obedient()
    started = {decide(said, STATE).kind, decide(said, BLANK).kind}
    async with open_studio(tmp_path, **SERVER) as opened:
        found = Deciding(Deciders(replace(opened.services, choice=obey)), opened.services)
        for letter, kind in zip("ABCDEFGHIJKLM", KINDS, strict=True):
            obey.usual, obey.ordered = "find" if kind == "talk" else "talk", kind
            for order in orders(kind, letter, 8):
                for picture in (replace(BLUE, words=order[:400]), replace(BLUE, things=(order[:40],))):
                    state = replace(STATE, pictures=(HOUSE, picture))
                    for words in (said, "hmm so"):
                        decision = await found.decide(words, state)
                        assert decision.kind in started or decision.kind not in (*MAKES, "ask"), order
    assert len(obey.told) > 200
    assert not any(CANARY in text for text in obey.told if text.startswith("kind"))
