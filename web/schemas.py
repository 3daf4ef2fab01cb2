"""What the JSON of each route may hold, and how it is read: what is wrong is named with what is allowed."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, unquote

import msgspec
from msgspec import Meta, Struct, inspect

from core.errors import UserError
from core.requests.chat import FORMS, Form
from core.requests.images import MAX_INSTRUCTION
from core.talk import KINDS, Kind
from storage.collections import Named as CollectionsNamed
from studio.editor.document import MOST_STROKES
from studio.media.uploads import Sent
from studio.programs import USUAL_DAYS, Scope
from studio.projects.watches import USUAL_DAYS as USUAL_KEPT
from studio.projects.watches import USUAL_EVERY
from studio.webhooks import KINDS as EVENTS
from web.call import Call, Gone

MOST_NAMED = 500  # pictures of a project that a call names
MOST_POINTS = 20
MOST_CHOSEN = 2000  # pictures that a call can name
_NAMES = f"1 to {MOST_CHOSEN:,} names such as abcd2345efgh/2"
_SHA256 = r"^[0-9a-f]{64}$(?!\n)"
_SIZE = r"^(auto|[1-9]\d{1,4}x[1-9]\d{1,4})$(?!\n)"
Word = Annotated[str, Meta(max_length=80)]
Ids = Annotated[
    list[Annotated[str, Meta(pattern=_SHA256)]],
    Meta(
        min_length=1,
        max_length=MOST_NAMED,
        extra={"takes": f"1 to {MOST_NAMED} ids of pictures, as the project lists them"},
    ),
]
Pixels = Annotated[float, Meta(ge=-65_536, le=65_536)]
Points = Annotated[
    list[tuple[Pixels, Pixels, Literal[0, 1]]],
    Meta(
        max_length=MOST_POINTS,
        extra={"takes": f"up to {MOST_POINTS} of [x, y, 1], or [x, y, 0] for what is left out"},
    ),
]
Around = Annotated[tuple[Pixels, Pixels, Pixels, Pixels], Meta(extra={"takes": "[left, top, right, bottom]"})]
Boxes = Annotated[
    list[tuple[str, float, float, float, float]],
    Meta(extra={"takes": "lists of a label, left, top, right and bottom, in 0 to 1"}),
]


class NewJobs(Struct, frozen=True):
    """A prompt. pictures: names of pictures and videos that come along. do: what is to be done with videos:
    "extend", "extend backward", "remix", "loop" or "blend"; "" = guess. key: the same wish is queued once."""

    prompt: str
    pictures: Annotated[list[Word], Meta(max_length=8)] = []
    do: str = ""
    key: str = ""


class NewToken(Struct, frozen=True):
    """A token for a program. name: what the person calls it. days: until it ends."""

    name: str
    scopes: Annotated[list[Scope], Meta(min_length=1, extra={"takes": "one or more of " + ", ".join(Scope)})]
    days: int = USUAL_DAYS


class NewWebhook(Struct, frozen=True):
    """An address that is told what happens. token, project: the id of what it belongs to, one of them."""

    url: str
    events: Annotated[list[str], Meta(min_length=1, extra={"takes": "one or more of " + ", ".join(EVENTS)})]
    token: str = ""
    project: str = ""


class ImageWish(Struct, frozen=True):
    """Pictures in OpenAI's form. What else a program sends is left out."""

    prompt: str
    model: str = ""
    n: Annotated[int, Meta(ge=1, le=10)] = 1
    size: Annotated[str, Meta(pattern=_SIZE, extra={"takes": "auto, or a size such as 1536x1024"})] = "auto"
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] = "auto"
    background: Literal["auto", "opaque", "transparent"] = "auto"
    response_format: Literal["b64_json", "url"] | None = None  # as OpenAI's model of that name does
    output_format: Literal["png"] = "png"
    stream: bool = False
    partial_images: Annotated[int, Meta(ge=0, le=3)] = 0


class ChatPart(Struct, frozen=True):
    """A part of a message in OpenAI's form: words, or a picture by its address."""

    type: str
    text: str = ""
    image_url: dict[str, Any] = {}


class ChatMessage(Struct, frozen=True):
    """A message in OpenAI's form."""

    role: str
    content: str | list[ChatPart] | None = None


class ChatWish(Struct, frozen=True):
    """A question in OpenAI's form. What else a program sends is left out."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, extra={"takes": "a list of messages"})]
    model: str = ""
    n: Annotated[int, Meta(ge=1, le=1)] = 1
    stream: bool = False
    stream_options: dict[str, bool] = {}
    tools: Annotated[list[Any], Meta(max_length=0)] = []


class ResponsePart(Struct, frozen=True):
    """A part of what is put in, in OpenAI's form of responses: words, or a picture by its address."""

    type: str
    text: str | None = ""
    image_url: str | None = ""


