"""Pictures of minors and words for them, by every door of the web. Guilty words are taken from the lists."""

import pytest

from studio.moderation.rules import LISTS, Sense
from tests.studio.conftest import AllFit
from tests.studio.talker import Talker
from tests.web.conftest import Site
from tests.web.test_examples import sent
from tests.web.test_talks import MODEL

CHILD, EXPLICIT = LISTS[Sense.MINOR].listed[0], LISTS[Sense.EXPLICIT].listed[0]
SUGGESTIVE, CLOTHES = LISTS[Sense.SUGGESTIVE].listed[0], LISTS[Sense.CLOTHES].listed[0]


class Judge(AllFit):
    """A classifier that finds every picture as fit."""

    def __init__(self, score: float) -> None:
        self.name, self.said = str(score), score

    async def score(self, data: bytes) -> float:
        return self.said


EXECUTOR = Talker
SETTINGS = {"MODERATION": "standard", **MODEL}


@pytest.mark.parametrize(
    "prompt",
    [
        f"a {CHILD}, {EXPLICIT}",
        f"a house::1 a {CHILD} {EXPLICIT}::2",
        f"a {CHILD} --no {CLOTHES}",
        f"a {CHILD}::1 {CLOTHES}::-0.4",
        f"a {CHILD} {SUGGESTIVE}",
    ],
)
async def test_guilty_prompts_make_no_job(site: Site, prompt: str) -> None:
    answer = await site.you.post("/api/jobs", {"prompt": prompt})
    assert answer.status == 403 and "rule blocked" in answer.data["detail"], answer.body


async def test_a_suffix_undresses_nobody(site: Site) -> None:
    assert (await site.you.ask("PATCH", "/api/settings", json={"suffix": f"--no {CLOTHES}"})).status < 300
    assert (await site.you.post("/api/jobs", {"prompt": f"a {CHILD}"})).status == 403


@pytest.mark.parametrize("words", [EXPLICIT, SUGGESTIVE])
async def test_new_words_do_not_sexualise_a_picture_of_a_minor(site: Site, words: str) -> None:
    job = await site.drawn(site.you, f"a {CHILD} at a lake")
    for source in (job["id"], await made(site, f"/api/jobs/{job['id']}/1/subtle", words="at a lake")):
        for action in ("remix", "strong", "subtle", "edit"):
            answer = await site.you.post(f"/api/jobs/{source}/1/{action}", {"words": words})
            assert answer.status == 403, (action, answer.body)
        answer = await site.you.post("/api/jobs", {"prompt": words, "pictures": [f"{source} 1"]})
        assert answer.status == 403, answer.body
        answer = await site.you.post("/api/talk", {"question": words, "pictures": [f"{source} 1"]})
        assert answer.status == 403, answer.body


async def test_guilty_names_and_labels_are_not_taken(site: Site) -> None:
    guilty, picture = f"{CHILD} {EXPLICIT}", await sent(site.you, 1)
    for given in ({"set": guilty, "label": "cat"}, {"set": "Pets", "label": guilty}):
        answer = await site.you.post("/api/examples", {**given, "pictures": [picture]})
        assert 400 <= answer.status < 500, answer.body
    for given in ({"name": guilty, "task": "classify"}, {"name": "Mine", "task": "style", "words": guilty}):
        answer = await site.you.post("/api/projects", given)
        assert 400 <= answer.status < 500, answer.body


async def made(site: Site, path: str, **body: str) -> str:
    """Return the id of a job that was asked for by a path, when it is over; nobody has looked at it."""
    [job] = (await site.you.post(path, body)).data["jobs"]
    await site.finished(job["id"])
    return job["id"]


async def test_a_doubtful_picture_of_a_minor_is_shown_by_nothing_that_is_made_from_it(site: Site) -> None:
    moderator = site.opened.services.moderator
    moderator.check = Judge(0.0)
    job = await made(site, "/api/jobs", prompt=f"a {CHILD} at a lake")
    remix = await made(site, f"/api/jobs/{job}/1/subtle", words="at a lake")
    read = await made(site, f"/api/jobs/{remix}/1/classify")
    why = await made(site, f"/api/jobs/{read}/1/why")
    moderator.check = Judge(0.6)
    for one in (job, remix):
        shown = (await site.you.get(f"/api/jobs/{one}")).data["pictures"]
        assert {picture["visibility"] for picture in shown} == {"block"}
        assert (await site.you.get(shown[0]["original"])).status == 451
    assert (await site.you.get(f"/files/{why}/0")).status == 451
    for action in ("read", "describe", "classify", "up2s"):
        answer = await site.you.post(f"/api/jobs/{job}/1/{action}")
        assert answer.status == 403, (action, answer.body)
    assert (await site.drawn(site.you, "a boat"))["pictures"][0]["visibility"] == "show"
