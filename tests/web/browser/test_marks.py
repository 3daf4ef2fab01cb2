"""What the prompt bar tells before anything is sent: unknown words, flags without effect, and faults."""

import pytest

from tests.web.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_a_prompt_cannot_do_is_told_in_the_bar(opened: Site, you) -> None:
    field, told = you.locator("#bar-prompt"), you.locator(".bar-told")
    await field.click()
    await you.keyboard.type("an elephant at night --v 99 --ar wide")
    await you.wait_for_selector(".bar-marks .word >> text=elephant")
    await you.wait_for_selector(".bar-marks .flag >> text=--v 99")
    await you.wait_for_selector(".bar-marks .fault >> text=--ar wide")
    field_box, words_box = await field.bounding_box(), await you.locator(".bar-marks").bounding_box()
    assert abs(field_box["x"] - words_box["x"]) < 1 and abs(field_box["y"] - words_box["y"]) < 1
    await told.get_by_role("button", name="boat").click()
    assert (await field.input_value()).startswith("a boat at night")
    await you.wait_for_selector(".bar-marks:not(:has(.word))")
    await field.press("Enter")
    await told.get_by_text("write it like").wait_for()
    assert not await you.locator(".toast").count()
    await field.fill("a red house")
    await you.wait_for_function("() => !document.querySelector('.bar-told').textContent.trim()")
