"""The whole product on the demo models: a simulated Discord, the real queue, the real worker process."""

import io
import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image

from tests.bot.conftest import Studio, open_studio
from tests.support.messages import act


@pytest.fixture
async def studio(tmp_path) -> AsyncIterator[Studio]:
    async with open_studio(tmp_path, target="vision.worker.main:main", settle=240) as opened:
        yield opened


async def _image(message) -> Image.Image:
    return Image.open(io.BytesIO(await message.attachments[0].read()))


@pytest.mark.slow
async def test_a_member_uses_every_command_on_the_real_models(studio: Studio) -> None:
    queue, channel, alice = studio.built.queue, studio.channel, studio.alice

    # 1. /imagine: four pictures; each carries what made it; the same words and seed give the same
    # picture
    await alice.slash(channel, "imagine", prompt="a red house in the snow --seed 5 --steps 5")
    grid = studio.last()
    job, _ = await queue.job_of_message(grid.id)
    first = await queue.result(job.id)
    size = (await _image(grid)).size
    assert len(first.pictures) == len(grid.attachments) == 4
    assert size == (first.pictures[0].width, first.pictures[0].height)
    stored = Image.open(io.BytesIO(await studio.built.files.get(first.pictures[2].sha256)))
    assert (
        "a red house in the snow" in stored.text["parameters"]
        and json.loads(stored.text["atelier"])["seed"] == 7
    )
    await alice.slash(channel, "imagine", prompt="a red house in the snow --seed 5 --steps 5")
    again, _ = await queue.job_of_message(studio.last().id)
    assert [p.sha256 for p in (await queue.result(again.id)).pictures] == [p.sha256 for p in first.pictures]

    # 2. U2, then a larger canvas around it: the old pixels stay as they were away from the seam
    await alice.click(grid, label="U2")
    single = studio.last()
    old = np.asarray(await _image(single))
    await act(alice, single, "zoom15")
    new = np.asarray(await _image(studio.last()))
    h, w = old.shape[:2]
    top, left = (new.shape[0] - h) // 2, (new.shape[1] - w) // 2
    assert new.shape[:2] == (round(h * 1.5), round(w * 1.5))
    inset = h // 6
    kept = new[top + inset : top + h - inset, left + inset : left + w - inset]
    assert np.array_equal(kept, old[inset : h - inset, inset : w - inset])
    assert new[: top // 2].std() > 0

    # 3. /variation, /describe, /classify
    await alice.click(grid, label="V1")
    varied, _ = await queue.job_of_message(studio.last().id)
    assert len((await queue.result(varied.id)).pictures) == 4
    file = ("house.png", await studio.built.files.get(first.pictures[0].sha256))
    await alice.slash(channel, "describe", image=file)
    described, _ = await queue.job_of_message(studio.last().id)
    assert len(set((await queue.result(described.id)).captions)) == 4
    await alice.slash(channel, "classify", image=file, labels="house, cat, fish")
    classified, _ = await queue.job_of_message(studio.last().id)
    scores = (await queue.result(classified.id)).scores
    assert {label for label, _ in scores} == {"house", "cat", "fish"} and sum(
        p for _, p in scores
    ) == pytest.approx(1, abs=1e-3)
    assert [p for _, p in scores] == sorted((p for _, p in scores), reverse=True)

    # 4. /ask, and a next turn: the demo model sees what was drawn
    await alice.slash(channel, "ask", question="What colour is the house?", image=file)
    answered = studio.last()
    asked, _ = await queue.job_of_message(answered.id)
    assert (await queue.result(asked.id)).answer.text == "The house is red."
    shown = await alice.click(answered, label="Ask more")
    await alice.submit_modal(shown, {"question": "What is in the background?"})
    asked, _ = await queue.job_of_message(studio.last().id)
    assert "snow" in (await queue.result(asked.id)).answer.text