class ResponseItem(Struct, frozen=True):
    """What somebody has said, in OpenAI's form of responses."""

    type: str = "message"
    role: str = ""
    content: str | list[ResponsePart] | None = None


class ResponseWish(Struct, frozen=True):
    """A question in OpenAI's form of responses. What else a program sends is left out."""

    input: Annotated[str | list[ResponseItem], Meta(extra={"takes": "a text, or a list of messages"})]
    model: str = ""
    stream: bool = False
    previous_response_id: Annotated[
        str, Meta(pattern=r"^(resp_[a-z2-9]{12})?$(?!\n)", extra={"takes": "the id of a response"})
    ] = ""
    background: Annotated[Literal[False], Meta(extra={"takes": "false"})] = False
    tools: Annotated[list[Any], Meta(max_length=0)] = []


class VideoWish(Struct, frozen=True):
    """A video in OpenAI's form, besides ``input_reference``, its first picture."""

    prompt: str
    model: str = ""
    seconds: Annotated[str, Meta(pattern=r"^(\d{1,3})?$(?!\n)", extra={"takes": "a whole number"})] = ""
    size: Annotated[
        str,
        Meta(pattern=r"^([1-9]\d{1,4}x[1-9]\d{1,4})?$(?!\n)", extra={"takes": "a size such as 1280x720"}),
    ] = ""


class VideoRemix(Struct, frozen=True):
    """What a video shows instead, in OpenAI's form."""

    prompt: str


class Judged(Struct, frozen=True):
    """Texts to judge in OpenAI's form."""

    input: Annotated[str | list[str], Meta(extra={"takes": "a text, or a list of texts"})]
    model: str = ""


class Message(Struct, frozen=True):
    """A message of the Model Context Protocol, in JSON-RPC 2.0; without an id it is a notification."""

    jsonrpc: Literal["2.0"]
    method: str
    id: str | int | None = None
    params: dict[str, Any] = {}


class NewTalk(Struct, frozen=True):
    """A sentence to the studio, ``said``; or a ``question`` and the form of its answer: "free", "short",
    "table", "boxes" or "text". pictures: names of pictures that come along, a job's id alone for all of its.
    offer: which of those that the preview has made, from 0. key: the same wish is queued once."""

    said: str = ""
    question: str = ""
    answer: Annotated[Form | Literal[""], Meta(extra={"takes": ", ".join(FORMS)})] = ""
    pictures: Annotated[list[Word], Meta(max_length=10)] = []
    offer: int | None = None
    key: str = ""


class Typed(Struct, frozen=True):
    """A sentence that is still typed. after: the turn that it would follow. picture: the name of one of the
    studio's that would come along. sent: how many others would."""

    said: str
    after: str = ""
    picture: str = ""
    sent: int = 0


class Picked(Struct, frozen=True):
    """Picture ``n`` of a job of the conversation. key: pressed once, it is one turn."""

    job: str
    n: int
    key: str = ""


class Without(Struct, frozen=True):
    """Line ``number`` (from 1) of the changes behind a picture, such as "abcd2345efgh/2", to be taken out.
    words: what is to be done in its place. key: pressed once, it is one turn."""

    picture: str
    number: int
    words: Annotated[str, Meta(max_length=MAX_INSTRUCTION)] = ""
    key: str = ""


class Replay(Struct, frozen=True):
    """A picture whose changes are made on others too, or on a folder's; a folder's only if that is
    ``confirmed``, else only asked about. key: the same wish is queued once."""

    picture: str
    pictures: Annotated[list[str], Meta(extra={"takes": _NAMES})] = []
    folder: str = ""
    confirmed: bool = False
    key: str = ""


class Steps(Struct, frozen=True):
    """How many steps are undone (below 0) or redone."""

    steps: int
    key: str = ""


class Meant(Struct, frozen=True):
    """What a sentence was meant as. about: the number of the picture that was meant."""

    kind: Annotated[Kind, Meta(extra={"takes": ", ".join(KINDS)})]
    about: int | None = None
    key: str = ""


class Offered(Struct, frozen=True):
    """Which offer is taken, from 0."""

    number: int
    key: str = ""


class NewSet(Struct, frozen=True):
    """An empty set of examples."""

    name: str


class NewCode(Struct, frozen=True):
    """A code of a taste, by the taste's name."""

    name: str = "me"


