"""What can be asked of a film besides its words: the flags that only films have, as fields of
``FilmParameters``."""

from __future__ import annotations

from dataclasses import dataclass

from core.grammar.values import Choice, OneNumberOf, Real, Switch, Whole
from core.limits import MAX_FPS, MAX_SECONDS, MIN_FPS, RESOLUTIONS
from core.parameters import Flag, Reach, param

MOTIONS = ("low", "high")


@dataclass(frozen=True, kw_only=True)
class FilmParameters:
    """None = not asked for: the model's card and the operation decide.

    motion: "low" (subtle) or "high" (the thing and the camera). loop: the last frame leads to the first.
    seconds: of what is drawn. fps: frames a second. resolution: px of the shorter side. sound: with the
    model's own sound.
    """

    motion: str | None = param(
        None,
        Flag("motion", "how much moves in a film", "<1> a boat --video --motion high", Choice(MOTIONS)),
        moderated=False,
    )
    loop: bool = param(
        False, Flag("loop", "a film whose end leads to its start", "<1> a boat --video --loop")
    )
    seconds: float | None = param(
        None,
        Flag("seconds", "how long a film is", "a red boat --video --seconds 4", Real(0.5, MAX_SECONDS)),
        reported=True,
    )
    fps: int | None = param(
        None,
        Flag("fps", "frames a second of a film", "a red boat --video --fps 16", Whole(MIN_FPS, MAX_FPS)),
        reported=True,
    )
    resolution: int | None = param(
        None,
        Flag("res", "px of a film's shorter side", "a red boat --video --res 720", OneNumberOf(RESOLUTIONS)),
        reach=Reach.SHAPE,
    )
    sound: bool | None = param(
        None,
        Flag("sound", "a film with sound, where its model makes any", "a red boat --video --sound"),
        Flag("silent", "a film without sound", "a red boat --video --silent", Switch(False)),
    )
