"""Adds sound to a film whose pictures are written already: they are taken over as they are, packet by packet.
Models that draw both know the sound only when the last frame is out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np

from vision.films import boxes
from vision.films.writer import SOUND_BITS, Sound

BLOCK = 1024  # samples of a packet of AAC


def add(path: Path, sound: Sound) -> None:
    """Give the film at ``path`` a sound, cut to its length. Whoever opens the file finds it without or with
    all of the sound."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w+b") as file:
            _joined(path, sound, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _joined(path: Path, sound: Sound, file: Any) -> None:
    with av.open(str(path), format="mov") as old:
        source: Any = old.streams.video[0]
        seconds = float(source.frames / source.average_rate)
        new: Any = av.open(file, "w", format="mp4", options={"fflags": "+bitexact"})
        pictures = new.add_stream_from_template(source)
        sounds: Any = new.add_stream("aac", rate=sound.rate)
        sounds.codec_context.layout = "mono" if sound.samples.shape[0] == 1 else "stereo"
        sounds.codec_context.bit_rate, sounds.codec_context.thread_count = SOUND_BITS, 1
        heard, wanted = 0, sound.part(0, seconds).samples
        for packet in old.demux(source):
            if packet.dts is None:  # the last one is empty
                continue
            until = float(packet.dts * packet.time_base) + 0.5
            packet.stream = pictures
            new.mux(packet)
            while heard < min(until * sound.rate, wanted.shape[1]):
                _hear(new, sounds, wanted[:, heard : heard + BLOCK], heard, sound.rate)
                heard += BLOCK
        while heard < wanted.shape[1]:
            _hear(new, sounds, wanted[:, heard : heard + BLOCK], heard, sound.rate)
            heard += BLOCK
        for packet in sounds.encode(None):
            new.mux(packet)
        new.close()
    boxes.put_in_order(file)


def _hear(new: Any, sounds: Any, samples: np.ndarray[Any, Any], begin: int, rate: int) -> None:
    part = np.ascontiguousarray(samples, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(part, "fltp", "mono" if len(part) == 1 else "stereo")
    frame.rate, frame.pts = rate, begin
    for packet in sounds.encode(frame):
        new.mux(packet)
