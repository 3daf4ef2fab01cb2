"""Edits over HTTP: a document becomes a job, every right is checked, and what arrives is what was painted."""

import hashlib
import io
import json

import numpy as np
from PIL import Image

from core.requests import ComposeRequest, OutpaintRequest, RegionRequest, VariationRequest
from studio.media import masks
from tests.studio.conftest import SIDE, png
from tests.studio.editor import reference
from tests.web.conftest import OTHER

DOT = {"tool": "brush", "value": 1, "r": [60], "at": [200, 160], "xy": "oACA/w=="}
RECT = {"tool": "rect", "value": 1, "box": [0, 0, 20, 30]}


def document(job: str | None = None, *, upload: str | None = None, strokes=(), base=None, **more):
    """A document of one picture that the executor has drawn."""
    source = {"upload": upload} if upload else {"job": job, "n": 2}
    mask = {"mask": {"base": base, "strokes": list(strokes)}} if strokes or base else {}
    layer = {"id": "a", "source": source, **more.pop("layer", {})}
    return {"v": 1, "width": SIDE, "height": SIDE, "layers": [layer], **mask, **more}


def pixels(strokes, side: int = SIDE) -> str:
    return reference.digest(reference.replay(side, side, None, list(strokes)))


async def asked(site, given, **more):
    """The job that a document has become, as its row has it."""
    answer = await site.you.post("/api/edits", {"document": given, **more})
    assert answer.status == 202, answer.body
    [shape] = answer.data["jobs"]
    return answer.data, await site.opened.services.queue.job(shape["id"])


async def test_the_mask_that_arrives_is_the_mask_that_was_painted_to_the_bit(site) -> None:
    job = await site.drawn(site.you)
    strokes = [DOT, RECT, {"tool": "grow", "px": 2}]
    found, row = await asked(site, document(job["id"], strokes=strokes), painted=pixels(strokes))
    assert (found["kind"], found["seam"]) == ("region", 0) and "every other pixel stays" in found["said"]
    assert isinstance(row.request, RegionRequest) and row.request.num_images == 4
    assert (row.parent_id, row.parent_index) == (job["id"], 1)
    stored = await site.opened.services.files.get(row.request.mask_image)
    picture = np.asarray(Image.open(io.BytesIO(stored))).astype(np.uint8)
    assert picture.tobytes() == bytes(reference.replay(SIDE, SIDE, None, strokes))


async def test_another_mask_than_the_painted_one_is_refused_and_nothing_is_queued(site) -> None:
    job = await site.drawn(site.you)
    given = document(job["id"], strokes=[DOT])
    answer = await site.you.post("/api/edits", {"document": given, "painted": pixels([RECT])})
    assert answer.status == 422 and "isn't what you painted, so nothing was queued" in answer.data["detail"]
    assert len((await site.you.get("/api/jobs")).data["jobs"]) == 1
    odd = await site.you.post("/api/edits", {"document": given, "painted": "abc"})
    assert odd.status == 400 and "`painted`" in odd.data["detail"]


async def test_each_kind_of_document_becomes_its_request(site) -> None:
    job = await site.drawn(site.you)
    cases = [
        (document(job["id"], layer={"x": 8, "y": 4}, width=80, height=72), OutpaintRequest, "outpaint", None),
        (document(job["id"], words="a fog", amount=0.4), VariationRequest, "variation", 0),
        (document(job["id"], words="in clay", keep_structure=True), VariationRequest, "retexture", 0),
        (document(job["id"], width=80, strokes=[DOT]), ComposeRequest, "compose", 8),
        (document(job["id"], width=80, keep_seam=True), ComposeRequest, "compose", 0),
    ]
    for given, kind, name, seam in cases:
        looked = (await site.you.post("/api/edits/look", {"document": given})).data
        found, row = await asked(site, given)
        assert isinstance(row.request, kind)
        assert (looked["kind"], looked["seam"], looked["said"]) == (name, seam, found["said"])
        assert (found["kind"], found["seam"]) == (name, seam)
        assert looked["width"] == given["width"]


