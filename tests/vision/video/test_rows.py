"""Bands of whole frames come back as they were put, from memory or from a file."""

import errno
import os
import tempfile
from contextlib import closing

import pytest
import torch

from vision.video import decode
from vision.video.decode import Shelf

SHAPE = (1, 3, 2, 10, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("room", [0, 2**20])
def test_bands_come_back_as_they_were_put(dtype: torch.dtype, room: int, monkeypatch) -> None:
    monkeypatch.setattr(decode, "IN_MEMORY", room)
    first, second = (torch.randn(SHAPE).to(dtype) for _ in range(2))
    with closing(Shelf()) as shelf:
        kept = [shelf.frames(one, SHAPE) for one in (first, second)]
        for frames, whole in zip(kept, (first, second), strict=True):
            frames.write(0, whole[:, :, :, :4])
            frames.write(4, whole[:, :, :, 4:])
        assert kept[0].rows == 10
        assert torch.equal(kept[0].read(2, 0, 10), first)
        assert torch.equal(kept[1].read(2, 3, 7), second[:, :, :, 3:7])
        kept[0].write(5, second[:, :, :1, 5:6])  # one row of the first frame only
        first[:, :, :1, 5:6] = second[:, :, :1, 5:6]
        assert torch.equal(kept[0].read(2, 0, 10), first)
        assert torch.equal(kept[0].read(1, 2, 9), first[:, :, :1, 2:9])


def test_what_is_kept_in_a_file_leaves_no_name_behind(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(decode, "IN_MEMORY", 0)
    with closing(Shelf()) as shelf:
        frames = shelf.frames(torch.zeros(()), SHAPE)
        frames.write(0, torch.ones(SHAPE))
        assert isinstance(frames, decode._FramesInFile) and list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed file"):
        frames.read(1, 0, 1)


@pytest.mark.parametrize("name", ["TemporaryFile", "posix_fallocate", "free"])
def test_frames_stay_in_memory_where_the_disk_has_no_room(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(decode, "IN_MEMORY", 0)
    if name == "free":
        monkeypatch.setattr(decode, "FREE", 2**80)
    else:
        monkeypatch.setattr(tempfile if name == "TemporaryFile" else os, name, full)
    with closing(Shelf()) as shelf:
        frames, given = shelf.frames(torch.zeros(()), SHAPE), torch.randn(SHAPE)
        frames.write(0, given)
        assert type(frames) is decode.Frames and torch.equal(frames.read(2, 0, 10), given)
