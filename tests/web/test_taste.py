"""Tastes on the web: how well one is known, codes, and an end to learning."""

import re

from tests.jobs.conftest import eventually
from tests.studio.servers import Channel, Server, Servers
from tests.web.conftest import OTHER, YOU
from tests.web.teacher import Teacher

EXECUTOR = Teacher


async def test_a_taste_is_told_and_kept_as_a_code(site) -> None:
    job = await site.drawn(site.you, "a red house")
    assert "of yours: 0 of 5" in await site.you.page("/taste")
    refused = await site.you.post("/api/taste/codes", {"name": "me"})
    assert refused.status == 400 and "Nothing is liked there yet" in refused.data["detail"]
    await site.you.ask("PUT", f"/api/favourites/{job['id']}/2")
    made = await site.you.post("/api/taste/codes", {"name": "me"})
    code = made.data["code"]
    assert made.status == 201
    found = (await site.you.get("/api/taste")).data
    assert found["codes"] == [{"code": code, "of": "me", "pictures": 1, "shared": False}]
    assert [one["name"] for one in found["tastes"]] == ["me"]
    page = await site.you.page("/taste")
    assert f"--p {code}" in page and f"/api/taste/codes/{code}" in page
    other = await site.person(OTHER)
    assert code not in await other.page("/taste")
    assert (await other.ask("DELETE", f"/api/taste/codes/{code}")).status == 400
    assert (await site.you.ask("DELETE", f"/api/taste/codes/{code}")).status == 204
    assert (await site.you.get("/api/taste")).data["codes"] == []


async def test_nothing_is_learned_of_who_says_no(site) -> None:
    job = await site.drawn(site.you, "a red house")
    await site.you.ask("PUT", f"/api/favourites/{job['id']}/2")
    await site.you.post("/api/taste/codes", {"name": "me"})
    assert (await site.you.ask("PATCH", "/api/settings", json={"taste": False})).status == 200
    assert "Nothing is learned" in await site.you.page("/taste")
    assert (await site.you.get("/api/taste")).data == {"tastes": [], "codes": [], "servers": []}


async def test_a_server_s_taste_is_told_and_forgets_somebody(site) -> None:
    here = Servers({10: Server("Here", {100: Channel({YOU}, {YOU})}, {YOU: False})})
    with site.opened.services.directory.connected(here):
        [found] = (await site.you.get("/api/taste")).data["servers"]
        assert (found["id"], found["name"], found["counts"]) == ("10", "Here", True)
        assert any("hearts of 3 members" in line for line in found["told"])
        assert "Forget me here" in await site.you.page("/taste")
        assert (await site.you.ask("DELETE", "/api/taste/servers/10")).status == 204
        assert "Count me again" in await site.you.page("/taste")
        assert (await site.you.ask("DELETE", "/api/taste/servers/11")).status == 403
        assert (await site.you.ask("PUT", "/api/taste/servers/10")).status == 204
        assert (await site.you.get("/api/taste")).data["servers"][0]["counts"] is True


async def test_managers_and_nobody_else_change_a_servers_taste(site) -> None:
    members = {YOU: True, OTHER: False}
    here = Servers({10: Server("Here", {100: Channel({YOU, OTHER}, {YOU, OTHER}, "art")}, members)})
    other, there = await site.person(OTHER), "/api/taste/servers/10"
    with site.opened.services.directory.connected(here):
        page = await site.you.page("/taste")
        assert "Manage" in page and "#art" in page and "Manage" not in await other.page("/taste")
        every = (
            {"on": False},
            {"use": True},
            {"reset": True},
            {"duels": "100"},
            {"trial": "100"},
            {"trial": ""},
        )
        for said in every:
            refused = await other.ask("PATCH", there, json=said)
            assert refused.status == 403 and "Manage Server" in refused.data["detail"]
        assert (await site.you.ask("PATCH", there, json={"duels": "100"})).status == 204
        assert [text for place, text in here.told if place.channel_id == 100]
        [found] = (await site.you.get("/api/taste")).data["servers"]
        assert found["duels"] == "100" and "The next vote needs 2" in found["lack"]
        assert "duels" not in (await other.get("/api/taste")).data["servers"][0]
        assert (await site.you.ask("PATCH", there, json={"duels": "abc"})).status == 400
        assert (await site.you.ask("PATCH", there, json={"duels": ""})).status == 204
        for said, told in (({"trial": "100"}, "Too little is known"), ({"trial": ""}, "No blind vote runs")):
            refused = await site.you.ask("PATCH", there, json=said)
            assert refused.status == 400 and told in refused.data["detail"]
        for said in ({"use": True}, {"use": False}, {"reset": True}, {"on": False}):
            assert (await site.you.ask("PATCH", there, json=said)).status == 204
        assert "Turn on" in await site.you.page("/taste")
        assert (await site.you.ask("PATCH", "/api/taste/servers/11", json={"on": True})).status == 403


