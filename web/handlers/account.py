"""A person's sessions, begun by a link from the bot or on Discord's own page, the tokens of their programs,
the data that is kept of them, what is known of their taste, and their settings for new jobs: the same rows as
``/settings`` on Discord."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from core.convert import STYLIZE, Preferences
from core.errors import NotAllowedError, UserError
from core.job import Lane
from core.language import LANGUAGES, N_, _
from core.prompt.values import OWN
from storage.tokens import Token
from storage.webhooks import Webhook
from studio.duels import told_of_lack
from studio.programs import OFF as PROGRAMS_OFF
from studio.programs import SCOPES, USUAL_DAYS
from studio.server_tastes import told_of_server
from studio.tastes import OFF as OFF_TASTE
from studio.tastes import RatedPage, told
from studio.webhooks import ANSWERS, KINDS
from web import schemas
from web.auth import DiscordPage, SignInFailed, Visitors, browser_label
from web.call import (
    DONE,
    Answer,
    Call,
    Html,
    Json,
    Leave,
    Refused,
    SeeOther,
    SignedIn,
    SignedOut,
    Stream,
    there,
)
from web.handlers.taste_loras import described
from web.schemas import page_of, read_body

OFF = N_("Signing in through Discord isn't set up here. Type `/web` in Discord.")
SPENT = N_("This link has been used or has expired. Type `/web` in Discord for a new one.")


class Account:
    """Handlers about sessions. ``ended`` is told whose session has ended and its id. discord: its own page
    to sign in on, where that is set up. members_only: it is for people who share a server with the bot."""

    def __init__(
        self,
        visitors: Visitors,
        ended: Callable[[int, str], None] = lambda user, session: None,
        discord: DiscordPage | None = None,
        *,
        members_only: bool = True,
    ) -> None:
        self._visitors, self._ended = visitors, ended
        self._discord, self._members_only = discord, members_only

    async def sign_in_page(self, call: Call) -> Answer:
        """Where a link signs somebody in, or leads to Discord. Who is signed in goes on with the page that
        was wanted: another tab may have signed somebody in meanwhile."""
        if call.person is not None and "next" in call.query:
            return SeeOther(page_of(call.query["next"]))
        return self._page(HTTPStatus.OK, page=page_of(call.query.get("next", "")))

    async def to_discord(self, call: Call) -> Answer:
        """Lead to Discord's own page; this browser, and no other, can come back from there."""
        if self._discord is None:
            raise Refused(HTTPStatus.NOT_FOUND, OFF)
        url, attempt = self._discord.begin(page_of(call.query.get("next", "")))
        return Leave(url, attempt)

    async def from_discord(self, call: Call) -> Answer:
        """Begin a session of the person who comes back from Discord's page, or say why not."""
        if self._discord is None:
            raise Refused(HTTPStatus.NOT_FOUND, OFF)
        try:
            who, page = await self._discord.finish(call.query, call.attempt)
            label = browser_label(call.headers.get("User-Agent", ""))
            token = await call.studio.own.web_session(who, label, members_only=self._members_only)
            return SignedIn(token, page, another=await self.replaces(call, who.user_id))
        except SignInFailed as failed:
            return self._page(failed.status, str(failed))
        except NotAllowedError as refused:
            return self._page(HTTPStatus.FORBIDDEN, str(refused))

    def _page(self, status: HTTPStatus, trouble: str | None = None, page: str = "/") -> Html:
        frame: dict[str, Any] = {"person": None, "nav": (), "other": None}
        given = {"discord": self._discord is not None, "trouble": trouble, "next": page}
        return Html("in", {**frame, **given}, status)

    async def sessions_page(self, call: Call) -> Answer:
        """Where the person is signed in."""
        assert call.person is not None
        found = await self._visitors.sessions.of(call.person.user_id)
        current = call.person.session
        shown = [
            {
                "id": session.id,
                "label": session.label,
                "created": session.created_at.isoformat(),
                "seen": session.seen_at.isoformat(),
                "current": session.id == current,
            }
            for session in found
        ]
        return Html("sessions", {"sessions": shown})

    async def look(self, call: Call) -> Answer:
        """Say whom a link signs in, without spending it: a chat's preview of the link must not."""
        token = read_body(call, schemas.Link).token
        names = await self._visitors.offered(token)
        if not names:
            raise Refused(HTTPStatus.NOT_FOUND, SPENT)
        return Json({"name": names[0], "names": names, "local": self._visitors.is_local(token)})

    async def begin(self, call: Call) -> Answer:
        """Spend a link and begin a session; in the sandbox, its people can become each other without one."""
        label = browser_label(call.headers.get("User-Agent", ""))
        given = read_body(call, schemas.SignIn)
        if given.token is not None:
            token = await self._visitors.sign_in(given.token, given.who, label)
        elif call.person is not None and given.who is not None:
            token = await self._visitors.become(call.person, given.who, label)
        else:
            raise UserError("`token` is missing.")
        if token is None:
            raise Refused(HTTPStatus.NOT_FOUND, SPENT)
        now = await self._visitors.find(token)
        return SignedIn(token, another=now is not None and await self.replaces(call, now.user_id))

    async def end(self, call: Call) -> Answer:
        """End the session that the call comes by."""
        assert call.person is not None
        await self._end(call.person.user_id, call.person.session)
        return SignedOut()

    async def end_other(self, call: Call) -> Answer:
        """End any session of the person's."""
        assert call.person is not None
        session = call.path["session"]
        await self._end(call.actor.user_id, session)
        return SignedOut() if session == call.person.session else DONE

    async def replaces(self, call: Call, user_id: int) -> bool:
        """Return whether somebody else was signed in by this browser until now; their session ends, with
        what their other tabs show."""
        if call.person is None or call.person.user_id == user_id:
            return False
        await self._end(call.person.user_id, call.person.session)
        return True

    async def _end(self, user_id: int, session: str) -> None:
        await self._visitors.sessions.end(user_id, session)
        self._ended(user_id, session)

    async def delete_person(self, call: Call) -> Answer:
        """Delete everything that is kept of the person, for good; all of their sessions end."""
        user_id = call.actor.user_id
        sessions = await self._visitors.sessions.of(user_id)
        await call.studio.own.delete(call.actor)
        for session in sessions:
            self._ended(user_id, session.id)
        return SignedOut()