async def test_pictures_that_were_sent_are_layers_too_and_inputs_of_the_job(site) -> None:
    job = await site.drawn(site.you)
    sent = await site.you.ask("POST", "/api/uploads", {"Content-Type": "image/png"}, data=png(30, 20))
    cut = masks.write_mask(masks.Bits(30, 20, b"\xff\xff\xff\xfc" * 20))
    clip = await site.you.ask("POST", "/api/masks", {"Content-Type": "image/png"}, data=cut)
    assert clip.status == 201 and clip.data["sha256"] == hashlib.sha256(cut).hexdigest()
    assert (clip.data["width"], clip.data["height"], clip.data["painted"]) == (30, 20, 600)
    given = document(job["id"], strokes=[RECT])
    upload = {"upload": sent.data["sha256"]}
    given["layers"].append({"id": "b", "source": upload, "x": 3.5, "scale": 0.5, "clip": clip.data["sha256"]})
    _, row = await asked(site, given)
    assert isinstance(row.request, ComposeRequest) and row.parent_id == job["id"]
    assert {sent.data["sha256"], clip.data["sha256"], row.request.mask_image} < set(row.request.pictures)
    wrong = {**given, "layers": [{**given["layers"][0], "clip": clip.data["sha256"]}]}
    answer = await site.you.post("/api/edits", {"document": wrong})
    assert answer.status == 400 and "`clip` has 30×20 px" in answer.data["detail"]


async def test_a_mask_that_was_sent_lies_below_the_strokes(site) -> None:
    job = await site.drawn(site.you)
    below = bytes(reference.replay(SIDE, SIDE, None, [RECT]))
    sent = await site.you.ask(
        "POST", "/api/masks", {"Content-Type": "image/png"}, data=reference.png(below, SIDE, SIDE)
    )
    base = sent.data["sha256"]
    wanted = reference.replay(SIDE, SIDE, below, [{**DOT, "value": 0}])
    given = document(job["id"], base=base, strokes=[{**DOT, "value": 0}])
    await asked(site, given, painted=reference.digest(wanted))
    found = await site.you.get(f"/files/masks/{base}.png")
    assert found.status == 200 and hashlib.sha256(found.body).hexdigest() == base
    other = await site.person(OTHER)
    assert (await other.get(f"/files/masks/{base}.png")).status == 404
    stolen = await other.post("/api/edits", {"document": document(job["id"], base=base)})
    assert stolen.status == 422


async def test_pictures_of_others_and_what_never_was_are_told_alike(site) -> None:
    job = await site.drawn(site.you)
    sent = await site.you.ask("POST", "/api/uploads", {"Content-Type": "image/png"}, data=png())
    other = await site.person(OTHER)
    answers = [
        await other.post("/api/edits", {"document": given})
        for given in (
            document(job["id"], strokes=[DOT]),
            document("zzzzzzzzzzzz", strokes=[DOT]),
            document(upload=sent.data["sha256"], strokes=[DOT]),
            document(upload="0" * 64, strokes=[DOT]),
        )
    ]
    assert {answer.status for answer in answers} == {422}
    assert len({answer.body for answer in answers}) == 1 and b"don't have access" in answers[0].body
    look = await other.post("/api/edits/look", {"document": document(job["id"], strokes=[DOT])})
    assert (look.status, look.body) == (422, answers[0].body)


async def test_the_same_wish_is_queued_once(site) -> None:
    job = await site.drawn(site.you)
    given = document(job["id"], strokes=[DOT])
    first, second = (await asked(site, given, key="k1"))[1], (await asked(site, given, key="k1"))[1]
    assert first.id == second.id


async def test_painting_and_taking_it_away_again_leaves_nothing_to_draw(site) -> None:
    job = await site.drawn(site.you)
    given = document(job["id"], strokes=[DOT, {"tool": "rect", "value": 0, "box": [0, 0, SIDE, SIDE]}])
    answer = await site.you.post("/api/edits", {"document": given})
    assert answer.status == 400 and "nothing to draw" in answer.data["detail"]


async def test_what_is_no_mask_is_told(site) -> None:
    for data in (b"", png(), json.dumps(document("abcd2345efgh")).encode()):
        answer = await site.you.ask("POST", "/api/masks", {"Content-Type": "image/png"}, data=data)
        assert answer.status == 422 and "isn't a mask" in answer.data["detail"]


async def test_references_stand_beside_the_words_and_are_checked(site) -> None:
    job, other = await site.drawn(site.you), await site.person(OTHER)
    theirs = await site.drawn(other)
    mine = {"source": {"job": job["id"], "n": 1}, "as": "style"}
    given = document(job["id"], strokes=[DOT], references=[mine], seed=7, images=1)
    _, row = await asked(site, given)
    assert row.request.style_references and (row.request.seed, row.request.num_images) == (7, 1)
    given["references"] = [{**mine, "source": {"job": theirs["id"], "n": 1}}]
    assert (await site.you.post("/api/edits", {"document": given})).status == 422
