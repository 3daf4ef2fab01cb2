"""Custom models in a browser: dropped, labelled by keys, trained, read about and tried; axe is content."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from studio.media import masks
from tests.web.browser.conftest import SIDEWAYS, faults, look, shot, sign_in
from tests.web.browser.test_examples import ALL_THERE, LOOKS
from tests.web.conftest import Site, open_site
from tests.web.teacher import Teacher
from tests.web.test_cameras import alarmed
from tests.web.test_projects import part, project, send, trained, tried

pytestmark = pytest.mark.asyncio(loop_scope="session")
DROP = """(files) => {
  const data = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    data.items.add(new File([bytes], name, { type: name.endsWith(".png") ? "image/png" : "" }));
  }
  const at = document.querySelector("h1");
  for (const type of ["dragover", "drop"])
    at.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def teacher() -> Teacher:
    return Teacher()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path, teacher: Teacher) -> AsyncIterator[Site]:
    (tmp_path / "line").mkdir()
    async with open_site(tmp_path / "data", teacher, WATCH_SOURCES=f"line={tmp_path / 'line'}") as found:
        yield found


async def drop(page, *files: tuple[str, bytes]) -> None:
    await page.evaluate(DROP, [(name, base64.b64encode(data).decode()) for name, data in files])


async def counts(site: Site, project_id: str) -> dict[str, int]:
    card = (await site.you.get(f"/api/projects/{project_id}")).data
    return {label["name"]: label["count"] for label in card["labels"]}


async def test_a_newcomer_drops_trains_and_has_a_verdict(site: Site, teacher: Teacher, page) -> None:
    await sign_in(site, page)
    await page.keyboard.press("g")
    await page.keyboard.press("m")
    await page.get_by_text("No projects yet").wait_for()
    await page.get_by_role("button", name="New project").click()
    await page.get_by_label("Name", exact=True).fill("boards")
    await page.get_by_role("button", name="Create").click()
    await page.locator("#add-own").wait_for()  # by then the page's scripts listen
    # 24 good ones in three calls, and something that is no picture
    await drop(page, *[(f"{n}.png", part(n)) for n in range(24)], ("read.me", b"hello"))
    await page.get_by_text("24 taken.").wait_for(timeout=120_000)  # a process reads each
    assert await page.locator(".item").count() == 24
    assert "good" == await page.locator(".item-label").first.inner_text()
    # trained while it is watched
    teacher.gate.clear()
    await page.get_by_role("button", name="Train").click()
    await page.get_by_text("30 %").wait_for()
    assert await page.locator("#training progress").evaluate("(one) => one.value") == pytest.approx(0.3)
    await shot(page, "projects-training-1280-light")
    teacher.gate.set()
    await page.get_by_role("heading", name="Version 1").wait_for()
    await page.get_by_text("It learned from 24 pictures.").first.wait_for()
    # tried: one good, one bad
    await page.get_by_role("link", name="Try it").click()
    await page.locator("#try-own").wait_for()
    await drop(page, ("a.png", part(60)), ("b.png", part(61, bad=True)))
    await page.get_by_text("Like the good ones.", exact=True).wait_for()
    await page.get_by_text("× the limit").wait_for()
    assert await page.evaluate(ALL_THERE)
    await page.get_by_role("button", name="The verdict on picture 2 is wrong").click()
    await page.get_by_role("combobox", name="Label").select_option("good")
    await page.get_by_role("button", name="That is it").click()
    await page.get_by_text("rated wrong").wait_for()
    await page.locator(".notice", has_text="1 new since version 1").wait_for()


