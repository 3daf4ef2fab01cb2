"""Cameras on the web: a project's manager adds, stops, snoozes and removes one, and answers its alarms."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from storage.schema import pushes as pushes_table
from studio import pushes
from studio.media import picture_folder
from studio.projects import watches
from tests.jobs.conftest import eventually
from tests.web.conftest import OTHER, YOU, Site, open_site
from tests.web.teacher import Teacher
from tests.web.test_projects import part, project, trained
from tests.web.test_push import SETTINGS, Phone, call_me, counted, until_empty
from tests.web.test_webhooks import listening


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(watches, "EVERY", 0.02)
    monkeypatch.setattr(picture_folder, "SETTLED", 0.0)
    (tmp_path / "line").mkdir()
    settings = {"WATCH_SOURCES": f"line={tmp_path / 'line'}"} | SETTINGS
    async with open_site(tmp_path / "data", Teacher(), **settings) as found:
        yield found


async def alarmed(site: Site, project_id: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new camera of a folder, and its first alarm."""
    path = f"/api/projects/{project_id}/watches"
    made = await site.you.post(path, {"source": "line", "camera": "Left", "days": 3})
    assert made.status == 201 and (made.data["camera"], made.data["days"]) == ("Left", 3)

    async def came() -> bool:
        return bool((await site.you.get(path)).data["alarms"])

    async with site.opened.studio.watches.running():
        (folder / "good.png").write_bytes(part(70))
        (folder / "bad.png").write_bytes(part(71, bad=True))
        await eventually(came)
    [alarm] = (await site.you.get(path)).data["alarms"]
    return made.data, alarm


async def test_a_camera_is_added_its_alarms_answered_and_it_goes(site: Site, tmp_path: Path) -> None:
    project_id = await project(site)
    await trained(site, project_id)
    path, page = f"/api/projects/{project_id}/watches", f"/projects/{project_id}/watch"
    assert "No camera yet." in await site.you.page(page)
    refused = await site.you.post(path, {"source": "shed"})
    assert refused.status == 400 and "The operator allows: line." in refused.data["detail"]
    made, alarm = await alarmed(site, project_id, tmp_path / "line")
    assert alarm["job"] not in await site.you.page(f"/projects/{project_id}/try")  # nobody has tried it
    recent = (await site.you.get("/api/jobs")).data["jobs"]
    assert alarm["job"] not in {one["id"] for one in recent}
    assert (alarm["camera"], alarm["posted"], alarm["answer"]) == ("Left", True, None)
    assert (await site.you.get(alarm["map"])).status == 200
    shown = await site.you.page(page)
    assert "Left" in shown and "False alarms promised" in shown and "score 0.88" in shown
    said = await site.you.post(f"/api/verdicts/{alarm['job']}/1", {"right": True})
    assert said.status == 200
    assert (await site.you.get(path)).data["alarms"][0]["answer"] == "right"
    labels = (await site.you.get(f"/api/projects/{project_id}")).data["labels"]
    assert {one["name"]: one["count"] for one in labels}["defect"] == 1
    camera = f"{path}/{made['id']}"
    assert (await site.you.ask("PATCH", camera, json={"snooze": True})).status == 204
    assert (await site.you.get(path)).data["watches"][0]["quiet"]
    assert (await site.you.ask("PATCH", camera, json={"on": False})).status == 204
    assert not (await site.you.get(path)).data["watches"][0]["on"]
    other = await site.person(OTHER)
    assert (await other.get(path)).status == 404 and (await other.get(alarm["map"])).status == 404
    assert (await site.you.ask("DELETE", camera)).status == 204
    assert (await site.you.get(path)).data["watches"] == []
    assert (await site.you.get(alarm["map"])).status == 404


async def test_a_program_of_its_person_sends_pictures_to_a_camera(site: Site) -> None:
    project_id = await project(site)
    await trained(site, project_id)
    path = f"/api/projects/{project_id}/watches"
    made = (await site.you.post(path, {"source": "post", "camera": "Right"})).data
    way, bad = f"{path}/{made['id']}/pictures", part(72, bad=True)
    program = await site.program("inspect")
    async with site.opened.studio.watches.running():
        asked = await program.ask("POST", way, data=bad)
        again = await program.ask("POST", way, data=bad)
        assert asked.status == 202 and asked.data == again.data  # the same picture is one job

        async def came() -> bool:
            return bool((await site.you.get(path)).data["alarms"])

        await eventually(came)
    [alarm] = (await site.you.get(path)).data["alarms"]
    assert (alarm["job"], alarm["camera"]) == (asked.data["job"], "Right")
    assert (await program.ask("POST", way, data=b"no picture")).status == 422
    assert (await (await site.program("look")).ask("POST", way, data=bad)).status == 403
    other = await site.program("inspect", who=await site.person(OTHER))
    assert (await other.ask("POST", way, data=bad)).status == 404
    await site.you.ask("PATCH", f"{path}/{made['id']}", json={"on": False})
    assert (await program.ask("POST", way, data=part(73, bad=True))).status == 400


async def test_an_alarm_of_ones_own_rings_once_and_its_buttons_act(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="the extra push is missing")
    monkeypatch.setattr(pushes, "EVERY", 0.02)
    project_id, phone = await project(site), Phone()
    await trained(site, project_id)
    site.opened.services.web.looking[YOU] += 1  # at a page, which says nothing of cameras
    async with listening() as receiver, site.opened.studio.pushes.running():
        await call_me(site.you, phone, receiver.url)
        made, alarm = await alarmed(site, project_id, tmp_path / "line")
        await receiver.until(1)
        await until_empty(site, pushes_table)
        [(_headers, sealed)] = receiver.came  # of the good part nothing
        said = phone.read(sealed)
        assert (said["title"], said["body"]) == ("Left: not like the good ones", "Score 0.88")
        assert said["href"] == f"/projects/{project_id}/watch#alarm-{alarm['job']}"
        assert [one["title"] for one in said["actions"]] == ["False alarm", "Snooze 1 h", "Right"]
        for one in said["actions"]:
            method, path, body = one["action"].split(" ", 2)
            assert (await site.you.ask(method, path, json=json.loads(body))).status < 300
        path = f"/api/projects/{project_id}/watches"
        assert (await site.you.get(path)).data["alarms"][0]["answer"] == "right"
        assert (await site.you.get(path)).data["watches"][0]["quiet"]
        async with site.opened.studio.watches.running():
            (tmp_path / "line" / "worse.png").write_bytes(part(75, bad=True))

            async def listed() -> bool:
                return len((await site.you.get(path)).data["alarms"]) == 2

            await eventually(listed)
        assert await counted(site, pushes_table) == 0 and len(receiver.came) == 1  # it is snoozed


async def test_what_isnt_watched_here_says_so(tmp_path: Path) -> None:
    async with open_site(tmp_path, Teacher(), API="off") as site:
        project_id = await project(site)
        assert "Cameras" not in await site.you.page(f"/projects/{project_id}")
        assert "WATCH_SOURCES" in await site.you.page(f"/projects/{project_id}/watch")
