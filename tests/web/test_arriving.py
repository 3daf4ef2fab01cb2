"""Bodies on their way in: where they lie, how many at once, and how a form with files is taken apart."""

import asyncio
import io
from pathlib import Path

import pytest

from studio.media.child import ask_once
from studio.media.uploads import InMemory, OnDisk, fetched
from tests.jobs.conftest import until
from tests.studio.conftest import png
from tests.web.conftest import COOKIE, OTHER, Site, open_site
from web import dispatch
from web.call import Refused
from web.dispatch import Slots

MIB = 2**20


class Upload:
    """A video of 3 MiB that somebody sends bit by bit."""

    def __init__(self, site: Site, cookie: str | None) -> None:
        self.host, self.origin, self.cookie = site.web.url.removeprefix("http://"), site.web.url, cookie

    async def begin(self, sent: int) -> None:
        self.reader, self.writer = await asyncio.open_connection(*self.host.split(":"))
        head = f"POST /api/clips HTTP/1.1\r\nHost: {self.host}\r\nOrigin: {self.origin}\r\n"
        head += f"Cookie: {COOKIE}={self.cookie}\r\nContent-Type: video/mp4\r\nContent-Length: {3 * MIB}\r\n"
        self.writer.write(f"{head}Connection: close\r\n\r\n".encode() + bytes(sent))
        await self.writer.drain()

    async def end(self, missing: int) -> int:
        self.writer.write(bytes(missing))
        answer = await self.reader.read()
        self.writer.close()
        return int(answer.split(b" ", 2)[1])


def sent_files(site: Site) -> list[Path]:
    return list((site.opened.services.files.incoming / "clips").glob("sent-*"))


async def test_a_large_body_lies_on_the_disk_until_its_call_is_answered(site) -> None:
    upload = Upload(site, site.you.cookie)
    await upload.begin(2 * MIB)
    await until(lambda: sum(path.stat().st_size for path in sent_files(site)) >= MIB)
    assert await upload.end(MIB) == 422, "zeros are no video"
    await until(lambda: sent_files(site) == [])


async def test_a_large_body_that_breaks_off_leaves_no_file(site) -> None:
    upload = Upload(site, site.you.cookie)
    await upload.begin(2 * MIB)
    await until(lambda: sent_files(site))
    upload.writer.transport.abort()
    await until(lambda: sent_files(site) == [])


async def test_a_disk_that_takes_no_more_is_said(site) -> None:
    folder = site.opened.services.files.incoming / "clips"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"a file where the folder should be")
    answer = await site.you.ask("POST", "/api/clips", data=io.BytesIO(bytes(2 * MIB)))
    assert (answer.status, "disk" in answer.data["detail"]) == (507, True)


async def test_one_upload_of_a_person_comes_at_a_time_and_others_beside_it(site) -> None:
    first, second = Upload(site, site.you.cookie), Upload(site, site.you.cookie)
    other = Upload(site, (await site.person(OTHER)).cookie)
    await first.begin(2 * MIB)
    await until(lambda: len(sent_files(site)) == 1)
    for upload in (second, other):
        await upload.begin(64 * 1024)
    await until(lambda: len(sent_files(site)) == 2)
    assert await other.end(3 * MIB - 64 * 1024) == 422
    await until(lambda: len(sent_files(site)) == 1)  # the second of the same person still waits
    assert await first.end(MIB) == 422
    await until(lambda: len(sent_files(site)) == 1)
    assert await second.end(3 * MIB - 64 * 1024) == 422


async def test_who_waits_too_long_for_a_slot_is_told_to_come_back(monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "PATIENCE", 0.01)
    slots = Slots(one=1, most=2)
    async with slots.of("you"):
        with pytest.raises(Refused) as refused:
            async with slots.of("you"):
                pass
        assert (refused.value.status, refused.value.retry_after) == (503, 10.0)
        async with slots.of("other"):
            with pytest.raises(Refused):
                async with slots.of("a third"):
                    pass
        async with slots.of("a third"):
            pass


async def test_a_small_body_takes_no_file(tmp_path) -> None:
    async with open_site(tmp_path) as site:
        answer = await site.you.ask("POST", "/api/uploads", data=png(64, 64))
        assert answer.status == 201
        assert not (site.opened.services.files.incoming / "clips").exists()


def form(*parts: tuple[str, str | None, bytes], boundary: bytes = b"x") -> bytes:
    lines = b""
    for name, filename, content in parts:
        said = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
        lines += b"--" + boundary + f"\r\nContent-Disposition: {said}\r\n\r\n".encode() + content + b"\r\n"
    return lines + b"--" + boundary + b"--\r\n"


@pytest.mark.parametrize("on_disk", [False, True])
async def test_a_form_is_taken_apart_where_it_lies(tmp_path, on_disk: bool) -> None:
    content = bytes(range(256)) * 2000 + b"\r\n--y\r\n"
    data = form(("label", None, b"a house"), ("files", "", b""), ("files", "a.png", content), ("f", "b", b""))
    path = tmp_path / "form"
    path.write_bytes(data)
    body = OnDisk("", path, len(data)) if on_disk else InMemory("", data)
    fields, files, _names = dispatch.parse_form(body, "multipart/form-data; boundary=x")
    assert fields == {"label": "a house"}
    assert [(one.name, one.size) for one in files] == [("a.png", len(content)), ("b", 0)]
    assert await files[0].read() == content and files[0].head == content[:MIB]
    assert b"".join([block async for block in files[0].blocks()]) == content


def test_a_form_of_countless_parts_is_given_up_early() -> None:
    class Counting(bytes):
        found = 0

        def find(self, *given) -> int:
            Counting.found += 1
            return super().find(*given)

    with pytest.raises(ValueError, match="too many parts"):
        dispatch.parse_form(InMemory("", Counting(b"\r\n--axx" * 100_000)), "multipart/form-data; boundary=a")
    assert Counting.found < 200


async def test_a_process_is_handed_a_file_block_by_block(tmp_path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(b"before" + png(32, 32) + b"behind")
    picture = OnDisk("a.png", path, len(png(32, 32)), 6)
    assert await fetched(picture) is picture
    said = {"called": "It", "too_much": "takes too much.", "patience": 20}
    header, _ = await ask_once("studio.media.media_process", "clean", data=picture, **said)
    assert header["width"] == 32
