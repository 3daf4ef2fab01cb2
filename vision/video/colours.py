"""Keeps a film's colours where one window goes on from the pixels of another: encoding frames again shifts
them a little at every join."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCENE = 25.5  # of 255: a channel's mean that differs by more is another scene, not a shift
LEAST, MOST = 0.8, 1.25  # of a channel's deviation


@dataclass(frozen=True)
class Colours:
    """What brings frames back to the colours they had: value · gain + shift, for each channel."""

    gain: np.ndarray  # (3,)
    shift: np.ndarray  # (3,)

    @classmethod
    def between(cls, were: np.ndarray, are: np.ndarray) -> Colours | None:
        """Return what makes mean and deviation of each channel of ``are`` those of ``were``, the same frames
        (f, H, W, 3) uint8; None if they show different things."""
        mean_were, mean_are = (frames.mean((0, 1, 2), dtype=np.float64) for frames in (were, are))
        if np.abs(mean_were - mean_are).max() > SCENE:
            return None
        deviations = [np.maximum(frames.std((0, 1, 2), dtype=np.float64), 1.0) for frames in (were, are)]
        gain = np.clip(deviations[0] / deviations[1], LEAST, MOST)
        return cls(gain, mean_were - mean_are * gain)

    def applied(self, frames: np.ndarray) -> np.ndarray:
        """Return ``frames`` (f, H, W, 3) uint8 with these colours, a frame at a time."""
        return np.stack(
            [np.clip(np.rint(frame * self.gain + self.shift), 0, 255).astype(np.uint8) for frame in frames]
        )