async def call_browser(call: Call) -> Answer:
    """Call this browser from now on when a job is over that took long."""
    assert call.person is not None
    given = read_body(call, schemas.Browser)
    keys = (given.endpoint, given.p256dh, given.auth)
    await call.studio.pushes.subscribe(call.actor, call.person.session, *keys)
    return DONE


async def leave_browser(call: Call) -> Answer:
    """Call this browser no more."""
    assert call.person is not None
    await call.studio.pushes.unsubscribe(call.actor, call.person.session)
    return DONE


LASTS = (7, 30, 90, 365)  # days to choose from


async def programs_page(call: Call) -> Answer:
    """The tokens by which the person's programs come in, and a form for another."""
    programs, webhooks = call.studio.programs, call.studio.webhooks
    values = {
        "webhooks": [_webhook(one) for one in await webhooks.all(call.actor)],
        "events": {kind: _(text) for kind, text in KINDS.items()},
        "projects": await webhooks.projects(call.actor) if webhooks.is_possible else [],
        "calls": webhooks.is_possible,
        "tokens": [_token(one) for one in await programs.all(call.actor)],
        "scopes": {scope.value: _(text) for scope, text in SCOPES.items()},
        "off": "" if programs.is_possible else _(PROGRAMS_OFF),
        "lasts": LASTS,
        "usual": USUAL_DAYS,
    }
    return Html("programs", values, tab="/settings")


async def list_tokens(call: Call) -> Answer:
    """Return the person's tokens, without their secrets."""
    return Json({"tokens": [_token(one) for one in await call.studio.programs.all(call.actor)]})


async def create_token(call: Call) -> Answer:
    """Make a token and return it with its secret, which is shown this once."""
    given = read_body(call, schemas.NewToken)
    made, secret = await call.studio.programs.create(call.actor, given.name, given.scopes, given.days)
    return Json({**_token(made), "token": secret}, HTTPStatus.CREATED)


async def end_token(call: Call) -> Answer:
    """End a token: its program is refused from now on."""
    there(await call.studio.programs.end(call.actor, call.path["session"]))
    return DONE


async def list_webhooks(call: Call) -> Answer:
    """Return the person's webhooks, without their secrets."""
    return Json({"webhooks": [_webhook(one) for one in await call.studio.webhooks.all(call.actor)]})


async def create_webhook(call: Call) -> Answer:
    """Make a webhook and return it with its secret, which is shown this once."""
    given = read_body(call, schemas.NewWebhook)
    of = {"token": given.token, "project": given.project}
    made = await call.studio.webhooks.create(call.actor, given.url, given.events, **of)
    return Json({**_webhook(made), "secret": made.secret}, HTTPStatus.CREATED)


