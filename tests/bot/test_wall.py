"""/style wall and /style code in Discord."""

import io

import pytest
from PIL import Image
from sqlalchemy import select

from core.styles import MEDIA
from storage.job_queries import to_job
from storage.schema import jobs
from tests.bot.conftest import Studio
from tests.bot.test_own_models import good, told
from tests.bot.test_taste import hung
from tests.support.messages import alts_of, items_of


async def test_a_style_is_found_opened_liked_and_used(studio: Studio) -> None:
    shown = await studio.alice.slash(studio.channel, "style wall", words="watercolor mist")
    assert shown.ephemeral and "watercolor" in told(shown)
    menu = next(item for item in items_of(shown.response) if item.is_menu)
    number = menu.values[0]
    one = await studio.alice.select(shown.response, [number], custom_id=menu.custom_id)
    assert f"--sref {number}" in told(one) and "Likes: 0" in told(one)
    liked = await studio.alice.click(one.response, label="Like")
    assert "Likes: 1" in told(liked)
    window = await studio.alice.click(one.response, label="Use")
    await studio.alice.submit_modal(window, {"prompt": "a boat"})
    [row] = await studio.built.database.read(lambda connection: connection.execute(select(jobs)).all())
    assert to_job(row).request.style_codes == ((int(number), 1.0),)


async def test_pages_of_the_wall_are_turned(studio: Studio) -> None:
    shown = await studio.alice.slash(studio.channel, "style wall")
    assert "1 to 9" in told(shown)
    right = next(item for item in items_of(shown.response) if item.custom_id.endswith(":r"))
    turned = await studio.alice.click(shown.response, custom_id=right.custom_id)
    assert "10 to 18" in told(turned)
    none = await studio.alice.slash(studio.channel, "style wall", words="zebra")
    assert "No style fits" in told(none)
    odd = await studio.alice.slash(studio.channel, "style wall", words="like:watercolor")
    assert "No style fits" in told(odd)


async def test_pictures_become_a_code(studio: Studio) -> None:
    window = await studio.alice.slash(studio.channel, "style code")
    made = await studio.alice.submit_modal(window, {"pictures": [good(1), good(2)]})
    assert "`--sref s" in told(made) and any(medium in told(made) for medium in MEDIA)


async def test_the_wall_comes_in_an_order_that_pages_keep(studio: Studio) -> None:
    shown = await studio.alice.slash(studio.channel, "style wall", words="watercolor", order="me")
    assert "watercolor" in told(shown) and "Your taste isn't known yet" in told(shown)
    right = next(item for item in items_of(shown.response) if item.custom_id.endswith(":r"))
    turned = await studio.alice.click(shown.response, custom_id=right.custom_id)
    assert "10 to 18" in told(turned) and "Your taste isn't known yet" in told(turned)


async def test_a_page_of_the_wall_is_one_picture_with_numbers(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hung(studio, 10, monkeypatch)
    shown = await studio.alice.slash(studio.channel, "style wall", order="new")
    assert [file.filename for file in shown.response.attachments] == ["styles-1.webp"]
    [alt] = alts_of(shown.response)
    assert alt.startswith("1: ") and "; 9: " in alt
    right = next(item for item in items_of(shown.response) if item.custom_id.endswith(":r"))
    await studio.alice.click(shown.response, custom_id=right.custom_id)
    assert [file.filename for file in shown.response.attachments] == ["styles-10.webp"]
    data = await shown.response.attachments[0].read()
    with Image.open(io.BytesIO(data)) as mosaic:
        assert mosaic.width == mosaic.height > 3 * 256, "nine places, of which eight are empty"
