"""What a host sets about films: how they are encoded, what is taken from members, and what they may have
made: how many, how long and how large ones."""

from __future__ import annotations

from dataclasses import dataclass

from core.limits import MAX_SECONDS
from core.setting.field import setting
from core.setting.values import named, number, one_of, whole

GROUP = "Films"
ENCODERS = ("auto", "x264", "openh264", "vp9", "av1")
MAX_PIXELS = 1920 * 1088  # of a frame; 1080 lines are encoded as 1088


@dataclass(frozen=True, kw_only=True)
class FilmSettings:
    """The settings of films."""

    video_model: str = setting(
        "",
        "model that draws films, of AnimateDiff, LTX-Video, LTX-2, Wan, CogVideoX or HunyuanVideo 1.5: folder"
        " or Hugging Face id@revision; empty = the image model draws over sketches",
        group=GROUP,
    )
    video_models: dict[str, str] = setting(
        "",
        "more film models beside VIDEO_MODEL, for --model in films: name=id@revision, …",
        named,
        group=GROUP,
    )
    video_encoder: str = setting(
        "auto",
        "encoder of films: auto (x264, else openh264), x264 (GPL), openh264 (BSD), vp9, av1; only H.264 plays"
        " everywhere",
        one_of(*ENCODERS),
        group=GROUP,
    )
    video_max_pixels: int = setting(
        str(MAX_PIXELS),
        "most pixels of a frame of a film, 2088960 = 1920×1088",
        whole(64 * 64, MAX_PIXELS),
        group=GROUP,
    )
    clip_max_mb: int = setting(
        "50", "largest clip that a member can send to go on from, in MB", whole(1, 200), group=GROUP
    )
    clip_max_seconds: int = setting(
        "60", "longest clip that a member can send to go on from, in seconds", whole(1, 60), group=GROUP
    )
    video_seconds: float = setting(
        str(MAX_SECONDS), "most seconds of one film", number(0.5, MAX_SECONDS), group=GROUP
    )
    video_running: int = setting(
        "1",
        "most films that one member can have running; roles with more USER_RUNNING have as many times more",
        whole(1, 100),
        group=GROUP,
    )
    video_waiting: int = setting(
        "3",
        "most films that one member can have waiting; roles with more USER_WAITING have as many times more",
        whole(1, 10_000),
        group=GROUP,
    )
    video_per_day: int = setting(
        "0",
        "most seconds of film that one member can have made in a day; 0 = as many as they like",
        whole(0, 86_400),
        group=GROUP,
    )
    video_keep_days: int = setting(
        "0", "days to keep jobs that made films; 0 = as long as others", whole(0, 36_500), group=GROUP
    )
