"""Custom models on the web: a project is made, filled, labelled, trained, read about, tried, told when it is
wrong, set up and forgotten, by whoever may and nobody else."""

import io
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from studio.authority import Actor
from tests.studio.conftest import png
from tests.studio.servers import Server, Servers
from tests.web.cells import filled
from tests.web.conftest import OTHER, YOU, Answered, Browser, Site, open_site
from tests.web.teacher import Teacher

EXECUTOR = Teacher


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


async def project(site: Site, name: str = "boards", good: int = 8, bad: int = 4, new: int = 0) -> str:
    """The id of a project with so many labelled pictures, and some without a label."""
    made = await site.you.post("/api/projects", {"name": name})
    assert made.status == 201, made.body
    path = f"/api/projects/{made.data['id']}/pictures"
    if good:
        parts = [(f"{n}.png", part(n)) for n in range(good)]
        assert (await send(site.you, path, parts, label="good")).data["sentence"] == f"{good} taken."
    if bad:
        parts = [(f"b{n}.png", part(n, bad=True)) for n in range(bad)]
        assert (await send(site.you, path, parts, label="scratch")).status == 200
    if new:
        await send(site.you, path, [(f"n{n}.png", part(n)) for n in range(new)])
    return str(made.data["id"])


async def trained(site: Site, project_id: str) -> dict[str, Any]:
    """A version that was trained just now."""
    await site.made(f"/api/projects/{project_id}/train", {"seed": 3})
    versions = (await site.you.get(f"/api/projects/{project_id}/versions")).data["versions"]
    return dict(versions[0])


async def tried(site: Site, project_id: str, *pictures: bytes) -> str:
    """The job that asked about pictures."""
    files = [(f"{n}.png", data) for n, data in enumerate(pictures)]
    asked = await send(site.you, f"/api/projects/{project_id}/try", files)
    assert asked.status == 202, asked.body
    await site.finished(asked.data["job"])
    return str(asked.data["job"])


async def test_a_project_is_made_listed_and_filled(site: Site) -> None:
    assert "No projects yet" in await site.you.page("/projects")
    made = await site.you.post("/api/projects", {"name": "boards", "task": "anomaly"})
    here = made.data["href"]
    empty = await site.you.page(here)
    assert "No pictures yet" in empty and "No good picture yet: one is enough to begin with" in empty
    taken = await send(site.you, f"/api{here}/pictures", [("a.png", part(1)), ("n.png", b"no")])
    assert taken.data["sentence"].startswith("1 taken, 1 refused: `n.png`")
    text = await site.you.page(here)
    assert text.count('class="item"') == 1 and "no label yet" in text
    [listed] = (await site.you.get("/api/projects")).data["projects"]
    assert (listed["name"], listed["task"], listed["shared"]) == ("boards", "anomaly", False)
    _, _, listed = (await site.you.page("/projects")).partition('covers" data-count="1"><img src="')
    cover = listed.partition('"')[0]
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
    shown = await site.you.page(f"/projects/{project_id}?label=scratch")
    assert shown.count('class="item"') == 1


async def test_pictures_of_ones_own_come_in_and_shots_of_one_object_stay_together(site: Site) -> None:
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
    shown = await site.you.page(f"/projects/{project_id}")
    assert f"?after={first[-1]['id']}" in shown
    after = f"/api/projects/{project_id}/pictures?after={first[-1]['id']}"
    rest = (await site.you.get(after)).data["pictures"]
    assert len(rest) == 10 and not {one["id"] for one in rest} & {one["id"] for one in first}


async def test_a_labelling_queue_is_labelled_skipped_and_undone(site: Site) -> None:
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
    assert first in await site.you.page(f"/projects/{project_id}/label")
    for body, problem in (
        ({"picture": first}, "`label` is missing"),
        ({"picture": "f" * 64, "label": "good"}, "isn't in this project"),
        ({"picture": first, "label": "x" * 81}, "1 to 80"),
        ({"picture": first, "label": "good", "boxes": [["good", 1, 2]]}, "`boxes` takes"),
        (
            {"picture": first, "label": "good", "boxes": [["good", 0.5, 0, 0.1, 1]]},
            "left, top, right, bottom",
        ),
    ):
        answer = await site.you.post(f"{one}/marks", body)
        assert answer.status in (400, 422) and problem in answer.data["detail"], answer.body