async def end_webhook(call: Call) -> Answer:
    """End a webhook; events that it was still to be sent are dropped."""
    there(await call.studio.webhooks.end(call.actor, call.path["session"]))
    return DONE


async def resume_webhook(call: Call) -> Answer:
    """Send a webhook again all that it hasn't taken."""
    there(await call.studio.webhooks.resume(call.actor, call.path["session"]))
    return DONE


async def send_test(call: Call) -> Answer:
    """Send a webhook an event that is only a test."""
    there(await call.studio.webhooks.test(call.actor, call.path["session"]))
    return DONE


def _webhook(hook: Webhook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "url": hook.url,
        "of": hook.of,
        "token": hook.token_id,
        "project": hook.project_id,
        "events": hook.kinds.split(),
        "paused": hook.paused_at is not None,
        "answer": _(ANSWERS[hook.answer]) if hook.answer in ANSWERS else hook.answer,
        "answered": hook.answered_at and hook.answered_at.isoformat(),
        "waiting": hook.waiting,
        "lost": hook.lost,
    }


def _token(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.label,
        "scopes": token.scopes.split(),
        "created": token.created_at.isoformat(),
        "ends": token.ends_at.isoformat(),
        "over": token.is_over,
        "used": token.used_at and token.used_at.isoformat(),
        "from": token.used_from,
    }


async def privacy_page(call: Call) -> Answer:
    """What is kept of the person and for how long, with ways to take it away and to delete it."""
    own, talking = call.studio.own, call.studio.talking
    values = {
        "held": asdict(await own.holdings(call.actor)),
        "kept": asdict(own.retention),
        "server": talking.server,
        "sends_sentences": talking.sends_sentences,
    }
    return Html("privacy", values, tab="/settings")


async def show_privacy(call: Call) -> Answer:
    """Return how much is kept of the person, and for how many days; 0 days = until it is deleted."""
    held = asdict(await call.studio.own.holdings(call.actor))
    since = held.pop("since")
    held["since"] = since.isoformat() if since else None
    return Json({"held": held, "days": asdict(call.studio.own.retention)})


async def export_person(call: Call) -> Answer:
    """Send everything that is kept of the person as one file; without pictures and videos with
    ?pictures=0."""
    parts = call.studio.own.export(call.actor, pictures=call.query.get("pictures") != "0")
    return Stream(parts, "application/zip", f"atelier-data-{datetime.now(UTC):%Y-%m-%d}.zip")


async def taste_page(call: Call) -> Answer:
    """A page that says how well the person's tastes are known, with their codes."""
    on = await call.studio.tastes.is_on(call.actor.user_id)
    return Html("taste", {**(await _tastes(call)), "on": on, "off": _(OFF_TASTE)})


async def show_taste(call: Call) -> Answer:
    """Return how well the person's tastes are known, and their codes."""
    return Json(await _tastes(call))


async def keep_taste(call: Call) -> Answer:
    """Keep a taste as it is now, as a code for the person alone."""
    made = await call.studio.tastes.keep(call.actor, read_body(call, schemas.NewCode).name)
    return Json({"code": made.code}, HTTPStatus.CREATED)


async def take_code_back(call: Call) -> Answer:
    """Delete a code: nobody can use it any more."""
    await call.studio.tastes.take_back(call.actor, call.path["code"])
    return DONE


async def strike_word(call: Call) -> Answer:
    """Strike a word out of the person's taste: it is added to no prompt of theirs."""
    await call.studio.tastes.strike(call.actor, call.path["word"])
    return DONE


async def take_word_back(call: Call) -> Answer:
    """Let a word of the person's taste count again."""
    await call.studio.tastes.strike(call.actor, call.path["word"], struck=False)
    return DONE


async def count_in_server(call: Call) -> Answer:
    """Let the person's hearts count in a server's taste again."""
    server = int(call.path["server"])
    await call.studio.server_tastes.count_me(call.actor, counts=True, guild_id=server)
    return DONE


async def forget_in_server(call: Call) -> Answer:
    """Forget the person in a server's taste."""
    server = int(call.path["server"])
    await call.studio.server_tastes.count_me(call.actor, counts=False, guild_id=server)
    return DONE


