"""Words about films that any door can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import UserError
from core.prompt.values import decimal, short
from core.requests import GenerateRequest
from core.requests.video import CutRequest, FrameRequest, VideoRequest
from storage.videos import StoredFilm
from studio.asking.words import counted, duration

SUBTLE, STRONG = 0.45, 0.65  # strengths of a remix up to which, and from which on, it is called so
_MADE = {
    "new": "Video",
    "extend": "Extended",
    "extend_back": "Extended back",
    "blend": "Blend of 2",
    "loop": "Loop",
}


def made(request: GenerateRequest) -> str:
    """Return what a request makes of words, pictures and films, such as "Remix (Strong)"; "" for others."""
    match request:
        case VideoRequest(operation="remix", strength=strength):
            return f"Remix ({_called(strength)})"
        case VideoRequest(operation=operation):
            return _MADE[operation]
        case CutRequest():
            return "Cut"
        case FrameRequest():
            return "Last frame"
    return ""


def _called(strength: float | None) -> str:
    if strength is None or SUBTLE < strength < STRONG:
        return "Mild"
    return "Subtle" if strength <= SUBTLE else "Strong"


def facts(film: StoredFilm, parameters: Mapping[str, Any] | None = None) -> list[str]:
    """Return what a film is, each in a few words: its length, size and frame rate, how it was drawn.

    parameters: of its job's result, None = not told.
    """
    told = parameters or {}
    steps, model = told.get("num_inference_steps"), told.get("model")
    found = [f"{film.seconds:.1f} s", f"{film.width}×{film.height}", f"{decimal(film.fps)} fps"]
    found += ["with sound"] if film.sound else []
    found += [f"seed {film.seed}"] if film.seed is not None else []
    found += [counted(int(steps), "step")] if steps else []
    return [*found, str(model)] if model else found


def running(step: int, total: int, left: float | None, *, previewed: bool) -> str:
    """Return how far a film is: "step 17 of 50 · about 3 min left". left: seconds, None = not known.
    previewed: a small picture of every frame stands beside it."""
    parts = [f"step {step} of {total}"]
    parts += [f"about {duration(left)} left"] if left is not None else []
    parts += ["preview: every frame, small"] if previewed else []
    return " · ".join(parts)


def seconds(text: str) -> float | None:
    """Return the seconds that somebody typed, "1:05" among them; None for nothing. Raises UserError."""
    if not text:
        return None
    minutes, _, rest = text.strip().removesuffix("s").strip().rpartition(":")
    try:
        found = 60 * int(minutes or 0) + float(rest.replace(",", "."))
    except ValueError:
        found = -1.0
    if not 0 <= found < 3600:
        raise UserError(f"`{short(text)}` isn't a time in a film; write seconds, such as `2.5`.")
    return found
