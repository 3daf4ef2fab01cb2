"""Sets of examples on the web: made, filled, tried, shown and deleted, by their owner alone."""

from core.events import Output
from core.requests import TryRequest
from jobs.executors.base import Outcome, Report
from tests.studio.conftest import png
from tests.studio.talker import Talker
from tests.web.conftest import OTHER, Browser, Site
from tests.web.test_talks import MODEL
from vision.protocol import Done, Run

WAYS = [
    {"name": "Head on CLIP", "label": "cat", "chance": 0.9, "tested": 4, "right": 3, "accuracy": 0.8},
    {"name": "chat", "label": "dog", "chance": 0.6, "tested": 4, "right": 2, "accuracy": 0.5},
]


class Trier(Talker):
    """Says of every picture that it is likely a cat."""

    async def run(self, device: str, run: Run, report: Report) -> Outcome:
        if run.kind != TryRequest.kind:
            return await super().run(device, run, report)
        found = {"model": "Head on CLIP", "ways": WAYS, "notes": ["A note."]}
        return Done(run.job_id, Output(scores=(("cat", 0.9), ("dog", 0.1)), parameters=found))


EXECUTOR = Trier
SETTINGS = MODEL


async def sent(browser: Browser, number: int) -> str:
    """The name of a picture that a browser has sent."""
    return await browser.upload(png(30 + number, 30))


async def filled(site: Site, name: str = "Pets") -> str:
    """The address of a set with two cats and, of the studio's own pictures, a dog."""
    cats = [await sent(site.you, n) for n in (1, 2)]
    made = await site.you.post("/api/examples", {"set": name, "label": "cat", "pictures": cats})
    assert made.status == 201 and made.data["count"] == 2, made.body
    job = await site.drawn(site.you, "a dog")
    dog = {"set": made.data["id"], "label": "dog", "pictures": [f"{job['id']} 2"]}
    assert (await site.you.post("/api/examples", dog)).status == 201
    return made.data["href"]


async def test_a_set_is_filled_from_files_and_own_pictures_and_listed(site: Site) -> None:
    href = await filled(site)
    [found] = (await site.you.get("/api/examples")).data["sets"]
    assert (found["name"], found["examples"], found["labels"], found["shared"]) == ("Pets", 3, 2, False)
    assert len(found["covers"]) == 3
    assert (await site.you.get(found["covers"][0])).headers["Content-Type"] == "image/webp"
    listed = await site.you.page("/examples")
    assert "3 examples of 2 labels" in listed and found["covers"][0] in listed
    shown = await site.you.page(href)
    assert shown.count('class="example"') == 3 and "cat, number 2" in shown and "dog, number 1" in shown
    assert "How often it is right" not in shown


async def test_trying_a_set_tells_what_both_ways_say_and_how_often_they_are_right(site: Site) -> None:
    href = await filled(site)
    picture = await sent(site.you, 9)
    tried = await site.you.post(f"/api{href}/try", {"picture": picture, "key": "once"})
    assert tried.status == 202 and tried.data["href"] == f"{href}#try-{tried.data['job']}"
    assert (await site.you.post(f"/api{href}/try", {"picture": picture, "key": "once"})).data == tried.data
    await site.finished(tried.data["job"])
    shown = await site.you.page(href)
    assert "3 of 4 test examples right, about 80 % of new pictures" in shown
    assert "2 of 4 test examples right, about 50 % of new pictures" in shown
    assert "chat says dog (60 %)" in shown and "90 %" in shown and "A note." in shown
    assert f"/files/uploads/{picture}.webp" in shown and "data-open" not in shown


async def test_a_set_with_one_label_says_what_is_missing(site: Site) -> None:
    one = {"set": "One", "label": "cat", "pictures": [await sent(site.you, 1)]}
    made = await site.you.post("/api/examples", one)
    refused = await site.you.post(f"/api{made.data['href']}/try", {"picture": await sent(site.you, 2)})
    assert refused.status == 400 and "one label" in refused.data["detail"]
    assert "A set needs at least two labels" in await site.you.page(made.data["href"])


async def test_a_set_of_questions_is_tried_in_a_conversation(site: Site) -> None:
    asked = {"set": "Bills", "label": "12.50", "question": "What is the sum?"}
    asked["pictures"] = [await sent(site.you, 1)]
    href = (await site.you.post("/api/examples", asked)).data["href"]
    shown = await site.you.page(href)
    assert "What is the sum?" in shown and "12.50" in shown and "Questions and answers" in shown
    tried = await site.made(f"/api{href}/try", {"picture": await sent(site.you, 2)})
    assert "12.50" in await site.you.page(f"/talk/{tried['id']}"), "the model was told the example"


async def test_what_is_wrong_is_told(site: Site) -> None:
    picture = await sent(site.you, 1)
    for body, problem in (
        ({"label": "cat", "pictures": [picture]}, "`set` is missing"),
        ({"set": "Pets", "pictures": [picture]}, "`label` is missing"),
        ({"set": "Pets", "label": "cat", "pictures": []}, "no picture"),
        ({"set": "Pets", "label": "x" * 81, "pictures": [picture]}, "81"),
        ({"set": "Pets", "label": "cat", "pictures": ["0" * 64]}, "gone"),
        ({"set": "Pets", "label": "cat", "pictures": [picture] * 33}, "up to 32"),
    ):
        answer = await site.you.post("/api/examples", body)
        assert answer.status in (400, 422) and problem in answer.data["detail"], answer.body


async def test_examples_labels_and_sets_are_deleted(site: Site) -> None:
    href = await filled(site)
    [found] = (await site.you.get("/api/examples")).data["sets"]
    first = found["covers"][0]
    example = first.rpartition("/")[2].removesuffix(".webp")
    assert (await site.you.ask("DELETE", f"/api{href}?example={example}")).status == 204
    assert (await site.you.get(first)).status == 422
    for wrong in (example, "x"):
        assert (await site.you.ask("DELETE", f"/api{href}?example={wrong}")).status == 400, wrong
    assert (await site.you.ask("DELETE", f"/api{href}?label=dog")).status == 204
    [found] = (await site.you.get("/api/examples")).data["sets"]
    assert (found["examples"], found["labels"]) == (1, 1)
    assert (await site.you.ask("DELETE", f"/api{href}")).status == 204
    assert (await site.you.get(href)).status == 404
    made = await site.you.post("/api/examples/new", {"name": "Empty"})
    assert made.status == 201 and "This set is empty" in await site.you.page(made.data["href"])


async def test_somebody_elses_set_looks_like_none(site: Site) -> None:
    href = await filled(site)
    [found] = (await site.you.get("/api/examples")).data["sets"]
    other = await site.person(OTHER)
    picture = await sent(other, 1)
    for method, path, body in (
        ("GET", href, {}),
        ("GET", found["covers"][0], {}),
        ("POST", f"/api{href}/try", {"json": {"picture": picture}}),
        ("DELETE", f"/api{href}", {}),
    ):
        assert (await other.ask(method, path, **body)).status == 404, path
    assert (await other.get("/api/examples")).data == {"sets": []}
    stolen = {"set": "Mine", "label": "cat", "pictures": [await sent(site.you, 1)]}
    assert (await other.post("/api/examples", {**stolen, "pictures": ["f" * 64]})).status == 422
    named = {"set": found["id"], "label": "cat", "pictures": [picture]}
    made = await other.post("/api/examples", named)  # nobody's set is called by an id: one is made
    assert made.status == 400 or made.data["id"] != found["id"]
    assert len((await site.you.get("/api/examples")).data["sets"][0]["covers"]) == 3