async def change_in_server(call: Call) -> Answer:
    """Do what a server's managers may do with its taste."""
    given, server = read_body(call, schemas.ServerTasteChanges), int(call.path["server"])
    tastes, actor = call.studio.server_tastes, call.actor
    if given.on is not None:
        await tastes.set_on(actor, on=given.on, guild_id=server)
    if given.use is not None:
        await tastes.use(actor, on=given.use, guild_id=server)
    if given.reset:
        await tastes.reset(actor, server)
    if given.duels is not None:
        await call.studio.duels.set_channel(actor, int(given.duels or 0) or None, server)
    if given.trial:
        await tastes.begin_trial(actor, int(given.trial), server)
    elif given.trial is not None:
        await tastes.end_trial(actor, server)
    return DONE


async def nine_page(call: Call) -> Answer:
    """A page on which pictures are rated, nine at a time."""
    on = await call.studio.tastes.is_on(call.actor.user_id)
    return Html("nine", {"on": on, "off": _(OFF_TASTE)})


async def show_nine(call: Call) -> Answer:
    """Return two pages to rate, or how many there are, and how well the person's taste is known."""
    first = await call.studio.tastes.next_page(call.actor)
    second = first and await call.studio.tastes.next_page(call.actor, first.styles.keys())
    return Json({"pages": [_page(one) for one in (first, second) if one], **(await _known(call))})


async def rate_nine(call: Call) -> Answer:
    """Keep what the person says of a page; return the page after the next, None = there is none."""
    said = read_body(call, schemas.Rated)
    await call.studio.tastes.rate(call.actor, said.page, said.liked, said.passed)
    after = await call.studio.tastes.next_page(call.actor, said.shown)
    return Json({"pages": [_page(after)] if after else [], **(await _known(call))})


def _page(page: RatedPage) -> dict[str, Any]:
    """Return a page as scripts take it."""
    tiles = [
        {"style": style, "words": ", ".join(words), "src": f"/files/wall/{style}.webp"}
        for style, words in page.styles.items()
    ]
    return {"page": page.page, "tiles": tiles}


async def _known(call: Call) -> dict[str, Any]:
    """Return how well the person's own taste is known: in words, and as a share for a bar."""
    card = await call.studio.tastes.card(call.actor)
    share = card.known.share if card.known else 0.5
    return {"told": " ".join(told(card)), "share": round(100 * share)}


async def _tastes(call: Call) -> dict[str, Any]:
    """Return what is known of the person's tastes and their servers', nothing where nothing is learned, and
    their codes."""
    tastes = call.studio.tastes
    names = await tastes.names(call.actor) if await tastes.is_on(call.actor.user_id) else []
    cards = [await tastes.card(call.actor, name) for name in names]
    loras = [await call.studio.taste_loras.card(call.actor, name) for name in names]
    known = [
        {
            "name": card.name,
            "typed": "--p" if card.name == OWN else f"--p {card.name}",
            "told": list(told(card)),
            "ready": card.is_ready,
            "known": card.known._asdict() if card.known else None,
            "words": list(card.words),
            "struck": list(card.struck),
            "lora": described(lora),
        }
        for card, lora in zip(cards, loras, strict=True)
    ]
    codes = [
        {"code": one.code, "of": one.name, "pictures": one.pictures, "shared": one.guild_id is not None}
        for one in await tastes.codes(call.actor)
    ]
    found = await call.studio.server_tastes.cards(call.actor)
    channels = await call.studio.posting.channels(call.actor) if any(one.manages for one in found) else []
    servers = list[dict[str, Any]]()
    for one in found:
        shown = {
            "id": str(one.guild_id),
            "name": one.server,
            "told": list(told_of_server(one)),
            "on": one.is_on,
            "counts": not one.forgotten,
            "manages": one.manages,
        }
        if one.manages:
            held = await call.studio.duels.held(call.actor, one.guild_id)
            shown |= {
                "used": one.noted.in_use,
                "trial": one.noted.trial is not None,
                "ready": one.is_ready,
                "duels": str(held.channel_id or ""),
                "lack": told_of_lack(held),
                "channels": [
                    {"id": str(channel.place.channel_id), "name": channel.name}
                    for channel in channels
                    if channel.place.guild_id == one.guild_id
                ],
            }
        servers.append(shown)
    return {"tastes": known, "codes": codes, "servers": servers}


ON = ("on", "true", "1")


@dataclass(frozen=True)
class Field:
    """One setting. kind: "switch", "choice" or "text"; choices: each a value and a label."""

    name: str
    label: str
    help: str
    kind: str = "switch"
    choices: tuple[dict[str, str], ...] = ()