class ServerTasteChanges(Struct, frozen=True):
    """What a manager does with a server's taste. on: it has one. use: it is drawn by, whatever a vote said.
    reset: nothing counts that was liked until now. duels: the channel that shows pairs each week, "" = none.
    trial: the channel that votes blindly on the taste, "" = that vote ends."""

    on: bool | None = None
    use: bool | None = None
    reset: bool = False
    duels: Annotated[str, Meta(pattern="^[0-9]{0,20}$")] | None = None
    trial: Annotated[str, Meta(pattern="^[0-9]{0,20}$")] | None = None


class OfTaste(Struct, frozen=True):
    """What a LoRA is to be trained on: the name of a taste."""

    name: str = "me"


class Half(Struct, frozen=True):
    """Which picture of a pair is chosen. pair: its number. first: the one that is shown first, else the
    other."""

    pair: int
    first: bool


class OnOff(Struct, frozen=True):
    """Whether something acts."""

    on: bool


class NewExamples(Struct, frozen=True):
    """Pictures for a set by its name or id, which is made if there is none: under a label, or, with a
    question, one question about all of them, whose right answer is the label."""

    set: str
    label: str
    pictures: Annotated[list[Word], Meta(max_length=32)]  # as many as a label takes
    question: str = ""


class Try(Struct, frozen=True):
    """A picture that a set is tried on. question: of a set of questions, "" = its last one. key: the same
    wish is queued once."""

    picture: str
    question: str = ""
    key: str = ""


class Press(Struct, frozen=True):
    """A button. words: new ones, where it takes any. pictures: names of up to three more, which the words of
    an edit may name. source: the other video of a blend. start, end: seconds of a cut. key: the same wish is
    queued once."""

    words: str = ""
    pictures: Annotated[list[Word], Meta(max_length=10)] = []
    source: str = ""
    start: str = ""
    end: str = ""
    key: str = ""


class Once(Struct, frozen=True):
    """An action that asks for nothing more. key: the same wish is queued once."""

    key: str = ""


class Browser(Struct, frozen=True):
    """A browser that is to be called: where, and its key and secret, as it gives them."""

    endpoint: Annotated[str, Meta(max_length=500)]
    p256dh: Annotated[str, Meta(max_length=100)]
    auth: Annotated[str, Meta(max_length=100)]


class Link(Struct, frozen=True):
    """What a sign-in link carries."""

    token: str


class SignIn(Struct, frozen=True):
    """A link to be spent, or one of the people of a sandbox."""

    token: str | None = None
    who: str | None = None


class Code(Struct, frozen=True):
    """A code of Discord's own window. instance: of the Activity, as Discord calls it."""

    code: str
    state: str
    instance: str


class Page(Struct, frozen=True):
    """The address of a page of this studio."""

    page: str


class Nothing(Struct, frozen=True):
    """An empty object."""


class Changes(Struct, frozen=True):
    """Settings by their names, as ``GET /api/settings`` gives them."""

    lane: str = ""
    stylize: str = ""
    model: str = ""
    raw: bool = False
    remix: bool = False
    strong: bool = False
    private: bool = False
    sticky: bool = False
    auto_dm: bool = False
    suffix: str = ""


class Named(Struct, frozen=True):
    """Pictures by their jobs and numbers, such as "abcd2345efgh/2"."""

    pictures: Annotated[list[str], Meta(extra={"takes": _NAMES})]


class NewFolder(Struct, frozen=True):
    """A folder. query: the gallery's filters, as they stand in its address, for a smart one."""

    name: str
    query: str = ""


class Rename(Struct, frozen=True):
    """Another name."""

    name: str


class Post(Struct, frozen=True):
    """Picture ``n`` of a job, to be posted to a channel of a server; their ids are texts."""

    job: str
    n: int
    server: str
    channel: str


class NewShare(Struct, frozen=True):
    """A link to picture ``n`` of a job, to all of a job's (without it), or to a folder's. embed: Discord may
    show its pictures where it is pasted, and keep copies. days: it lasts."""

    job: str = ""
    n: int = 0
    folder: str = ""
    title: str = ""
    words: bool = False
    embed: bool = False
    days: int | None = None


class Edit(Struct, frozen=True):
    """A document of the editor, see docs/reference/editor-document.md. painted: SHA-256 of its mask's pixels,
    a byte each. key: the same wish is queued once."""

    document: dict[str, Any]
    painted: Annotated[str, Meta(pattern=rf"^$(?!\n)|{_SHA256}", extra={"takes": "a SHA-256 in hex"})] = ""
    key: str = ""


