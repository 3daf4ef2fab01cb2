"""The bytes of pictures as they leave."""

import io
from dataclasses import replace
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from storage.blobs.local import Folder
from storage.job_queries import StoredPicture
from studio.library.rendition import Showing
from studio.media.provenance import Marker
from tests.storage.conftest import a_job


async def test_a_picture_keeps_its_prompt_only_where_its_words_may_be_told(tmp_path: Path) -> None:
    out, said = io.BytesIO(), PngInfo()
    said.add_text("parameters", "a sharp knife")
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=said)
    files = Folder(tmp_path, ballast_bytes=4096)
    stored = StoredPicture(await files.put(out.getvalue(), "image/png"), "image/png", 8, 8, None, 0, 99)
    none = (None,) * 3
    showing = Showing(files, *none, marker=Marker(ai_mark=False), parameters=True)  # type: ignore[arg-type]
    for worded in (True, False):
        shown = await showing.picture(stored, replace(a_job(), worded=worded), 2**20)
        assert shown.data is not None and (b"a sharp knife" in shown.data) is worded
