"""Videos as they leave: within a limit, or with a word that they don't fit; marked, and signed where the host
has a certificate."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.job import Job, Lane, Origin, Status
from core.requests.video import VideoRequest
from storage.blobs.local import Folder
from storage.videos import StoredVideo
from studio.library.clips import TOO_LARGE, Clips, VideoShowing
from studio.media.provenance import Credentials, Marker
from tests.studio.media.test_clips import noisy
from tests.studio.media.test_credentials import SOURCE, certified, said
from tests.support.videos import xmp_of
from tests.vision.video.test_writer import written
from vision.video.reader import VideoReader

JOB = Job("a", VideoRequest(prompt="x"), Origin(1, 2, 3), Status.DELIVERED, Lane.FAST, datetime.now(UTC))
FRAMES, SIZE, FPS = 48, (160, 96), 16


@pytest.fixture
def files(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "files")


@pytest.fixture
async def stored(files: Folder) -> StoredVideo:
    data = written(noisy(FRAMES, SIZE), fps=FPS)
    sha = await files.put(data, "video/mp4")
    return StoredVideo(sha, "video/mp4", *SIZE, FRAMES, FPS, False, 5, 0, len(data))


def showing(files: Folder, tmp_path: Path, marker: Marker) -> VideoShowing:
    clips = Clips(tmp_path / "clips", "auto", max_bytes=2**20, max_seconds=10, max_pixels=2**20)
    return VideoShowing(files, clips, marker)


async def test_a_video_that_is_larger_than_the_place_takes_is_made_smaller(files, stored, tmp_path) -> None:
    shows = showing(files, tmp_path, Marker(ai_mark=True))
    whole = await shows.video(stored, JOB, 10 * stored.size)
    assert whole.notes == () and len(whole.data) > stored.size
    limit = stored.size // 2
    fitted = await shows.video(stored, JOB, limit)
    assert len(fitted.data) <= limit and fitted.notes
    assert SOURCE.encode() in (xmp_of(fitted.data) or b"")
    with VideoReader(io.BytesIO(fitted.data)) as video:
        assert video.seconds == FRAMES / FPS


async def test_one_that_fits_in_no_way_is_told_and_gives_nothing(files, stored, tmp_path) -> None:
    shown = await showing(files, tmp_path, Marker(ai_mark=True)).video(stored, JOB, 3000)
    assert shown.data is None and shown.notes == (TOO_LARGE,)


async def test_with_a_certificate_videos_leave_signed_by_every_way(files, stored, tmp_path) -> None:
    shows = showing(files, tmp_path, Marker(ai_mark=True, credentials=Credentials(*certified(tmp_path))))
    told = ("Valid", "Studio", SOURCE)
    limit = stored.size // 2
    fitted = (await shows.video(stored, JOB, limit)).data
    assert said(fitted, "video/mp4") == told and len(fitted) <= limit
    assert said((await shows.gif(stored, JOB, 2**20)).data, "image/gif") == told
    assert said((await shows.whole(stored, JOB)).read_bytes(), "video/mp4") == told
    mosaic = await shows.mosaic([stored, stored], JOB, 2**20)
    assert said(mosaic.data, "video/mp4") == told
    unsigned = await showing(files, tmp_path, Marker(ai_mark=True)).whole(stored, JOB)
    assert b"c2pa" not in unsigned.read_bytes(), "what is kept signed isn't given out where nothing is signed"
