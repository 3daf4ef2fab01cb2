"""The studio as an app: what a browser installs, and where its service worker may stand."""

import json
from io import BytesIO

from PIL import Image

from tests.web.conftest import OTHER


async def test_a_browser_can_install_the_studio(site) -> None:
    page = await site.you.page("/")
    address = page.split('rel="manifest" href="')[1].split('"')[0]
    manifest = await site.stranger().get(address)
    assert manifest.headers["Content-Type"] == "application/manifest+json"
    for icon in manifest.data["icons"]:
        answer = await site.stranger().get(address.replace("app.webmanifest", icon["src"]))
        assert answer.status == 200
        if icon["sizes"] != "any":
            assert "x".join(map(str, Image.open(BytesIO(answer.body)).size)) == icon["sizes"]
    policy = (await site.you.get("/")).headers["Content-Security-Policy"]
    assert "manifest-src 'self'" in policy and "script-src 'self'" in policy


async def test_only_the_service_worker_may_stand_before_all_pages(site) -> None:
    page = await site.you.page("/")
    static = page.split('rel="manifest" href="')[1].split("/app.webmanifest")[0]
    worker = await site.you.get(f"{static}/worker/worker.js")
    assert worker.status == 200 and worker.headers["Service-Worker-Allowed"] == "/"
    assert "Service-Worker-Allowed" not in (await site.you.get(f"{static}/early.js")).headers
    assert (await site.you.get(f"{static}/worker/tsconfig.json")).status == 404


async def test_the_page_without_a_network_is_nobodys(site) -> None:
    mine, nobodys = await site.you.page("/offline"), await site.stranger().page("/offline")
    assert mine == nobodys and "data-person" not in mine


async def test_a_sent_picture_is_described_for_its_person_alone(site) -> None:
    sha256 = await site.you.upload()
    asked = await site.you.post(f"/api/uploads/{sha256}/describe", {"key": "once"})
    again = await site.you.post(f"/api/uploads/{sha256}/describe", {"key": "once"})
    assert asked.status == 202 and asked.data["jobs"][0]["id"] == again.data["jobs"][0]["id"]
    assert asked.data["jobs"][0]["kind"] == "describe"
    other = await (await site.person(OTHER)).post(f"/api/uploads/{sha256}/describe")
    assert other.status == 422 and json.loads(other.body)["detail"]
    assert (await site.you.post(f"/api/uploads/{sha256}/zoom")).status == 404
