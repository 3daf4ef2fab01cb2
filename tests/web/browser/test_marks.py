"""What the prompt bar tells before anything is sent: unknown words, flags without effect, and faults."""

import pytest

from core.profiles import DEMO
from tests.web.browser.conftest import FOUR, faults, look, sign_in
from tests.web.conftest import Site, open_site

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


async def test_a_model_is_chosen_in_the_panel_with_its_time(tmp_path, page, axe) -> None:
    models = f"turbo=stabilityai/sdxl-turbo@0123456,v6={DEMO / 'stable-diffusion'}"
    async with open_site(tmp_path, IMAGE_MODELS=models) as site:
        site.opened.services.queue.dispatcher.estimate.add("imagine|0x0x4s0|turbo", 3.0)
        await sign_in(site, page)
        await look(page, "dark", 390)
        field, panel = page.locator("#bar-prompt"), page.locator(".flag-panel")
        chosen = panel.locator(".model[aria-pressed=true]")
        await field.fill("a red house --v 6")
        await page.locator("#bar-flags").click()
        await panel.locator(".model").nth(2).wait_for()
        assert (await chosen.inner_text()).startswith("v6")
        turbo = panel.get_by_role("button", name="turbo")
        told = await turbo.inner_text()
        assert "4 in about 3 s" in told and "by stabilityai, free below" in told
        await turbo.press("Enter")
        assert (await field.input_value()).strip() == "a red house --model turbo"
        assert (await chosen.inner_text()).startswith("turbo") and await faults(page, axe) == []
        usual = panel.get_by_role("button", name="(default)")
        assert "about" not in await usual.inner_text()  # nobody has asked it for any
        await usual.click()
        assert (await field.input_value()).strip() == "a red house"
        await page.close()  # before what it asks is gone


async def test_an_only_model_is_told_and_not_chosen(opened: Site, you) -> None:
    opened.opened.services.queue.dispatcher.estimate.add("imagine|0x0x4s0|image", 3.0)
    await you.locator("#bar-flags").click()
    told = await you.locator(".flag-panel p.model").inner_text()
    assert "4 in about 3 s" in told and not await you.locator("button.model").count()
    await you.locator("#bar-flags").click()
    await you.wait_for_selector(".flag-panel", state="hidden")
    await you.locator("#bar-flags").press("Enter")
    await you.wait_for_selector(".flag-panel", state="visible")
    await you.locator("#bar-prompt").evaluate("(field) => (field.value = 'a house')")
    await you.locator(".flag-panel").get_by_role("button", name="Raw").click()
    await you.reload()
    assert (await you.locator("#bar-prompt").input_value()).strip() == "a house --raw"


async def test_flags_that_had_no_effect_are_struck_on_their_job_too(opened: Site, you) -> None:
    await you.locator("#bar-prompt").fill("a red house --v 99 --p --chaos 20")
    await you.keyboard.press("Enter")
    await you.wait_for_selector(FOUR)
    chips = you.locator(".job .chip")
    assert await chips.locator("s").all_inner_texts() == ["v 99"]
    assert {"p", "chaos 20"} <= {*await chips.all_inner_texts()}
    page = await opened.you.page("/")  # for those without scripts
    assert [one.partition("<")[0] for one in page.split('<s title="No effect here">')[1:]] == ["v 99"]