async def test_a_page_is_only_kept_of_pictures_that_are_there(site) -> None:
    assert "Rate nine pictures" in await site.you.page("/taste/nine")
    found = (await site.you.get("/api/taste/nine")).data
    assert found["pages"] == [] and found["share"] == 50 and "0 of 5" in found["told"]
    said = {"page": "0" * 16, "liked": [2], "passed": []}
    refused = await site.you.post("/api/taste/nine", said)
    assert refused.status == 400 and "aren't there any more" in refused.data["detail"]
    assert (await site.you.post("/api/taste/nine", said | {"page": "one"})).status == 400
    await site.you.ask("PATCH", "/api/settings", json={"taste": False})
    assert "Nothing is learned" in await site.you.page("/taste/nine")
    assert (await site.you.get("/api/taste/nine")).status == 400


async def test_a_taste_is_made_strong_and_chosen_blind(site) -> None:

    async def settled() -> bool:
        lora = (await site.you.get("/api/taste")).data["tastes"][0]["lora"]
        return not lora["training"] and not lora["drawing"]

    page = await site.you.page("/taste")
    assert "From 5 liked pictures on" in page and "Make it strong" not in page
    refused = await site.you.post("/api/taste/loras", {"name": "me"})
    assert refused.status == 400 and "there are 0" in refused.data["detail"]
    for number in range(5):
        job = await site.drawn(site.you, f"a red house --seed {10 * number}")
        await site.you.ask("PUT", f"/api/favourites/{job['id']}/2")
    assert "Make it strong" in await site.you.page("/taste")
    asked = await site.you.post("/api/taste/loras", {"name": "me"})
    assert asked.status == 202
    await eventually(settled)
    lora = (await site.you.get("/api/taste")).data["tastes"][0]["lora"]
    assert (lora["version"], lora["on"], lora["left"]) == (1, False, 0)
    where, page = f"/api/taste/loras/{lora['project']}", f"/taste/blind/{lora['project']}"
    assert "Compare it blind" in await site.you.page(page)
    begun = await site.you.post(f"{where}/compare", {})
    assert (begun.status, begun.data["href"]) == (202, page)
    await eventually(settled)
    other = await site.person(OTHER)
    assert (await other.get(page)).status in (400, 404)
    for number in range(1, 9):
        found = await site.you.page(page)
        assert f"Pair {number} of 8" in found and "--lora" not in found
        first, second = re.findall(r"/files/taste/\S+?\.webp", found)
        assert (await other.get(first)).status == 404
        assert (await site.you.get(first)).status == (await site.you.get(second)).status == 200
        said = {"pair": int(first.split("/")[4]), "first": True}
        assert (await other.post(f"{where}/choices", said)).status == 404
        assert (await site.you.post(f"{where}/choices", said)).status == 204
        assert (await site.you.get(first)).status == 404, "what was decided is shown no more"
    assert "of 8 pairs" in await site.you.page(page)
    for on in (True, False):
        assert (await site.you.ask("PUT", where, json={"on": on})).status == 204
        assert (await site.you.get("/api/taste")).data["tastes"][0]["lora"]["on"] is on
    assert (await other.ask("DELETE", where)).status == 404
    assert (await site.you.ask("DELETE", where)).status == 204
    assert (await site.you.get("/api/taste")).data["tastes"][0]["lora"]["project"] is None