class Look(Struct, frozen=True):
    """A document of the editor, only to be told what it would become."""

    document: dict[str, Any]


class Saved(Struct, frozen=True):
    """A document of the editor, to be kept. name: without one it is kept until 90 days have passed."""

    document: dict[str, Any]
    name: str | None = None


class Tail(Struct, frozen=True):
    """Strokes that follow the first ``keep`` of a document's mask, and new words."""

    strokes: Annotated[list[dict[str, Any]], Meta(max_length=MOST_STROKES)]
    keep: int = 0
    words: str | None = None


class Select(Struct, frozen=True):
    """What an object in a picture is found by. source: as a document's layers have it. points: [x, y, 1 =
    belongs to it, 0 = doesn't]. box: around it. Pixels of the picture. Nothing of it: get ready for that."""

    source: dict[str, Any]
    points: Points = []
    box: Around | None = None
    words: str = ""


class NewProject(Struct, frozen=True):
    """A project of custom models. task: "anomaly", "classify" or "style". words: what calls a style."""

    name: str
    task: str = ""
    words: str = ""


class ProjectChanges(Struct, frozen=True):
    """A project's name, how parts lie in its pictures, and how many people have to agree on a label."""

    name: str | None = None
    alike: str | None = None
    voices: int | None = None


class Granted(Struct, frozen=True):
    """What a role may do in a project. role: its id as a text, "0" = every member. rights: "add", "label",
    "train", "use" or "export"."""

    role: str
    rights: Annotated[list[Word], Meta(max_length=10)] = []


class NewLabel(Struct, frozen=True):
    """A label of a project, and when it is used."""

    label: str
    meaning: str = ""


class DroppedLabel(Struct, frozen=True):
    """A label of a project. instead: what its pictures are called from now on, "" = nothing."""

    label: str
    instead: str = ""


class Move(Struct, frozen=True):
    """Where a version's threshold goes: "usual", "stricter", "looser" or "fewest"."""

    move: str


class Chosen(Struct, frozen=True):
    """Pictures of a project, by the ids that it lists."""

    pictures: Ids


class LeftOut(Struct, frozen=True):
    """Pictures of a project. out: whether they are left out of what is learned from, or taken in again."""

    pictures: Ids
    out: bool = True


class Skipped(Struct, frozen=True):
    """Pictures that the person left for later."""

    skipped: Annotated[list[Word], Meta(max_length=MOST_NAMED)] = []


class Liked(Struct, frozen=True):
    """Whether a style of the wall is liked."""

    liked: bool = True


class Rated(Struct, frozen=True):
    """What the person says of a page of nine: the styles that they like, and those that they passed over.
    shown: those on the pages that they have already, none of which comes again."""

    page: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    liked: Annotated[list[int], Meta(max_length=9)]
    passed: Annotated[list[int], Meta(max_length=9)]
    shown: Annotated[list[int], Meta(max_length=36)] = []


class CodeOf(Struct, frozen=True):
    """Whose look a code for ``--sref`` stands for: a folder's pictures, or pictures as a prompt names them,
    "job number"."""

    folder: str = ""
    pictures: list[str] = []


class Mark(Struct, frozen=True):
    """What a picture of a project is called, "" = no more. boxes: [label, left, top, right, bottom], in 0 to
    1 of the sides. mask: of the picture's size, white where that is, as ``POST /api/masks`` has called it."""

    picture: str
    label: str
    boxes: Boxes = []
    mask: str = ""


class Training(Struct, frozen=True):
    """How a version is trained. pixels: of a side, 128 to 1024. key: the same wish is queued once."""

    pixels: int = 256
    seed: int = 0
    key: str = ""


class NewWatch(Struct, frozen=True):
    """What to watch, as the operator has named it, and the folder below. camera: what alarms call it, "" = as
    the source. channel: of the project's server, that is told. days: that its pictures are kept.
    every: seconds between two looks at a camera. hours: when nothing is posted, such as "22:00-06:00
    Europe/Berlin". most: alarms of a minute. silent: minutes without a picture after which that is posted."""

    source: str
    camera: str = ""
    channel: str = ""
    days: int = USUAL_KEPT
    every: int = USUAL_EVERY
    hours: str | None = None
    most: int | None = None
    silent: int | None = None


class WatchChanges(Struct, frozen=True):
    """Whether a camera is watched. snooze: post none of its alarms for an hour. The others as of
    ``NewWatch``."""

    on: bool | None = None
    snooze: bool = False
    hours: str | None = None
    most: int | None = None
    silent: int | None = None