async def test_a_labelling_queue_is_gone_through_by_keys_alone(site: Site, page) -> None:
    project_id = await project(site, good=0, bad=1, new=6)
    await sign_in(site, page, f"/projects/{project_id}/label")
    await page.get_by_text("6 left").wait_for()

    async def pressed(key: str, expected: str) -> None:
        before = await page.locator(".desk img").get_attribute("src")
        await page.keyboard.press(key)
        await page.wait_for_function(
            "(src) => document.querySelector('.desk img')?.getAttribute('src') !== src", arg=before
        )
        await page.get_by_text(expected).wait_for()

    await pressed("1", "5 left")
    await pressed("2", "4 left")
    await pressed("ArrowLeft", "5 left")  # the second is shown again, and is called otherwise
    await pressed("1", "4 left")
    skipped = await page.locator(".desk img").get_attribute("src")
    await pressed("ArrowRight", "4 left")
    await pressed("x", "3 left")
    await pressed("1", "2 left")
    await page.keyboard.press("1")
    await page.get_by_text("The rest was skipped").wait_for()
    await page.locator("#desk[aria-busy=false]").wait_for(state="attached")
    assert await counts(site, project_id) == {"good": 4, "scratch": 1}
    card = (await site.you.get(f"/api/projects/{project_id}")).data
    assert card["states"]["left_out"] == 1 and card["states"]["new"] == 1
    await page.get_by_role("link", name="Show the skipped ones").click()
    await page.get_by_text("1 left").wait_for()
    assert await page.locator(".desk img").get_attribute("src") == skipped
    await page.keyboard.press("1")
    await page.get_by_text("Every picture has its label").wait_for()
    await page.locator("#desk[aria-busy=false]").wait_for(state="attached")
    assert await counts(site, project_id) == {"good": 5, "scratch": 1}


async def test_a_box_is_drawn_by_keys_and_by_pointer(site: Site, page) -> None:
    project_id = await project(site, good=0, bad=1, new=2)
    await sign_in(site, page, f"/projects/{project_id}/label")
    await page.locator(".desk-frame").wait_for()
    await page.keyboard.press("b")
    await page.locator("rect.current").wait_for()
    for key in ("ArrowRight", "Shift+ArrowDown", "Enter"):
        await page.keyboard.press(key)
    await page.get_by_text("1 box for the label").wait_for()
    around = await page.locator(".desk-frame").bounding_box()
    await page.mouse.move(around["x"] + 5, around["y"] + 5)
    await page.mouse.down()
    await page.mouse.move(around["x"] + around["width"] / 2, around["y"] + around["height"] / 2)
    await page.mouse.up()
    await page.get_by_text("2 boxes for the label").wait_for()
    await shot(page, "projects-boxes-1280-light")
    async with page.expect_request("**/marks") as asked:
        await page.keyboard.press("2")
    sent = (await asked.value).post_data_json
    assert sent["label"] == "scratch"
    assert sent["boxes"][0] == pytest.approx(["scratch", 0.42, 0.4, 0.62, 0.62])
    assert sent["boxes"][1][3:] == pytest.approx([0.5, 0.5], abs=0.02)


async def _drag(page, *points: tuple[float, float]) -> None:
    """Draw across the picture, in shares of its sides."""
    around = await page.locator(".desk-frame").bounding_box()
    to = [(around["x"] + x * around["width"], around["y"] + y * around["height"]) for x, y in points]
    await page.mouse.move(*to[0])
    await page.mouse.down()
    for point in to[1:]:
        await page.mouse.move(*point, steps=4)
    await page.mouse.up()


async def _words(site: Site, project_id: str, sha256: str) -> list:
    actor = (await site.web.visitors.find(site.you.cookie)).actor
    return await site.opened.studio.labelling.marks(actor, project_id, sha256)


