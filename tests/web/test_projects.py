"""Own models on the web: a project is made, filled, labelled, trained, read about, tried, told when it is
wrong, set up and forgotten, by whoever may and nobody else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from studio.actor import Actor
from tests.studio.conftest import png
from tests.studio.servers import Server, Servers
from tests.web.conftest import OTHER, YOU, Answered, Browser, Site, open_site
from tests.web.teacher import Teacher
from tests.web.test_folders import form


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, Teacher()) as found:
        yield found


def part(number: int, *, bad: bool = False) -> bytes:
    """A light part, or a dark one with a defect; each number another picture."""
    return png(40 + number, 40, (30, 30, 30) if bad else (230, 230, 230))


async def send(
    browser: Browser, path: str, files: list[tuple[str, bytes]], field: str = "files", **fields: str
) -> Answered:
    """What a form with files answers."""
    sent = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        sent.add_field(name, value)
    for name, data in files:
        sent.add_field(field, data, filename=name, content_type="image/png")
    return await browser.ask("POST", path, data=sent)


async def project(site: Site, name: str = "boards", good: int = 8, bad: int = 4) -> str:
    """The id of a project with so many labelled pictures."""
    made = await site.you.post("/api/projects", {"name": name})
    assert made.status == 201, made.body
    path = f"/api/projects/{made.data['id']}/pictures"
    if good:
        parts = [(f"{n}.png", part(n)) for n in range(good)]
        assert (await send(site.you, path, parts, label="good")).data["sentence"] == f"{good} taken."
    if bad:
        parts = [(f"b{n}.png", part(n, bad=True)) for n in range(bad)]
        assert (await send(site.you, path, parts, label="scratch")).status == 200
    return str(made.data["id"])


async def trained(site: Site, project_id: str) -> dict[str, Any]:
    """A version that was trained just now."""
    asked = await site.you.post(f"/api/projects/{project_id}/train", {"seed": 3})
    assert asked.status == 202, asked.body
    await site.finished(asked.data["job"])
    versions: list[dict[str, Any]] = (await site.you.get(f"/api/projects/{project_id}/versions")).data[
        "versions"
    ]
    return versions[0]


async def tried(site: Site, project_id: str, *pictures: bytes) -> str:
    """The job that asked about pictures."""
    files = [(f"{n}.png", data) for n, data in enumerate(pictures)]
    asked = await send(site.you, f"/api/projects/{project_id}/try", files)
    assert asked.status == 202, asked.body
    await site.finished(asked.data["job"])
    return str(asked.data["job"])


async def page(site: Site, path: str, browser: Browser | None = None) -> str:
    answer = await (browser or site.you).get(path)
    assert answer.status == 200, (path, answer.body)
    return answer.body.decode()


async def test_a_project_is_made_listed_and_filled(site: Site) -> None:
    assert "No projects yet" in await page(site, "/projects")
    made = await site.you.post("/api/projects", {"name": "boards", "task": "anomaly"})
    here = made.data["href"]
    empty = await page(site, here)
    assert "No pictures yet" in empty and "No good picture yet: one is enough to begin with" in empty
    taken = await send(site.you, f"/api{here}/pictures", [("a.png", part(1)), ("n.png", b"no")])
    assert taken.data["sentence"].startswith("1 taken, 1 refused: `n.png`")
    text = await page(site, here)
    assert text.count('class="item"') == 1 and "no label yet" in text
    [listed] = (await site.you.get("/api/projects")).data["projects"]
    assert (listed["name"], listed["task"], listed["shared"]) == ("boards", "anomaly", False)
    cover = (
        (await page(site, "/projects")).partition('covers" data-count="1"><img src="')[2].partition('"')[0]
    )
    assert (await site.you.get(cover)).headers["Content-Type"] == "image/webp"


async def test_folders_in_a_zip_file_are_labels(site: Site) -> None:
    project_id = (await site.you.post("/api/projects", {"name": "boards"})).data["id"]
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for number in range(3):
            archive.writestr(f"boards/good/{number}.png", part(number))
        archive.writestr("boards/scratch/1.png", part(1, bad=True))
        archive.writestr("boards/read.me", "hello")
    answer = await send(site.you, f"/api/projects/{project_id}/pictures", [("boards.zip", held.getvalue())])
    assert answer.data["sentence"].startswith("4 taken, 1 refused: `read.me`"), answer.body
    card = (await site.you.get(f"/api/projects/{project_id}")).data
    assert {label["name"]: label["count"] for label in card["labels"]} == {"good": 3, "scratch": 1}
    shown = await page(site, f"/projects/{project_id}?label=scratch")
    assert shown.count('class="item"') == 1


async def test_pictures_of_ones_own_come_in_and_shots_of_one_thing_stay_together(site: Site) -> None:
    project_id = (await site.you.post("/api/projects", {"name": "boards"})).data["id"]
    job = await site.drawn(site.you)
    path = f"/api/projects/{project_id}/pictures"
    named = {"pictures": f"{job['id']}/1 {job['id']}/2", "label": "good", "together": "1"}
    assert (await send(site.you, path, [], **named)).data["sentence"] == "2 taken."
    assert (await send(site.you, path, [], **named)).data["sentence"] == "0 taken, 2 here already."
    wrong = await send(site.you, path, [], pictures="none")
    assert wrong.status == 400 and "abcd2345efgh/2" in wrong.data["detail"]
    assert (await send(site.you, path, [])).status == 422


async def test_pages_of_pictures_follow_each_other(site: Site) -> None:
    project_id = await project(site, good=70, bad=0)
    first = (await site.you.get(f"/api/projects/{project_id}/pictures")).data["pictures"]
    assert len(first) == 60
    shown = await page(site, f"/projects/{project_id}")
    assert f"?after={first[-1]['id']}" in shown
    rest = (await site.you.get(f"/api/projects/{project_id}/pictures?after={first[-1]['id']}")).data[
        "pictures"
    ]
    assert len(rest) == 10 and not {one["id"] for one in rest} & {one["id"] for one in first}


async def test_a_pile_is_labelled_skipped_and_undone(site: Site) -> None:
    project_id = (await site.you.post("/api/projects", {"name": "boards"})).data["id"]
    one = f"/api/projects/{project_id}"
    await send(site.you, f"{one}/pictures", [(f"{n}.png", part(n)) for n in range(3)])
    asked = (await site.you.post(f"{one}/next", {})).data
    assert asked["left"] == 3
    first = asked["picture"]["id"]
    second = (await site.you.post(f"{one}/next", {"skipped": [first]})).data["picture"]["id"]
    assert second != first
    boxes = [["good", 0.1, 0.1, 0.5, 0.5]]
    done = (await site.you.post(f"{one}/marks", {"picture": first, "label": "good", "boxes": boxes})).data
    assert (done["label"], done["state"]) == ("good", "labelled")
    undone = (await site.you.post(f"{one}/marks", {"picture": first, "label": ""})).data
    assert (undone["label"], undone["state"]) == ("", "new")
    assert first in await page(site, f"/projects/{project_id}/label")
    for body, problem in (
        ({"picture": first}, "`label` is missing"),
        ({"picture": "f" * 64, "label": "good"}, "isn't in this project"),
        ({"picture": first, "label": "x" * 81}, "1 to 80"),
        ({"picture": first, "label": "good", "boxes": [["good", 1, 2]]}, "`boxes` takes"),
        ({"picture": first, "label": "good", "boxes": [["good", 0.5, 0, 0.1, 1]]}, "from left to right"),
    ):
        answer = await site.you.post(f"{one}/marks", body)
        assert answer.status in (400, 422) and problem in answer.data["detail"], answer.body


async def test_ticked_pictures_are_labelled_left_out_and_removed(site: Site) -> None:
    project_id = await project(site, good=3, bad=0)
    here = f"/projects/{project_id}"
    found = (await site.you.get(f"/api{here}/pictures")).data["pictures"]
    ids = [one["id"] for one in found]
    assert (
        await form(site.you, f"{here}/change", do="label", label="scratch", **{f"p-{ids[0]}": "1"})
    ).status == 303
    assert (await form(site.you, f"{here}/change", do="out", **{f"p-{ids[1]}": "1"})).status == 303
    assert "left out" in await page(site, f"{here}?state=left_out")
    assert (await form(site.you, f"{here}/change", do="in", **{f"p-{ids[1]}": "1"})).status == 303
    assert (await form(site.you, f"{here}/change", do="remove", **{f"p-{ids[2]}": "1"})).status == 303
    card = (await site.you.get(f"/api{here}")).data
    assert card["total"] == 2 and {label["name"]: label["count"] for label in card["labels"]} == {
        "good": 1,
        "scratch": 1,
    }
    assert (await form(site.you, f"{here}/change", do="remove")).status == 400
    assert (await form(site.you, f"{here}/change", do="eat", **{f"p-{ids[0]}": "1"})).status == 400
    gone = await site.you.post(f"/api{here}/remove", {"pictures": [ids[0]]})
    assert gone.data == {"count": 1}
    assert (await site.you.post(f"/api{here}/remove", {"pictures": ["x"]})).status == 400
    assert (await site.you.post(f"/api{here}/leave-out", {"pictures": [ids[1]], "out": True})).status == 204
    assert (await site.you.get(found[0]["small"])).status == 404


async def test_a_version_is_trained_read_about_and_compared(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    first = await trained(site, project_id)
    assert (first["number"], first["state"], first["usable"]) == (1, "active", True)
    report = await page(site, f"{here}/report")
    assert (
        "It learned from 12 pictures." in report
        and "Area under the ROC curve" in report
        and "0.987" in report
    )
    assert "Right" in report and "3 of 3" in report and "(29 to 100 %)" in report
    assert "How strange the pictures are" in report and "The worst mistakes" in report
    for name in ("scores", "roc", "mistakes"):
        drawn = await site.you.get(f"/files{here}/versions/1/{name}")
        assert drawn.status == 200 and drawn.headers["Content-Type"] == "image/png"
    assert (await site.you.get(f"/files{here}/versions/1/none")).status == 404
    second = await trained(site, project_id)
    assert (second["number"], second["state"]) == (2, "candidate")
    compared = await page(site, f"{here}/report?version=2&with=1")
    assert "No difference between versions 1 and 2 that 3 pictures can show" in compared
    assert (await form(site.you, f"{here}/use", version="2")).headers[
        "Location"
    ] == f"{here}/report?version=2"
    assert (await site.you.get(f"/api{here}")).data["version"] == 2
    assert (await form(site.you, f"{here}/use", version="9")).status == 400
    assert (await form(site.you, f"{here}/use", version="x")).status == 400
    assert (await site.you.get(f"{here}/report?version=9")).status == 400


async def test_a_threshold_shows_what_would_change_before_it_is_kept(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    before = await trained(site, project_id)
    shown = await page(site, f"{here}/report?version=1&move=stricter")
    assert "Of 100 good parts at most about" in shown and "Keep it" in shown
    assert (await site.you.get(f"/api{here}/versions")).data["versions"][0]["threshold"] == before[
        "threshold"
    ]
    kept = await form(site.you, f"{here}/threshold", version="1", move="stricter")
    assert kept.status == 303
    after = (await site.you.get(f"/api{here}/versions")).data["versions"][0]
    assert after["threshold"] < before["threshold"]
    told = await page(site, f"{here}/report?version=1&move=fewest")
    assert "It learned from 4 defects" in told and "Keep it" not in told
    assert (await form(site.you, f"{here}/threshold", version="1", move="sideways")).status == 400


async def test_too_few_pictures_are_told_in_one_sentence(site: Site) -> None:
    project_id = await project(site, good=0, bad=2)
    refused = await site.you.post(f"/api/projects/{project_id}/train", {})
    assert refused.status == 400 and "one is enough to begin with" in refused.data["detail"]
    assert (await site.you.post(f"/api/projects/{project_id}/train", {"pixels": 7})).status == 400


async def test_a_training_that_runs_is_shown_and_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    teacher = Teacher()
    async with open_site(tmp_path, teacher) as site:
        project_id = await project(site)
        teacher.gate.clear()
        assert (await site.you.post(f"/api/projects/{project_id}/train", {"pixels": 128})).status == 202
        shown = await page(site, f"/projects/{project_id}")
        card = (await site.you.get(f"/api/projects/{project_id}")).data
        assert "A version is being trained" in shown and f"/jobs/{card['training']}/cancel" in shown
        job = (await site.you.get(f"/api/jobs/{card['training']}")).data
        assert (job["step"], job["total"], job["doing"]) == (3, 10, "compared 3 of 12")
        teacher.gate.set()
        await site.finished(card["training"])
        job = (await site.you.get(f"/api/jobs/{card['training']}")).data
        assert (job["project"], job["pictures"]) == (f"/projects/{project_id}", [])
        assert "again" not in [one["action"] for one in job["actions"]]
        assert f'href="/projects/{project_id}"' in await page(site, "/")
        assert (await site.you.get(f"/api/projects/{project_id}")).data["version"] == 1


async def test_verdicts_are_shown_told_wrong_and_taken_away(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    assert "No model yet" in await page(site, f"{here}/try")
    refused = await send(site.you, f"/api{here}/try", [("a.png", part(20))])
    assert refused.status == 400 and "has no model yet" in refused.data["detail"]
    await trained(site, project_id)
    job = await tried(site, project_id, part(21), part(22, bad=True))
    first, second = (await site.you.get(f"/api/verdicts/{job}")).data["verdicts"]
    assert (first["strange"], second["strange"], second["label"]) == (False, True, "scratch")
    shown = await page(site, f"{here}/try")
    assert "Like the good ones." in shown and "× the limit" in shown and f"/files/{job}/0" in shown
    assert (await site.you.get(f"/files/{job}/0")).status == 200
    table = await site.you.get(f"/files/verdicts/{job}.csv")
    assert (
        table.body.splitlines()[0].startswith(b"picture,version,score") and len(table.body.splitlines()) == 3
    )
    noted = await site.you.post(f"/api/verdicts/{job}/1", {"right": False, "label": "dent"})
    assert noted.data["sentence"] == "Noted; 1 new since version 1."
    answered = await form(site.you, f"{here}/answer", job=job, n="2", answer="right")
    assert answered.headers["Location"] == f"{here}/try#job-{job}"
    shown = await page(site, f"{here}/try")
    assert "found wrong" in shown and "found right" in shown and "1 new since version 1" in shown
    card = (await site.you.get(f"/api{here}")).data
    assert (card["right"], card["wrong"]) == (1, 1)
    for path, body in (
        (f"/api/verdicts/{job}/1", {}),
        (f"/api/verdicts/{job}/1", {"right": "yes"}),
        (f"/api/verdicts/{job}/9", {"right": True}),
        ("/api/verdicts/abcd2345efgh/1", {"right": True}),
    ):
        assert (await site.you.post(path, body)).status in (400, 404, 422), path
    assert (await form(site.you, f"{here}/answer", job=job, n="1", answer="maybe")).status == 400


async def test_a_bundle_is_made_and_downloaded(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    await trained(site, project_id)
    asked = await form(site.you, f"{here}/bundle", version="1")
    where = asked.headers["Location"].partition("#")[0]
    job = where.rpartition("=")[2]
    await site.finished(job)
    assert f"/files/bundles/{job}" in await page(site, where)
    file = await site.you.get(f"/files/bundles/{job}")
    assert file.body.startswith(b"PK") and "boards-v1.zip" in file.headers["Content-Disposition"]
    assert (await site.you.get("/files/bundles/abcd2345efgh")).status == 404
    assert "The bundle is being made" not in await page(site, f"{here}/report?version=1&bundle=none")


async def test_a_style_is_learned_from_pictures_without_labels_and_called_in_a_prompt(site: Site) -> None:
    made = {"name": "pencil lines", "task": "style", "words": "in pencil"}
    here = (await site.you.post("/api/projects", made)).data["href"]
    assert "0 pictures; a style needs at least 5" in await page(site, here)
    sent = await send(site.you, f"/api{here}/pictures", [(f"{n}.png", part(n)) for n in range(5)])
    assert sent.data["sentence"] == "5 taken."
    await trained(site, here.rpartition("/")[2])
    report = await page(site, f"{here}/report")
    assert "Samples" in report and "--lora pencil-lines" in report and "Threshold" not in report
    assert "Draw with it" in await page(site, f"{here}/try")
    refused = await send(site.you, f"/api{here}/try", [("a.png", part(9))])
    assert refused.status == 400 and "draws and judges nothing" in refused.data["detail"]
    card = (await site.you.get(f"/api{here}")).data
    assert (card["lora"], card["words"], card["version"]) == ("pencil-lines", "in pencil", 1)


async def test_labels_go_to_other_programs_and_come_back(site: Site) -> None:
    project_id = await project(site, good=3, bad=2)
    here = f"/projects/{project_id}"
    for kind in ("csv", "coco", "yolo"):
        packed = await site.you.get(f"/files{here}/labels-{kind}.zip")
        assert packed.status == 200 and zipfile.ZipFile(io.BytesIO(packed.body)).namelist(), kind
        along = await site.you.get(f"/files{here}/labels-{kind}.zip?pictures=1")
        names = zipfile.ZipFile(io.BytesIO(along.body)).namelist()
        assert along.status == 200 and sum(name.startswith("images/") for name in names) == 5, kind
    first = (await site.you.get(f"/api{here}/pictures")).data["pictures"][0]["id"]
    table = f"file,label\n{first}.png,dent\n{'0' * 64}.png,good\n".encode()
    done = await send(site.you, f"{here}/import", [("labels.csv", table)])
    assert done.status == 200 and "1 labelled, 0 boxes; 1 aren&#39;t in this project." in done.body.decode()
    assert (await send(site.you, f"{here}/import", [("labels.csv", b"\xff\xfe")])).status == 422
    assert (await send(site.you, f"{here}/import", [])).status == 400


async def test_settings_change_what_they_say(site: Site) -> None:
    project_id = await project(site, good=3, bad=2)
    here = f"/projects/{project_id}"
    assert (await form(site.you, f"{here}/rename", name="plates")).status == 303
    assert (await form(site.you, f"{here}/alike", alike="turns")).status == 303
    assert (await form(site.you, f"{here}/labels", label="dent", meaning="Pressed in")).status == 303
    assert (await form(site.you, f"{here}/labels/drop", label="scratch", instead="dent")).status == 303
    card = (await site.you.get(f"/api{here}")).data
    assert (card["name"], card["alike"]) == ("plates", "turns")
    assert {label["name"]: label["count"] for label in card["labels"]} == {"good": 3, "dent": 2}
    assert "Pressed in" in await page(site, f"{here}/settings")
    for end, fields in (
        ("rename", {"name": ""}),
        ("alike", {"alike": "x"}),
        ("labels", {"label": ""}),
        ("labels/drop", {"label": "good"}),
        ("share", {"role": "x"}),
        ("share", {"role": "9999999999999999999", "use": "1"}),
        ("share", {"role": "0", "use": "1"}),  # it is nobody else's
    ):
        assert (await form(site.you, f"{here}/{end}", **fields)).status == 400, end
    assert (await form(site.you, f"{here}/forget")).headers["Location"] == "/projects"
    assert (await site.you.get(here)).status == 404 and (await site.you.get("/api/projects")).data == {
        "projects": []
    }


async def test_somebody_elses_project_looks_like_none(site: Site) -> None:
    project_id = await project(site)
    await trained(site, project_id)
    job = await tried(site, project_id, part(21))
    picture = (await site.you.get(f"/api/projects/{project_id}/pictures")).data["pictures"][0]
    other = await site.person(OTHER)
    mine = (await other.post("/api/projects", {"name": project_id})).data  # called like an id
    given = {"project": project_id, "sha256": picture["id"], "suffix": "webp", "version": "1", "chart": "roc"}
    given |= {"form": "csv", "job": job, "n": "1"}
    before = (await site.you.get(f"/api/projects/{project_id}")).data
    count = 0
    for route in site.web.routes:
        if not ("{project" in route.path or "verdicts/" in route.path or "bundles/" in route.path):
            continue
        path = route.path
        for name, value in given.items():
            while f"{{{name}" in path:
                head, _, rest = path.partition(f"{{{name}")
                depth, end = 1, 0
                while depth:
                    depth += {"{": 1, "}": -1}.get(rest[end], 0)
                    end += 1
                path = head + value + rest[end:]
        sent: dict[str, Any] = {}
        if route.body.name == "JSON":
            sent = {
                "json": {
                    "pictures": [picture["id"]],
                    "picture": picture["id"],
                    "label": "good",
                    "right": True,
                }
            }
        elif route.body.name == "FORM":
            sent = {
                "data": {
                    "version": "1",
                    "move": "usual",
                    "job": job,
                    "n": "1",
                    "answer": "right",
                    "role": "0",
                    "label": "good",
                    "name": "x",
                    "alike": "free",
                    "voices": "1",
                    "do": "remove",
                    f"p-{picture['id']}": "1",
                }
            }
        elif route.body.name == "FILES":
            body = aiohttp.FormData(default_to_multipart=True)
            body.add_field("files", part(30), filename="a.png")
            sent = {"data": body}
        answer = await other.ask(route.method, path, **sent)
        assert answer.status == 404, (route.method, path, answer.status, answer.body)
        count += 1
    assert count >= 35
    assert (await site.you.get(f"/api/projects/{project_id}")).data == before
    assert (await other.get("/api/projects")).data["projects"] == [mine]


async def test_a_servers_project_is_used_by_members_and_worked_on_by_a_role(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.rights.KEPT", 0.0)
    here = Server("Here", members={YOU: False, OTHER: False}, roles={7: "Inspectors", 8: "<b>Bold</b>"})
    with site.opened.services.directory.connected(Servers({10: here})):
        shelf = site.opened.studio.projects.shelf
        found = await shelf.new(Actor(YOU, 10, 100), "boards")
        path, other = f"/projects/{found.id}", await site.person(OTHER)
        stranger = await site.person(OTHER + 10)
        assert (await send(site.you, f"/api{path}/pictures", [("a.png", part(1))])).status == 200
        assert "a server’s" in await page(site, "/projects", other)
        shown = await page(site, path, other)
        assert "Add pictures" not in shown and ">Label<" not in shown and 'class="item"' in shown
        assert "Rename" not in await page(site, f"{path}/settings", other)
        assert (await send(other, f"/api{path}/pictures", [("b.png", part(2))])).status == 403
        for end, fields in (
            ("rename", {"name": "mine"}),
            ("share", {"role": "0", "add": "1"}),
            ("labels", {"label": "dent"}),
            ("forget", {}),
        ):
            assert (await form(other, f"{path}/{end}", **fields)).status == 403, end
        assert (await other.post(f"/api{path}/train", {})).status == 403
        assert (await other.get(f"/files{path}/labels-csv.zip")).status == 403
        assert (await stranger.get(path)).status == 404
        # a role is let in, and out again
        offered = await page(site, f"{path}/settings")
        assert "Every member" in offered and "Inspectors" in offered and "&lt;b&gt;Bold" in offered
        given = await form(site.you, f"{path}/share", role="7", add="1", label="1")
        assert given.status == 303
        assert "<legend>Inspectors</legend>" in await page(site, f"{path}/settings")
        assert (await send(other, f"/api{path}/pictures", [("b.png", part(2))])).status == 403
        here.given[OTHER] = {7}
        assert (await send(other, f"/api{path}/pictures", [("b.png", part(2))])).status == 200
        picture = (await other.get(f"/api{path}/pictures")).data["pictures"][1]
        assert picture["mine"]
        marked = {"picture": picture["id"], "label": "good"}
        assert (await other.post(f"/api{path}/marks", marked)).data["state"] == "labelled"
        assert (await form(site.you, f"{path}/share", role="7")).status == 303
        assert (await other.post(f"/api{path}/marks", marked)).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="label"\r\n\r\n' + b"a" * 9000 + b"\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="label"\r\n\r\n\xff\xfe\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nb\r\n' * 200
        + b"--x--\r\n",
    ],
)
async def test_a_form_with_files_that_is_none_is_refused(site: Site, body: bytes) -> None:
    project_id = (await site.you.post("/api/projects", {"name": "boards"})).data["id"]
    path = f"/api/projects/{project_id}/pictures"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await site.you.ask("POST", path, data=body, headers=kind)).status == 400
    kind = {"Content-Type": "multipart/form-data"}
    assert (await site.you.ask("POST", path, data=body, headers=kind)).status == 400
    assert (await site.you.post(path, {})).status == 415


async def test_the_model_looks_at_what_has_no_label_and_orders_it(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    await trained(site, project_id)
    more = [("c.png", part(30)), ("d.png", part(31, bad=True))]
    assert (await send(site.you, f"/api{here}/pictures", more)).status == 200
    assert "Let it look" in await page(site, f"{here}/label")
    asked = await form(site.you, f"{here}/look")
    assert (asked.status, asked.headers["Location"]) == (303, f"{here}/label")
    [job] = (await site.you.get("/api/jobs")).data["jobs"][:1]
    await site.finished(job["id"])
    following = (await site.you.post(f"/api{here}/next", {"skipped": []})).data
    assert following["left"] == 2 and following["picture"]["state"] == "new"
    assert (await form(site.you, f"{here}/look")).status == 400, "it has looked at all"


async def test_people_who_have_to_agree_are_set_where_there_are_several(site: Site) -> None:
    project_id = await project(site)
    assert "People who have to agree" not in await page(site, f"/projects/{project_id}/settings")
    refused = await form(site.you, f"/projects/{project_id}/voices", voices="2")
    assert refused.status == 400
    assert (await form(site.you, f"/projects/{project_id}/voices", voices="x")).status == 400
    assert (await form(site.you, f"/projects/{project_id}/voices", voices="1")).status == 303