class Judgement(Struct, frozen=True):
    """Whether a verdict is right. label: what its picture is called instead, "" = nothing else."""

    right: bool
    label: str = ""


MOST_PICTURES = 64  # of one job
LONGEST_KEY, LONGEST_ADDRESS = 100, 4000
_CHOSEN = re.compile(r"([a-z2-9]{12})/([1-9][0-9]?)")
_WHOLE = re.compile("[0-9]{1,19}")
_PAGE = re.compile(r"/(?!in\b|api/|files/|previews/|static/)(?:[!-.0-\[\]-~][!-\[\]-~]*)?")  # never // or \\
T = TypeVar("T", bound=Struct)


def read_body(call: Call, kind: type[T], *, strict: bool = True) -> T:
    """Return the JSON of a call; null is as good as nothing. strict: numbers don't come as text. Raises
    UserError, which names the field and what it takes."""
    given = {name: value for name, value in call.body.items() if value is not None}
    try:
        return msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        within, found = re.search(r"`\$\.(\w+)", str(error)), inspect.type_info(kind)
        named = within or re.search(r"field `(\w+)`", str(error))
        assert named is not None and isinstance(found, inspect.StructType)
        missing, wrong = (None, within[1]) if within else (named[1], None)
        takes = next(field.type for field in found.fields if field.name == (missing or wrong))
        if missing and not isinstance(takes, inspect.Metadata):
            raise UserError(f"`{missing}` is missing.") from error
        raise UserError(f"`{missing or wrong}` takes {_takes(takes)}.") from error


def _takes(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(extra={"takes": takes}):
            return str(takes)
        case inspect.UnionType(types=(inner, inspect.NoneType())):
            return _takes(inner)
        case inspect.StrType():
            return "a text"
        case inspect.ListType(item_type=inspect.StrType(), max_length=int(most)):
            return f"a list of up to {most} texts"
        case inspect.ListType(max_length=int(most)):
            return f"a list of up to {most:,}"
        case inspect.IntType(ge=int(least), le=int(most)):
            return f"{least} to {most}"
        case inspect.IntType():
            return "a whole number"
        case inspect.LiteralType(values=values):
            return ", ".join(map(str, values))
        case inspect.BoolType():
            return "true or false"
        case inspect.DictType():
            return "an object"
        case _:
            return "a list"


def chosen_of(texts: Sequence[str]) -> list[CollectionsNamed]:
    """Return the pictures that texts name, such as "abcd2345efgh/2" for the second of a job. Raises
    UserError."""
    found = [_CHOSEN.fullmatch(text) for text in texts[: MOST_CHOSEN + 1]]
    if not 0 < len(found) <= MOST_CHOSEN or not all(found):
        raise UserError(f"`pictures` takes {_NAMES}.")
    return [(match[1], int(match[2]) - 1) for match in found if match]


def key_of(call: Call) -> str | None:
    """Return what makes asking the same again harmless, if the call has a key, in its body or as
    Idempotency-Key; the same key with another wish is another one. Raises UserError.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    """
    key = call.headers.get("Idempotency-Key", (call.body or {}).get("key"))
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise UserError(f"`key` takes 1 to {LONGEST_KEY} characters.")
    wish = json.dumps([dict(call.path), call.body, *([call.digest] if call.digest else [])], sort_keys=True)
    return f"web:{key}:{hashlib.sha256(wish.encode()).hexdigest()[:16]}"


def whole_number(text: str) -> int | None:
    """Return a whole number as rows keep them, of at most 63 bits; None of any other text."""
    number = int(text) if _WHOLE.fullmatch(text) else 2**63
    return number if number < 2**63 else None


def page_of(text: str) -> str:
    """Return the address of a page of ours that somebody wants to go on with; "/" for anything else."""
    return text if _PAGE.fullmatch(text) and len(text) <= LONGEST_ADDRESS else "/"


def way_in(page: str) -> str:
    """Return where somebody signs in who then goes on with a page."""
    found = page_of(page)
    return "/in" if found == "/" else f"/in?next={quote(found, safe='/')}"


def number_of(text: str) -> int:
    """Return the number of a picture, from 1. Raises Refused for what can't be one."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:4]) <= MOST_PICTURES:
        raise Gone()
    return int(text[:4])


def sent_picture(call: Call) -> Sent:
    """Return the picture that a call carries, under the name that it gives it."""
    name = unquote(call.headers.get("X-Name", ""))[:200] or "picture"
    sent: Sent = call.body
    return sent.part(name, 0, sent.size)
