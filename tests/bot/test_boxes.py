"""/inspect for objects in boxes: from pictures and a file of boxes to what is found, and to pictures whose
boxes are drawn again."""

import csv
import io

import sqlalchemy as sa

from storage.schema import items
from tests.bot.conftest import Studio
from tests.bot.test_own_models import ask, bring, card, good, press, said, told
from tests.support.messages import ids_of, text_of

FINDS = "find objects"


async def boxed(studio: Studio, count: int = 5) -> None:
    """Take in a file that marks two nuts in the first ``count`` pictures."""
    names = await studio.built.database.read(
        lambda connection: list(connection.execute(sa.select(items.c.sha256)).scalars())
    )
    rows = [f"{name}.png,nut,{left},0.1,{left + 0.3},0.4" for name in names[:count] for left in (0.1, 0.5)]
    data = "\n".join(["file,label,left,top,right,bottom", *rows]).encode()
    done = await said(studio, "import", name="trays", file=("boxes.csv", data))
    assert f"{count} pictures labelled with {2 * count} boxes." in done


async def test_boxes_lead_from_nothing_to_what_is_found_and_back(studio: Studio) -> None:
    new = await said(studio, "new", name="trays", finds=FINDS)
    assert "**trays** · boxes" in new and "choose some that show the objects" in new
    added = await bring(studio, *(good(n) for n in range(1, 6)), name="trays")
    assert "5 pictures: 0 with boxes, 5 without" in added
    assert "5 pictures without boxes: they are drawn on the project's page on the web" in added
    assert not any(":label:" in one for one in ids_of(await card(studio, "trays")))
    assert "Objects are marked by boxes" in await said(studio, "label", name="trays")
    refused = await said(studio, "add", name="trays", image=good(9), label="nut")
    assert "not whole pictures" in refused
    await boxed(studio)
    shown = await card(studio, "trays")
    assert "5 pictures: 5 with boxes (10 nut)" in text_of(shown) and "Press **Train**" in text_of(shown)
    await press(studio, shown, "train")
    trained = studio.last()
    assert "Training of a detector" in text_of(trained) and any(
        ":stricter:" in one for one in ids_of(trained)
    )
    stricter = await press(studio, trained, "stricter")
    assert "2 of 4 objects in test pictures are found (4 now)" in told(stricter)
    assert "from a score of 0.4 on" in told(await press(studio, stricter.response, "keepstricter"))
    # what is found, as a message and as a table
    await said(studio, "try", name="trays", image=good(20))
    verdict = studio.last()
    assert text_of(verdict).startswith("**Found: 1 nut, 1 screw.**")
    assert "1: nut 90%, top left" in text_of(verdict) and "2: screw 60%, bottom right" in text_of(verdict)
    table, _ = (await press(studio, verdict, "verdict")).response.attachments
    rows = list(csv.DictReader(io.StringIO((await table.read()).decode())))
    assert [(row["label"], row["left"]) for row in rows] == [("nut", "0"), ("screw", "0.6")]
    # wrong: the picture comes in, and is drawn anew
    noted = await press(studio, verdict, "iswrong")
    assert "Draw its boxes correctly" in told(noted)
    assert "6 pictures: 5 with boxes (10 nut), 1 without" in text_of(await card(studio, "trays"))


async def test_several_pictures_come_with_how_many_objects_are_in_them(studio: Studio) -> None:
    await said(studio, "new", name="trays", finds=FINDS)
    await bring(studio, *(good(n) for n in range(1, 6)), name="trays")
    few = await said(studio, "train", name="trays")
    assert "0 pictures with boxes; at least 4 are needed, and 10 are better" in few
    await boxed(studio)
    await said(studio, "train", name="trays")
    await ask(studio, good(20), good(21), name="trays")
    verdict = studio.last()
    assert text_of(verdict).startswith("**4 objects in 2 pictures**\n")
    shown = await press(studio, verdict, "iswrong")
    noted = await studio.alice.submit_modal(shown, {"number": "2"})
    assert "Draw its boxes" in told(noted)
    bundled = await said(studio, "export", name="trays")
    assert bundled == "" or "Bundle of a detector" in text_of(studio.last())
