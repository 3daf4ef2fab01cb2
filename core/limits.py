"""The bounds of what may be asked, the names that people may give to what is theirs, and the type that pairs
words or pictures with weights."""

from core.errors import UserError

MAX_SEED = 2**32 - 1
MAX_QUESTION = 4000  # characters; the window of Discord takes as many
MAX_ASKED_PICTURES = 10  # of one question
MAX_ASKED_FRAMES, MAX_VIDEO_SECONDS = 32, 60  # of its video, beside them; of the video, that are looked at
MAX_PROMPT = 4000  # characters; a slash option takes 6,000, a message shows 2,000
MIN_SIDE, MAX_SIDE = 64, 2048  # px
MAX_STYLIZE, STYLIZE_CAP = 60_000, 1000  # more is refused, as by Midjourney's V3; more counts as this
MAX_IMAGE_WEIGHT, IMAGE_WEIGHT_CAP = 100, 3  # the same; V3 took any
MAX_ASPECT = 14  # to 1, either way
MAX_SECONDS = 20  # of a video that is drawn at once
MIN_FPS, MAX_FPS = 4, 30
RESOLUTIONS = (480, 720, 1080)  # px of a video's shorter side
VIDEO_ENCODERS = ("auto", "x264", "openh264", "vp9", "av1")
CLIPS = (1, 2, 3, 4)  # videos that one job may make
MAX_UPSCALED = 4096  # px a side of an enlarged picture
MAX_LABELS = 50
MAX_SETS, MAX_SET_LABELS, MAX_SHOTS, MAX_TURNS = 50, 20, 32, 64  # of a person; of a set; of a label; of a set
MAX_LABEL = 80  # characters
MAX_PARTS = 20  # of a multi-prompt
GRID, SHEET = 4, 24  # pictures of a job, at most; drafts of a sheet
SHEET_ACROSS = 6  # drafts of a sheet beside each other
MAX_CANDIDATES = 24  # drawings of which a taste keeps some
MAX_TASTES = 5  # of one prompt
MAX_REFERENCES = 10  # pictures of one kind: image prompts, style references, …
MAX_WEIGHT = 1000.0
# what `--no` counts against the other parts: https://docs.midjourney.com/hc/en-us/articles/32658968492557
NEGATIVE_WEIGHT = 0.5
KEPT = 0.45  # strength of image-to-image where shapes are to be kept and nobody says how far to go
QUALITIES = (0.25, 0.5, 1.0, 2.0, 4.0, 5.0)

Weighted = tuple[tuple[str, float], ...]  # (words, a name or the SHA-256 of a picture; weight)


LONGEST_NAME = 80  # characters
_JOINERS = "\u200c\u200d"  # nothing is seen of them, but emoji and some scripts are written with them


def name_of(text: str, what: str, *, needed: bool = False) -> str:
    """Return a name as it is kept, with single spaces between its words; "" where nothing can be seen of it.
    what: whose name it is, such as "A folder". needed: whether it has to have one.

    Raises UserError, which says what is wrong with it.
    """
    name = " ".join(text.split())
    hidden = next((one for one in name if not one.isprintable() and one not in _JOINERS), None)
    if hidden is not None:
        raise UserError(f"The name has a character that can't be seen (U+{ord(hidden):04X}). Take it out.")
    if len(name) > LONGEST_NAME:
        raise UserError(f"{what}'s name takes up to {LONGEST_NAME} characters; this one has {len(name)}.")
    name = name if name.strip(_JOINERS) else ""
    if needed and not name:
        raise UserError(f"{what}'s name takes 1 to {LONGEST_NAME} characters.")
    return name
