"""The boxes of an MP4: in the order in which it plays, nothing in it that isn't kept, and what is kept as it
was."""

import io
import struct
from fractions import Fraction

import av
import pytest

from tests.support.videos import moving, video, xmp_of
from vision.video import codecs

CANARY = b"canary-55b1"
XMP = b"<x:xmpmeta/>"


def frames_of(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data), format="mov") as container:
        return [bytes(plane) for frame in container.decode(video=0) for plane in frame.planes]


def in_order(data: bytes, xmp: bytes | None = None) -> bytes:
    file = io.BytesIO(data)
    codecs.put_in_order(file, xmp)
    return file.getvalue()


def kinds(data: bytes) -> list[bytes]:
    return [box.kind for box in codecs.boxes(io.BytesIO(data))]


def talkative(data: bytes) -> bytes:
    """A video with a canary in every place that a box can hold one."""
    place = data.index(b"moov") - 4
    size = struct.unpack_from(">I", data, place)[0]
    told = codecs.box_of(b"udta", codecs.box_of(b"\xa9nam", CANARY)) + codecs.box_of(b"meta", CANARY)
    inside = data[place + 8 : place + size] + told
    track = inside.index(b"trak") - 4
    length = struct.unpack_from(">I", inside, track)[0]
    longer = codecs.box_of(
        b"trak", inside[track + 8 : track + length] + told + codecs.box_of(b"free", CANARY)
    )
    inside = inside[:track] + longer + inside[track + length :]
    after = codecs.box_of(b"uuid", codecs.XMP + CANARY) + codecs.box_of(b"free", CANARY) + told
    return data[:place] + codecs.box_of(b"moov", inside) + data[place + size :] + after


def test_what_lies_behind_the_frames_comes_before_them_and_the_frames_stay_as_they_are() -> None:
    data = video(moving(30), more={"bf": "2"})
    assert kinds(data).index(b"moov") > kinds(data).index(b"mdat")
    ordered = in_order(data, XMP)
    assert kinds(ordered) == [b"ftyp", b"uuid", b"moov", b"mdat"]
    assert frames_of(ordered) == frames_of(data) and len(frames_of(data)) == 90
    assert xmp_of(ordered) == XMP
    assert in_order(ordered, XMP) == ordered, "once is enough"
    assert kinds(in_order(ordered)) == [b"ftyp", b"moov", b"mdat"]
    assert xmp_of(in_order(ordered)) is None


def test_nothing_that_a_video_says_of_itself_is_kept() -> None:
    told = talkative(video(moving(12)))
    assert told.count(CANARY) >= 6
    ordered = in_order(told, XMP)
    assert CANARY not in ordered and b"udta" not in ordered
    assert frames_of(ordered) == frames_of(told)


def test_the_first_frame_can_be_seen_before_the_whole_file_is_there() -> None:
    ordered = in_order(video(moving(48, (320, 240)), key_every=24), XMP)
    first = frames_of(ordered)[:3]
    part = ordered[: len(ordered) - len(ordered) // 3]
    with av.open(io.BytesIO(part), format="mov") as container:
        assert [bytes(plane) for plane in next(container.decode(video=0)).planes] == first
    behind = video(moving(48, (320, 240)), key_every=24)
    with pytest.raises(av.FFmpegError):
        av.open(io.BytesIO(behind[: len(part)]), format="mov")


def test_a_video_of_more_than_4_gib_is_told_by_its_large_box() -> None:
    """Read as it stands in the file's head, without holding what it says."""
    head = codecs.box_of(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 2**33)
    with pytest.raises(ValueError, match="cut off"):
        list(codecs.boxes(io.BytesIO(head)))
    small = codecs.box_of(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 20) + b"four"
    assert [(box.kind, box.end - box.body) for box in codecs.boxes(io.BytesIO(small))] == [
        (b"ftyp", 4),
        (b"mdat", 4),
    ]


def _without(data: bytes, kind: bytes) -> bytes:
    return b"".join(data[box.start : box.end] for box in codecs.boxes(io.BytesIO(data)) if box.kind != kind)


def test_what_is_no_video_of_ours_is_left_as_it_is() -> None:
    good = video(moving(8))
    place = good.index(b"stco")
    outside = good[: place + 12] + b"\xff\xff\xff\xf0" + good[place + 16 :]
    too_many = good[: place + 8] + b"\xff\xff\xff\xf0" + good[place + 12 :]
    head = good.index(b"mvhd") - 4
    damaged = good[:head] + struct.pack(">I", 2) + good[head + 4 :]
    fragments = video(moving(8), movflags="frag_keyframe+empty_moov")
    bad = [b"", b"no video", good[:50], good[:-5], outside, too_many, damaged, good + good, fragments]
    bad += [_without(good, kind) for kind in (b"ftyp", b"moov", b"mdat")]
    for data in bad:
        file = io.BytesIO(data)
        with pytest.raises(ValueError, match=r"MP4"):
            codecs.put_in_order(file, XMP)
        assert file.getvalue() == data


def test_pieces_are_moved_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards over themselves, and backwards, in pieces smaller than the way."""
    monkeypatch.setattr(codecs, "PIECE", 7)
    data = video(moving(12))
    ordered = in_order(data, XMP * 50)
    assert frames_of(ordered) == frames_of(data)
    assert frames_of(in_order(ordered)) == frames_of(data)


def test_sound_stays_with_its_frames() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as writer:
        pictures, sound = writer.add_stream("libx264", rate=8), writer.add_stream("aac", rate=16_000)
        pictures.width, pictures.height, pictures.pix_fmt, pictures.thread_count = 64, 48, "yuv420p", 1
        for frame in moving(8):
            for packet in pictures.encode(av.VideoFrame.from_image(frame)):
                writer.mux(packet)
        silence = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        silence.rate, silence.pts, silence.time_base = 16_000, 0, Fraction(1, 16_000)
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        for packet in [*sound.encode(silence), *sound.encode(None), *pictures.encode(None)]:
            writer.mux(packet)
    ordered = in_order(out.getvalue())

    def heard(data: bytes) -> list[bytes]:
        with av.open(io.BytesIO(data), format="mov") as container:
            return [bytes(plane) for frame in container.decode(audio=0) for plane in frame.planes]

    assert heard(ordered) == heard(out.getvalue()) != []
    assert frames_of(ordered) == frames_of(out.getvalue())