async def test_ticked_pictures_are_labelled_left_out_and_removed(site: Site) -> None:
    project_id = await project(site, good=3, bad=0)
    here = f"/projects/{project_id}"
    found = (await site.you.get(f"/api{here}/pictures")).data["pictures"]
    ids = [one["id"] for one in found]
    marked = {"picture": ids[0], "label": "scratch"}
    assert (await site.you.post(f"/api{here}/marks", marked)).data["label"] == "scratch"
    left = {"pictures": ids[1:2], "out": True}
    assert (await site.you.post(f"/api{here}/leave-out", left)).status == 204
    assert "excluded" in await site.you.page(f"{here}?state=left_out")
    assert (await site.you.post(f"/api{here}/leave-out", {**left, "out": False})).status == 204
    assert (await site.you.post(f"/api{here}/remove", {"pictures": ids[2:]})).data == {"count": 1}
    card = (await site.you.get(f"/api{here}")).data
    counts = {label["name"]: label["count"] for label in card["labels"]}
    assert (card["total"], counts) == (2, {"good": 1, "scratch": 1})
    for wrong in ([], ["x"]):
        assert (await site.you.post(f"/api{here}/remove", {"pictures": wrong})).status == 400
    assert (await site.you.get(found[2]["small"])).status == 404


async def test_a_version_is_trained_read_about_and_compared(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    first = await trained(site, project_id)
    assert (first["number"], first["state"], first["usable"]) == (1, "active", True)
    report = await site.you.page(f"{here}/report")
    assert "It learned from 12 pictures." in report
    assert "Area under the ROC curve" in report and "0.987" in report
    assert "Right" in report and "3 of 3" in report and "(29 to 100 %)" in report
    assert "How unusual the pictures are" in report and "The worst mistakes" in report
    for name in ("scores", "roc", "mistakes"):
        drawn = await site.you.get(f"/files{here}/versions/1/{name}")
        assert drawn.status == 200 and drawn.headers["Content-Type"] == "image/png"
    assert (await site.you.get(f"/files{here}/versions/1/none")).status == 404
    second = await trained(site, project_id)
    assert (second["number"], second["state"]) == (2, "candidate")
    compared = await site.you.page(f"{here}/report?version=2&with=1")
    assert "3 pictures show no clear difference between versions 1 and 2" in compared
    assert (await site.you.post(f"/api{here}/versions/2/use")).status == 204
    assert (await site.you.get(f"/api{here}")).data["version"] == 2
    assert (await site.you.post(f"/api{here}/versions/9/use")).status == 400
    assert (await site.you.post(f"/api{here}/versions/x/use")).status == 404
    assert (await site.you.get(f"{here}/report?version=9")).status == 400


async def test_a_threshold_shows_what_would_change_before_it_is_kept(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    before = await trained(site, project_id)
    shown = await site.you.page(f"{here}/report?version=1&move=stricter")
    assert "It stops about" in shown and "Keep it" in shown
    now = (await site.you.get(f"/api{here}/versions")).data["versions"][0]
    assert now["threshold"] == before["threshold"]
    kept = await site.you.post(f"/api{here}/versions/1/threshold", {"move": "stricter"})
    assert "It stops about" in kept.data["sentence"]
    after = (await site.you.get(f"/api{here}/versions")).data["versions"][0]
    assert after["threshold"] < before["threshold"]
    told = await site.you.page(f"{here}/report?version=1&move=fewest")
    assert "It learned from 4 defects" in told and "Keep it" not in told
    wrong = await site.you.post(f"/api{here}/versions/1/threshold", {"move": "sideways"})
    assert wrong.status == 400


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
        shown = await site.you.page(f"/projects/{project_id}")
        card = (await site.you.get(f"/api/projects/{project_id}")).data
        assert "A version is being trained" in shown and f"/jobs/{card['training']}/cancel" in shown
        job = (await site.you.get(f"/api/jobs/{card['training']}")).data
        assert (job["step"], job["total"], job["doing"]) == (3, 10, "compared 3 of 12")
        teacher.gate.set()
        await site.finished(card["training"])
        job = (await site.you.get(f"/api/jobs/{card['training']}")).data
        assert (job["project"], job["pictures"]) == (f"/projects/{project_id}", [])
        assert "again" not in [one["action"] for one in job["actions"]]
        assert f'href="/projects/{project_id}"' in await site.you.page("/")
        assert (await site.you.get(f"/api/projects/{project_id}")).data["version"] == 1


async def test_verdicts_are_shown_told_wrong_and_taken_away(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    assert "No model yet" in await site.you.page(f"{here}/try")
    refused = await send(site.you, f"/api{here}/try", [("a.png", part(20))])
    assert refused.status == 400 and "has no model yet" in refused.data["detail"]
    await trained(site, project_id)
    job = await tried(site, project_id, part(21), part(22, bad=True))
    first, second = (await site.you.get(f"/api/verdicts/{job}")).data["verdicts"]
    assert (first["strange"], second["strange"], second["label"]) == (False, True, "scratch")
    shown = await site.you.page(f"{here}/try")
    assert "Like the good ones." in shown and "× the limit" in shown and f"/files/{job}/0" in shown
    assert (await site.you.get(f"/files/{job}/0")).status == 200
    table = await site.you.get(f"/files/verdicts/{job}.csv")
    head, *rows = table.body.splitlines()
    assert head.startswith(b"picture,version,score") and len(rows) == 2
    noted = await site.you.post(f"/api/verdicts/{job}/1", {"right": False, "label": "dent"})
    assert noted.data["sentence"] == "Saved; 1 new since version 1."
    assert (await site.you.post(f"/api/verdicts/{job}/2", {"right": True})).data["sentence"] == "Saved."
    shown = await site.you.page(f"{here}/try")
    assert "rated wrong" in shown and "rated right" in shown and "1 new since version 1" in shown
    card = (await site.you.get(f"/api{here}")).data
    assert (card["right"], card["wrong"]) == (1, 1)
    for path, body in (
        (f"/api/verdicts/{job}/1", {}),
        (f"/api/verdicts/{job}/1", {"right": "yes"}),
        (f"/api/verdicts/{job}/9", {"right": True}),
        ("/api/verdicts/abcd2345efgh/1", {"right": True}),
    ):
        assert (await site.you.post(path, body)).status in (400, 404, 422), path


async def test_a_bundle_is_made_and_downloaded(site: Site) -> None:
    project_id = await project(site)
    here = f"/projects/{project_id}"
    await trained(site, project_id)
    asked = await site.you.post(f"/api{here}/versions/1/bundle")
    where, job = asked.data["href"].partition("#")[0], asked.data["job"]
    await site.finished(job)
    assert f"/files/bundles/{job}" in await site.you.page(where)
    file = await site.you.get(f"/files/bundles/{job}")
    assert file.body.startswith(b"PK") and "boards-v1.zip" in file.headers["Content-Disposition"]
    assert (await site.you.get("/files/bundles/abcd2345efgh")).status == 404
    assert "The bundle is being made" not in await site.you.page(f"{here}/report?version=1&bundle=none")


async def test_a_style_is_learned_from_pictures_without_labels_and_called_in_a_prompt(site: Site) -> None:
    made = {"name": "pencil lines", "task": "style", "words": "in pencil"}
    here = (await site.you.post("/api/projects", made)).data["href"]
    assert "0 pictures; a style needs at least 5" in await site.you.page(here)
    sent = await send(site.you, f"/api{here}/pictures", [(f"{n}.png", part(n)) for n in range(5)])
    assert sent.data["sentence"] == "5 taken."
    await trained(site, here.rpartition("/")[2])
    report = await site.you.page(f"{here}/report")
    assert "Samples" in report and "--lora pencil-lines" in report and "Threshold" not in report
    assert "Draw with it" in await site.you.page(f"{here}/try")
    refused = await send(site.you, f"/api{here}/try", [("a.png", part(9))])
    assert refused.status == 400 and "can't judge pictures" in refused.data["detail"]
    card = (await site.you.get(f"/api{here}")).data
    assert (card["lora"], card["words"], card["version"]) == ("pencil-lines", "in pencil", 1)
    asked = await site.you.post(f"/api{here}/describe", {})
    assert asked.status == 200 and asked.data["left"] == 0
    first = (await site.you.get(f"/api{here}/pictures")).data["pictures"][0]["id"]
    words = {"picture": first, "label": "a boat at <sea>"}
    assert (await site.you.post(f"/api{here}/marks", words)).data["label"] == "a boat at <sea>"
    captions = await site.you.page(f"{here}/label")
    assert 'value="a boat at &lt;sea&gt;"' in captions and captions.count('name="label"') == 5


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
    done = await send(site.you, f"/api{here}/import", [("labels.csv", table)])
    assert done.data == {"sentence": "1 labelled, 0 boxes; 1 aren't in this project."}
    assert (await send(site.you, f"/api{here}/import", [("labels.csv", b"\xff\xfe")])).status == 422
    assert (await send(site.you, f"/api{here}/import", [])).status == 400


async def test_settings_change_what_they_say(site: Site) -> None:
    project_id = await project(site, good=3, bad=2)
    here = f"/projects/{project_id}"
    for method, end, body in (
        ("PATCH", "", {"name": "plates"}),
        ("PATCH", "", {"alike": "turns"}),
        ("POST", "/labels", {"label": "dent", "meaning": "Pressed in"}),
        ("POST", "/labels/drop", {"label": "scratch", "instead": "dent"}),
    ):
        assert (await site.you.ask(method, f"/api{here}{end}", json=body)).status == 204, (end, body)
    card = (await site.you.get(f"/api{here}")).data
    assert (card["name"], card["alike"]) == ("plates", "turns")
    assert {label["name"]: label["count"] for label in card["labels"]} == {"good": 3, "dent": 2}
    assert "Pressed in" in await site.you.page(f"{here}/settings")
    for method, end, body in (
        ("PATCH", "", {"name": ""}),
        ("PATCH", "", {"alike": "x"}),
        ("POST", "/labels", {"label": ""}),
        ("POST", "/labels/drop", {"label": "good"}),
        ("PUT", "/rights", {"role": "x"}),
        ("PUT", "/rights", {"role": "9999999999999999999", "rights": ["use"]}),
        ("PUT", "/rights", {"role": "0", "rights": ["use"]}),  # it is nobody else's
    ):
        assert (await site.you.ask(method, f"/api{here}{end}", json=body)).status == 400, (end, body)
    assert (await site.you.ask("DELETE", f"/api{here}")).status == 204
    assert (await site.you.get(here)).status == 404
    assert (await site.you.get("/api/projects")).data == {"projects": []}


async def test_somebody_elses_project_looks_like_none(site: Site) -> None:
    project_id = await project(site)
    await trained(site, project_id)
    job = await tried(site, project_id, part(21))
    picture = (await site.you.get(f"/api/projects/{project_id}/pictures")).data["pictures"][0]
    other = await site.person(OTHER)
    mine = (await other.post("/api/projects", {"name": project_id})).data  # called like an id
    given = {"project": project_id, "sha256": picture["id"], "suffix": "webp", "version": "1", "chart": "roc"}
    given |= {"form": "csv", "job": job, "n": "1", "mask": "b" * 64, "watch": "a" * 12}
    given |= {"pair": "0", "half": "1"}
    before = (await site.you.get(f"/api/projects/{project_id}")).data
    body = {"pictures": [picture["id"]], "picture": picture["id"], "label": "good", "right": True}
    body |= {"move": "usual", "role": "0", "name": "x", "alike": "free", "voices": 1, "source": "line"}
    body |= {"on": True, "pair": 0, "first": True}
    count = 0
    for route in site.web.routes:
        if not ("{project" in route.path or "verdicts/" in route.path or "bundles/" in route.path):
            continue
        path = filled(route, given)
        sent: dict[str, Any] = {}
        if route.body.name == "JSON":
            sent = {"json": body}
        elif route.body.name == "FILES":
            files = aiohttp.FormData(default_to_multipart=True)
            files.add_field("files", part(30), filename="a.png")
            sent = {"data": files}
        answer = await other.ask(route.method, path, **sent)
        assert answer.status == 404, (route.method, path, answer.status, answer.body)
        count += 1
    assert count >= 33
    assert (await site.you.get(f"/api/projects/{project_id}")).data == before
    assert (await other.get("/api/projects")).data["projects"] == [mine]


async def test_a_servers_project_is_used_by_members_and_worked_on_by_a_role(site: Site, monkeypatch) -> None:
    monkeypatch.setattr("studio.rights.KEPT", 0.0)
    here = Server("Here", members={YOU: False, OTHER: False}, roles={7: "Inspectors", 8: "<b>Bold</b>"})
    with site.opened.services.directory.connected(Servers({10: here})):
        shelf = site.opened.studio.projects
        found = await shelf.new(Actor(YOU, 10, 100), "boards")
        path, other = f"/projects/{found.id}", await site.person(OTHER)
        stranger = await site.person(OTHER + 10)
        assert (await send(site.you, f"/api{path}/pictures", [("a.png", part(1))])).status == 200
        assert "a server’s" in await other.page("/projects")
        shown = await other.page(path)
        assert "Add pictures" not in shown and ">Label<" not in shown and 'class="item"' in shown
        assert "Rename" not in await other.page(f"{path}/settings")
        assert (await send(other, f"/api{path}/pictures", [("b.png", part(2))])).status == 403
        for method, end, body in (
            ("PATCH", "", {"name": "mine"}),
            ("PUT", "/rights", {"role": "0", "rights": ["add"]}),
            ("POST", "/labels", {"label": "dent"}),
            ("DELETE", "", {}),
        ):
            assert (await other.ask(method, f"/api{path}{end}", json=body)).status == 403, end
        assert (await other.post(f"/api{path}/train", {})).status == 403
        assert (await other.get(f"/files{path}/labels-csv.zip")).status == 403
        assert (await stranger.get(path)).status == 404
        # a role is let in, and out again
        offered = await site.you.page(f"{path}/settings")
        assert "Every member" in offered and "Inspectors" in offered and "&lt;b&gt;Bold" in offered
        given = {"role": "7", "rights": ["add", "label"]}
        assert (await site.you.ask("PUT", f"/api{path}/rights", json=given)).status == 204
        assert "<legend>Inspectors</legend>" in await site.you.page(f"{path}/settings")
        assert (await send(other, f"/api{path}/pictures", [("b.png", part(2))])).status == 403
        here.given[OTHER] = {7}
        assert (await send(other, f"/api{path}/pictures", [("b.png", part(2))])).status == 200
        picture = (await other.get(f"/api{path}/pictures")).data["pictures"][1]
        assert picture["mine"]
        marked = {"picture": picture["id"], "label": "good"}
        assert (await other.post(f"/api{path}/marks", marked)).data["state"] == "labelled"
        assert (await site.you.ask("PUT", f"/api{path}/rights", json={"role": "7"})).status == 204
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
    assert "Scan" in await site.you.page(f"{here}/label")
    await site.made(f"/api{here}/look")
    following = (await site.you.post(f"/api{here}/next", {"skipped": []})).data
    assert following["left"] == 2 and following["picture"]["state"] == "new"
    assert (await site.you.post(f"/api{here}/look")).status == 400, "it has scanned all"


async def test_people_who_have_to_agree_are_set_where_there_are_several(site: Site) -> None:
    project_id = await project(site)
    assert "Votes that a label needs" not in await site.you.page(f"/projects/{project_id}/settings")
    for voices, status in ((2, 400), ("x", 400), (1, 204)):
        changed = await site.you.ask("PATCH", f"/api/projects/{project_id}", json={"voices": voices})
        assert changed.status == status, voices
