"""LoRAs of the person's tastes: trained, chosen blind, turned on and off and deleted; the same rows as
``/taste strong`` changes."""

from http import HTTPStatus
from typing import Any

from core.errors import UserError
from core.prompt.values import OWN
from studio.taste_loras import LoraCard, told_of_lora
from web import schemas
from web.call import DONE, Answer, Bytes, Call, Gone, Html, Json
from web.schemas import read_body


def described(card: LoraCard) -> dict[str, Any]:
    """Return what there is of a taste's LoRA."""
    waits = card.drawing or bool(card.training)
    return {
        "project": card.project_id or None,
        "told": told_of_lora(card),
        "pictures": card.pictures,
        "can_train": card.can_train,
        "training": card.training or None,
        "version": card.version,
        "on": card.is_on,
        "older": card.is_older,
        "drawing": card.drawing,
        "left": card.left,
        "won": card.won,
        "of": card.of,
        "decided": card.is_decided,
        "waits": waits,
    }


async def _find(call: Call) -> LoraCard:
    """Return the LoRA that an address names. Whatever isn't one of the person's tastes' looks like none."""
    try:
        card = await call.studio.taste_loras.card(call.actor, call.path["project"])
    except UserError as error:
        raise Gone() from error
    if card.project_id != call.path["project"]:
        raise Gone()
    return card


async def train_lora(call: Call) -> Answer:
    """Queue the training of a taste's LoRA."""
    new = await call.studio.taste_loras.train(call.actor, read_body(call, schemas.OfTaste).name)
    job = (await call.studio.submit(call.actor, new)).job
    return Json({"job": job.id, "href": "/taste"}, HTTPStatus.ACCEPTED)


async def compare_lora(call: Call) -> Answer:
    """Queue pictures with a LoRA and without, for the person to choose from."""
    project = (await _find(call)).project_id
    await call.studio.compare_taste(call.actor, project)
    return Json({"href": f"/taste/blind/{project}"}, HTTPStatus.ACCEPTED)


async def blind_page(call: Call) -> Answer:
    """A page that shows a pair of pictures, without saying which was drawn with a LoRA."""
    card = await _find(call)
    project, loras = card.project_id, call.studio.taste_loras
    typed = "--p" if card.name == OWN else f"--p {card.name}"
    values = {"lora": described(card), "typed": typed, "pair": None}
    if card.left and not card.drawing and (pair := await loras.pair(call.actor, project)) is not None:
        files = [f"/files/taste/{project}/{pair.position}/{half}.webp" for half in (1, 2)]
        values["pair"] = {
            "position": pair.position,
            "prompt": pair.prompt,
            "number": pair.number,
            "of": pair.of,
            "files": files,
        }
    elif card.left and not card.drawing:  # what was left couldn't be shown
        values["lora"] = described(await loras.card(call.actor, project))
    return Html("blind", values)


async def send_half(call: Call) -> Answer:
    """Return a picture of the pair that is to be decided next."""
    try:
        pair = await call.studio.taste_loras.pair(call.actor, call.path["project"])
    except UserError as error:
        raise Gone() from error
    if pair is None or str(pair.position) != call.path["pair"]:
        raise Gone()
    return Bytes(pair.first if call.path["half"] == "1" else pair.second, "image/webp")


async def choose_half(call: Call) -> Answer:
    """Keep which picture of a pair the person likes more."""
    said = read_body(call, schemas.Half)
    project = (await _find(call)).project_id
    await call.studio.taste_loras.choose(call.actor, project, said.pair, first=said.first)
    return DONE


async def turn_lora(call: Call) -> Answer:
    """Let a LoRA act, or not."""
    on = read_body(call, schemas.OnOff).on
    await call.studio.taste_loras.turn(call.actor, (await _find(call)).project_id, on=on)
    return DONE


async def forget_lora(call: Call) -> Answer:
    """Delete a LoRA for good."""
    await call.studio.taste_loras.forget(call.actor, (await _find(call)).project_id)
    return DONE
