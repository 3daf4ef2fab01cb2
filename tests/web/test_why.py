"""Why? on the web: under what /classify said, with its map among the newest jobs."""

from pathlib import Path

from tests.studio.conftest import AllFit
from tests.web.conftest import open_site


class OneUnfit(AllFit):
    """Says that a picture isn't fit to be shown, and anything else is."""

    unfit = b""

    async def score(self, data: bytes) -> float:
        return 0.9 if data == self.unfit else 0.0


async def test_why_is_offered_under_labels_and_shows_its_map(site) -> None:
    job = await site.drawn(site.you)
    labelled = await site.made(f"/api/jobs/{job['id']}/1/classify")
    assert [action["label"] for action in labelled["actions"]] == ["Try again", "Why?", "Delete"]
    made = await site.made(f"/api/jobs/{labelled['id']}/1/why")
    assert made["scores"][0][0] == labelled["scores"][0][0] and made["kind"] == "why" and made["grid"]
    assert [action["action"] for action in made["actions"]] == ["delete"]
    newest = await site.you.page("/")
    assert made["grid"]["thumb"] in newest and "bright where it speaks for the label" in newest
    assert (await site.you.get(made["grid"]["original"])).status == 200
    other = await site.person(77)
    assert (await other.get(f"/api/jobs/{made['id']}")).status == 404


async def test_a_map_of_an_unfit_picture_is_as_unfit(tmp_path: Path) -> None:
    async with open_site(tmp_path, MODERATION="standard") as site:
        moderator = site.opened.services.moderator
        moderator.check = judge = OneUnfit()
        job = await site.drawn(site.you)
        labelled = (await site.made(f"/api/jobs/{job['id']}/1/classify"))["id"]
        made = (await site.you.post(f"/api/jobs/{labelled}/1/why")).data["jobs"][0]["id"]
        await site.finished(made)  # nobody has looked at it
        result = await site.opened.services.queue.result(made)
        assert result is not None and result.grid is not None
        judge.unfit = await site.opened.services.files.get(result.job.request.pictures[0])
        assert judge.unfit != await site.opened.services.files.get(result.grid.sha256)
        judge.name = "another"  # so that nothing it said before is known
        seen = (await site.you.get(f"/api/jobs/{made}")).data
        assert seen["grid"]["visibility"] != "show"