async def test_a_mask_is_painted_erased_undone_kept_and_shown_again(site: Site, page, axe) -> None:
    project_id = await project(site, good=0, bad=1, new=2)
    await sign_in(site, page, f"/projects/{project_id}/label")
    await page.get_by_role("button", name="Brush").click()
    await _drag(page, (0.2, 0.5), (0.8, 0.5))
    await page.get_by_text("What is painted goes with the label").wait_for()
    await page.keyboard.press(".")
    await _drag(page, (0.5, 0.1), (0.5, 0.2))
    await page.keyboard.press("u")  # the second stroke goes
    await page.keyboard.press("e")
    await page.keyboard.press(",")
    await _drag(page, (0.5, 0.5), (0.9, 0.5))  # and half of the first
    assert await faults(page, axe) == []
    await shot(page, "projects-brush-1280-light")
    async with page.expect_response("**/marks") as answered:
        await page.keyboard.press("2")
    answer = await (await answered.value).json()
    [word] = await _words(site, project_id, answer["id"])
    painted = masks.read_mask(await site.opened.services.files.get(word.mask))
    columns = [any(_pixel(painted, x, y) for y in range(painted.height)) for x in range(painted.width)]
    assert (word.label, word.boxes, any(columns[: painted.width // 3])) == ("scratch", (), True)
    assert not any(columns[-painted.width // 4 :]), "erased"
    # the next one by keys alone: a box, filled
    for key in ("p", "b", "Enter", "f"):
        await page.keyboard.press(key)
    await page.get_by_role("button", name="Discard the mask").wait_for()
    async with page.expect_response("**/marks") as answered:
        await page.keyboard.press("2")
    other = await (await answered.value).json()
    [filled] = await _words(site, project_id, other["id"])
    assert masks.read_mask(await site.opened.services.files.get(filled.mask)).painted
    # opened again from the grid
    await page.goto(f"{site.web.url}/projects/{project_id}/label?picture={answer['id']}")
    await page.get_by_role("button", name="Discard the mask").wait_for()
    await shot(page, "projects-brush-again-1280-light")
    async with page.expect_response("**/marks") as answered:
        await page.keyboard.press("2")
    await answered.value
    [again] = await _words(site, project_id, answer["id"])
    assert again.mask == word.mask, "the same pixels"


def _pixel(mask: masks.Bits, x: int, y: int) -> int:
    return mask.rows[y * masks.stride(mask.width) + x // 8] >> (7 - x % 8) & 1


async def test_the_grid_is_labelled_by_digits_and_walked_by_arrows(site: Site, page) -> None:
    project_id = await project(site, good=0, bad=1, new=5)
    await sign_in(site, page, f"/projects/{project_id}")
    await page.locator(".keys-hint").wait_for()
    boxes = page.locator(".item input")
    await boxes.nth(1).focus()
    await page.keyboard.press("1")
    await page.locator(".item:nth-child(2)", has_text="good").wait_for()
    await page.keyboard.press("ArrowRight")
    for _ in range(2):
        await page.keyboard.press("Space")
        await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("2")
    await page.locator(".item:nth-child(4)", has_text="scratch").wait_for()
    assert await counts(site, project_id) == {"good": 1, "scratch": 3}
    await page.keyboard.press("a")
    assert await page.locator(".item :checked").count() == 6
    await page.get_by_role("button", name="Exclude").click()
    await page.locator('[data-state="left_out"]').nth(5).wait_for()


async def test_a_training_is_cancelled_and_its_page_says_so(site: Site, teacher: Teacher, page) -> None:
    project_id = await project(site)
    await sign_in(site, page, f"/projects/{project_id}")
    teacher.gate.clear()
    await page.get_by_role("button", name="Train").click()
    await page.get_by_text("30 %").wait_for()
    await page.get_by_role("button", name="Cancel").click()
    teacher.gate.set()
    await page.get_by_text("stopped before it was done").wait_for()
    await page.get_by_role("button", name="Train").wait_for()


async def test_a_project_is_forgotten_only_when_that_is_meant(site: Site, page) -> None:
    project_id = await project(site, good=1, bad=0)
    await sign_in(site, page, f"/projects/{project_id}/settings")
    await page.get_by_role("button", name="Delete the project").click()
    await page.locator("dialog").get_by_role("button", name="Cancel").click()
    assert (await site.you.get(f"/api/projects/{project_id}")).status == 200
    await page.get_by_role("button", name="Delete the project").click()
    await page.locator("dialog").get_by_role("button", name="Delete the project").click()
    await page.get_by_text("No projects yet").wait_for()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_and_nothing_is_cut_off(
    site: Site, page, axe, scheme, width, tmp_path: Path
) -> None:
    project_id = await project(site)
    await send(
        site.you, f"/api/projects/{project_id}/pictures", [(f"{n}.png", part(30 + n)) for n in range(3)]
    )
    await trained(site, project_id)
    await trained(site, project_id)
    await tried(site, project_id, part(21), part(22, bad=True))
    await alarmed(site, project_id, tmp_path / "line")
    empty = (await site.you.post("/api/projects", {"name": "new", "task": "classify"})).data["href"]
    style = (await site.you.post("/api/projects", {"name": "lines", "task": "style"})).data["href"]
    await send(site.you, f"/api{style}/pictures", [(f"{n}.png", part(n)) for n in range(5)])
    here = f"/projects/{project_id}"
    await sign_in(site, page)
    await look(page, scheme, width)
    ends = (
        "",
        "/label",
        "/report?version=2&move=stricter&with=1",
        "/try",
        "/watch",
        "/settings",
        "?label=scratch",
    )
    for path in (
        "/projects",
        *(here + end for end in ends),
        empty,
        f"{empty}/report",
        f"{style}/label",
        f"{style}/try",
        f"{empty}/label",
    ):
        assert await faults(page, axe, site.web.url + path) == [], path
        assert await page.evaluate(SIDEWAYS) <= 0, path
        assert await page.evaluate(ALL_THERE), path
        name = path.replace(project_id, "").replace("/", "-").partition("?version")[0]
        await shot(page, f"projects{name[-30:]}-{width}-{scheme}")
    await page.goto(f"{site.web.url}{here}/try")
    await page.get_by_role("button", name="The verdict on picture 1 is wrong").click()
    await page.get_by_role("combobox", name="Label").wait_for()
    assert await faults(page, axe) == []
    await page.goto(f"{site.web.url}/projects")
    await page.get_by_role("button", name="New project").click()
    await page.get_by_role("radio", name="Style").check()
    await page.get_by_label("Words that call the style").wait_for()
    assert await faults(page, axe) == []
    await shot(page, f"projects-new-{width}-{scheme}")


async def test_the_forms_of_a_project_do_what_they_say_and_show_it(site: Site, page, tmp_path: Path) -> None:
    project_id = await project(site)
    await trained(site, project_id)
    await trained(site, project_id)
    await sign_in(site, page)
    here = f"{site.web.url}/projects/{project_id}"
    await page.goto(f"{here}/settings")
    await page.get_by_label("Name", exact=True).fill("plates")
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_role("heading", name="plates").wait_for()
    await page.get_by_label("Label", exact=True).fill("dent")
    await page.get_by_label("When to use it").fill("Pressed in")
    await page.get_by_role("button", name="Save the label").click()
    await page.get_by_text("Pressed in").wait_for()
    scratch = page.locator("li", has=page.get_by_role("button", name="Remove the label scratch"))
    await scratch.get_by_role("combobox").select_option("dent")
    await page.get_by_role("button", name="Remove the label scratch").click()
    await page.get_by_role("button", name="Remove the label scratch").wait_for(state="detached")
    assert await counts(site, project_id) == {"good": 8, "dent": 4}
    table = tmp_path / "labels.csv"
    first = (await site.you.get(f"/api/projects/{project_id}/pictures")).data["pictures"][0]["id"]
    table.write_text(f"file,label\n{first}.png,dent\n")
    await page.get_by_label("File of labels").set_input_files(table)
    await page.get_by_role("button", name="Import").click()
    await page.get_by_text("1 labelled, 0 boxes; 0 aren't in this project.").wait_for()
    await page.get_by_label("How parts lie").select_option("turns")
    await page.locator("form", has_text="How parts lie").get_by_role("button", name="Save").click()
    await page.wait_for_function("() => document.querySelector('option[value=turns]').defaultSelected")
    await page.goto(f"{here}/report?version=2&move=stricter")
    await page.get_by_role("button", name="Keep it").click()
    await page.wait_for_url("**/report?version=2")
    await page.get_by_role("button", name="Use version 2").click()
    await page.get_by_role("button", name="Use version 2").wait_for(state="detached")
    await page.get_by_role("button", name="Make a bundle").click()
    await page.get_by_role("link", name="Download the bundle of version 2").wait_for()
    job = await tried(site, project_id, part(21))
    await page.goto(f"{here}/try#job-{job}")
    await page.get_by_role("button", name="The verdict on picture 1 is right").click()
    await page.get_by_text("rated right").wait_for()
