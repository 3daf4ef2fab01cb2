"""Looks at cameras: pictures, MJPEG and key frames of RTSP arrive whole; else there is a sentence."""

import io

import pytest
from PIL import Image

from core.errors import UserError
from host.camera_client import CameraClient
from tests.support.cameras import RtspCamera, http_camera, jpeg, still

GREEN, RED = (20, 160, 60), (180, 30, 30)


def near(data: bytes, colour: tuple[int, int, int]) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        middle = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))
        return all(abs(a - b) < 12 for a, b in zip(middle, colour, strict=True))


async def test_a_picture_by_http_comes_whole_also_out_of_a_stream_and_with_a_login() -> None:
    picture, client = jpeg(still(GREEN)), CameraClient(patience=5)
    async with http_camera(picture) as host:
        for path in ("still", "mjpeg", "plain"):
            assert (await client.still(f"http://{host}/{path}")).data == picture, path
        assert (await client.still(f"http://look:p%40ss@{host}/digest")).data == picture
        for path, why in {
            "digest": "another user name or password",
            "gone": "The camera answers 404.",
            "huge": "more than 1 MB at once",
            "cut": "can't be read",
        }.items():
            with pytest.raises(UserError, match=why):
                await CameraClient(2**20, 5).still(f"http://{host}/{path}")
    with pytest.raises(UserError, match="doesn't answer"):
        await client.still(f"http://{host}/still")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("told", [True, False])
async def test_a_key_frame_is_what_the_camera_saw(codec: str, told: bool) -> None:
    pictures = [Image.effect_noise((160, 128), 90).convert("RGB") for _ in range(4)]  # of many packets
    pictures[0] = still(RED, 160).resize((160, 128))
    pictures += [still(GREEN, 160).resize((160, 128))] * 2
    camera = RtspCamera(codec, pictures, group=6, digest=True, told=told)
    async with camera.open() as url:
        found = await CameraClient(patience=10).still(url)
    assert found.codec == codec and camera.asked[-1] == "PLAY"
    assert near(await decoded(found.data, codec), RED)  # not one of the frames before it


async def decoded(data: bytes, codec: str) -> bytes:
    """What the confined process makes of a key frame."""
    from studio.media.child import ask_once
    from studio.media.uploads import PROCESS

    given = {"called": "it", "too_much": "x", "patience": 20.0, "codec": codec}
    return (await ask_once(PROCESS, "key-frame", data=data, **given))[1]


async def test_a_key_frame_of_which_a_packet_is_lost_is_left_out() -> None:
    noise = [Image.effect_noise((160, 128), 90).convert("RGB") for _ in range(4)]
    async with RtspCamera("h264", noise, group=2, lost=7).open() as url:
        found = await CameraClient(patience=10).still(url)
    assert await decoded(found.data, "h264")


async def test_what_no_stream_gives_is_told_in_a_sentence() -> None:
    pictures = [still(RED)] * 3
    async with RtspCamera("h264", pictures, named="VP8").open() as url:
        with pytest.raises(UserError, match="The camera sends VP8"):
            await CameraClient(patience=5).still(url)
    async with RtspCamera("h264", pictures, digest=True).open() as url:
        with pytest.raises(UserError, match="user name or password"):
            await CameraClient(patience=5).still(url.replace("look", "other"))
    async with RtspCamera("h264", pictures, silent=True).open() as url:
        with pytest.raises(UserError, match="doesn't answer"):
            await CameraClient(patience=0.3).still(url)
    with pytest.raises(UserError, match="doesn't answer"):
        await CameraClient(patience=5).still(url)  # it has gone


async def test_bytes_that_are_no_key_frame_are_refused_by_the_confined_process() -> None:
    from core.errors import ImageError

    for data in (b"", b"\0\0\0\1\x65" + bytes(500), bytes(range(256)) * 20):
        with pytest.raises(ImageError, match="damaged or incomplete"):
            await decoded(data, "h264")
