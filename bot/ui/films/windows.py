"""The windows that some buttons under films open: *Remix*, *Blend…* and *Cut*."""

from __future__ import annotations

from bot.ui.windows import Window
from core.prompt.values import decimal
from studio.inputs import FilmSource

STRENGTHS = {  # of a remix → what it is called
    "mild": "Mild: the same film, other things",
    "subtle": "Subtle: nearly the same film",
    "strong": "Strong: little stays",
}


def remix_window(clip: FilmSource, job_id: str, text: str) -> Window:
    """Return the window for other words, and how far they may lead."""
    window = Window("Remix", "vremix", job_id, clip.index)
    window.add_text("What the film shows", "prompt", text, long=True)
    return window.add_choice("How far to go", "strength", STRENGTHS)


def blend_window(clip: FilmSource, job_id: str) -> Window:
    """Return the window for the film that this one leads to."""
    window = Window("Blend two films", "vblend", job_id, clip.index)
    window.add_text(
        "A film made here",
        "source",
        required=False,
        hint="a message link, or a job id and number: abcd2345efgh 2",
        most=200,
    )
    window.add_upload("Or a film of yours", "clip", "It comes after this one")
    return window.add_text("What happens between them", "prompt", long=True, required=False)


def cut_window(clip: FilmSource, job_id: str) -> Window:
    """Return the window for the part to keep."""
    whole = decimal(round(clip.seconds, 2))
    window = Window("Cut", "cut", job_id, clip.index)
    window.add_text(f"From, seconds of {whole}", "start", "0", most=8)
    return window.add_text("To, seconds", "end", required=False, hint=f"nothing: its end, {whole}", most=8)
