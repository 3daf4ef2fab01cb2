"""What a host sets about answers to questions: which model gives them, and how much of it each member may
have."""

from __future__ import annotations

from dataclasses import dataclass

from core.limits import MAX_ASKED_FRAMES, MAX_ASKED_PICTURES
from core.setting.field import setting
from core.setting.values import number, one_of, server, text_reader, whole

GROUP = "Questions"


@dataclass(frozen=True, kw_only=True)
class ChatSettings:
    """The settings of ``/ask``."""

    ask_model: str = setting(
        "",
        "chat model that sees pictures, for /ask, on this machine: Hugging Face id@revision or folder;"
        " empty = the profile's",
        group=GROUP,
    )
    vlm_url: str = setting(
        "",
        "instead of it, a server with OpenAI's interface, such as http://127.0.0.1:8000/v1; questions and"
        " their pictures go there",
        server,
        group=GROUP,
    )
    vlm_model: str = setting(
        "", "what that server calls its model; empty = the first that it names", group=GROUP
    )
    vlm_key: str = setting("", "that server's key, if it wants one", group=GROUP, secret=True)
    vlm_boxes: str = setting(
        "",
        "how that model tells boxes: qwen3 (a list in thousandths), pixels, loc, florence or thousandths;"
        " empty = by its name",
        one_of("", "qwen3", "pixels", "loc", "florence", "thousandths"),
        group=GROUP,
    )
    vlm_slots: int = setting(
        "8", "most questions that are put to that server at once", whole(1, 256), group=GROUP
    )
    vlm_wait: float = setting(
        "120",
        "most seconds until that server begins to answer; one that loads its model anew may take minutes",
        number(5, 570),
        group=GROUP,
    )
    ocr: str = setting(
        "rapid",
        "who reads text in pictures: rapid, which comes with the extra ocr; tesseract:deu+eng, the program"
        " with these languages; or off",
        text_reader,
        group=GROUP,
    )
    ask_ocr: str = setting(
        "auto",
        "tell the chat model on this machine the text that was read in a picture, if that is three words or"
        " more: auto or off",
        one_of("auto", "off"),
        group=GROUP,
    )
    ask_tokens: int = setting(
        "512", "most tokens of an answer; a word has about 1.3", whole(16, 32_768), group=GROUP
    )
    ask_context: int = setting(
        "8192",
        "most tokens of a conversation with its answer; earlier turns are left out where it would be longer",
        whole(256, 1_048_576),
        group=GROUP,
    )
    ask_turns: int = setting(
        "24", "most questions of a conversation that the model is told again", whole(1, 200), group=GROUP
    )
    ask_pictures: int = setting(
        "10", "most pictures of one question", whole(1, MAX_ASKED_PICTURES), group=GROUP
    )
    ask_pixels: float = setting(
        "1.0", "most megapixels of each picture that the model sees", number(0.05, 64), group=GROUP
    )
    ask_frames: int = setting(
        "16", "most frames of a film that the model sees", whole(4, MAX_ASKED_FRAMES), group=GROUP
    )
    ask_frame_pixels: float = setting(
        "0.25", "most megapixels of each frame of a film", number(0.02, 2.1), group=GROUP
    )
    max_film_mb: int = setting(
        "50", "most megabytes of a film that is asked about", whole(1, 500), group=GROUP
    )
    ask_per_day: int = setting(
        "100000",
        "most tokens that one member can use in a day, questions and pictures included; 0 = as many as they"
        " like",
        whole(0, 10**9),
        group=GROUP,
    )