STRENGTHS = {"low": N_("Low"), "med": N_("Med"), "high": N_("High"), "very high": N_("Very High")}


def fields_of(models: tuple[str, ...]) -> tuple[Field, ...]:
    """Return every setting. models: names that the host has given to image models."""
    speed = _("Relax waits for everybody else; turbo goes first where it is free.")
    speeds = _choices(
        _("The studio's default"), {Lane.TURBO: _("Turbo"), Lane.FAST: _("Fast"), Lane.RELAX: _("Relax")}
    )
    strength = _("How freely the model interprets your words.")
    strengths = _choices(
        _("The model's default"), {str(one): _(STRENGTHS[name]) for name, one in STYLIZE.items()}
    )
    named = _choices(_("The studio's default"), {name: name for name in models})
    languages = _choices(_("As the browser says"), LANGUAGES)
    adult = _("I am an adult: Explore also shows pictures from age-restricted channels that I can read.")
    return (
        Field(
            "language",
            _("Language"),
            _("Of these pages, and of what the bot answers you."),
            "choice",
            languages,
        ),
        Field("lane", _("Speed"), speed, "choice", speeds),
        Field("stylize", _("Stylize"), strength, "choice", strengths),
        Field(
            "model", _("Model"), _("The model for your prompts, unless they name another."), "choice", named
        ),
        Field("raw", _("Raw"), _("Draw what the words say, with less of the model's own taste.")),
        Field("remix", _("Remix"), _("Ask for new words before each variation.")),
        Field("strong", _("Strong variations"), _("Vary changes a lot; off, it changes little.")),
        Field("private", _("Private"), _("Nobody else sees what you ask for from now on.")),
        Field("sticky", _("Sticky style"), _("Use the codes of your last --sref again.")),
        Field("auto_dm", _("Send results to me"), _("Discord sends your results to your direct messages.")),
        Field("adult", _("Age-restricted channels"), adult),
        Field("taste", _("Learn my taste"), _("From your hearts, for --p. Off, your codes are deleted too.")),
        Field("suffix", _("Suffix"), _("Flags that are added to each prompt, such as --ar 3:2."), "text"),
    )


def _choices(default: str, labels: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    return tuple({"value": value, "label": label} for value, label in {"": default, **labels}.items())


class SettingsForm:
    """Handlers about settings. models: names that the host has given to image models."""

    def __init__(self, models: tuple[str, ...]) -> None:
        self._models = models

    async def page(self, call: Call) -> Answer:
        """The person's settings for new jobs."""
        assert call.person is not None
        pushes, session = call.studio.pushes, call.person.session
        values = {
            "fields": self.values(await call.studio.own.preferences(call.actor)),
            "push": await pushes.public_key(),
            "called": await pushes.calls(call.actor, session),
        }
        return Html("settings", values)

    async def show(self, call: Call) -> Answer:
        """Return every setting with what holds now."""
        return Json({"fields": self.values(await call.studio.own.preferences(call.actor))})

    async def change(self, call: Call) -> Answer:
        """Change the settings that are named, and return all of them."""
        fields = {field.name: field for field in fields_of(self._models)}
        unknown = [name for name in call.body if name not in fields]
        if unknown:
            raise UserError(f"There is no setting `{unknown[0][:40]}`; there are {', '.join(fields)}.")
        changes = {name: _read(fields[name], value) for name, value in call.body.items()}
        now = await call.studio.own.change(call.actor, **changes)
        return Json({"fields": self.values(now)})

    def values(self, now: Preferences) -> list[dict[str, Any]]:
        """Return the settings as a page shows them."""
        return [
            {**asdict(one), "value": _shown(getattr(now, one.name), one)} for one in fields_of(self._models)
        ]


def _shown(value: Any, field: Field) -> Any:
    if field.kind == "switch":
        return bool(value)
    return "" if value is None else str(value)


def _read(field: Field, value: Any) -> Any:
    """Return a setting's value as ``Preferences`` takes it. Raises UserError."""
    if field.kind == "switch":
        return value is True or (isinstance(value, str) and value.lower() in ON)
    if not isinstance(value, str):
        raise UserError(f"`{field.name}` takes a text.")
    if field.kind == "text":
        return value
    allowed = [one["value"] for one in field.choices]
    if value not in allowed:
        raise UserError(f"`{field.name}` takes one of {', '.join(known or '(empty)' for known in allowed)}.")
    if not value:
        return None
    return {"lane": Lane, "stylize": int}.get(field.name, str)(value)
