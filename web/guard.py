"""What stands before every route: whose host is meant, where the call comes from, how many there were, and
the headers that keep an answer in its place.

Sources: https://fetch.spec.whatwg.org/#http-origin, https://www.w3.org/TR/CSP3/,
https://w3c.github.io/webappsec-trusted-types/.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from core.language import _
from storage.tokens import PREFIX, Token
from studio.authority import Pace
from web.call import Bucket, Refused, Route

MINUTE = 60.0  # seconds
CHALLENGE = 'Bearer realm="Atelier"'  # RFC 6750, section 3
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SAFE = ("GET", "HEAD")
PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types lit-html worker",
    )
)
ACTIVITY = "/activity"  # what begins the addresses of the door to Discord's frame, by which alone it is known
BYTES_POLICY = "default-src 'none'; sandbox"
OF_EACH = {"Server": "Atelier", "X-Content-Type-Options": "nosniff"}  # a page is a dozen files: each counts
HEADERS = OF_EACH | {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

SHARED = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


@dataclass(frozen=True)
class Addresses:
    """The origins that are ours: this machine's own at ``port``, and the one that the world sees, if any.

    activity: of the door to Discord's frame, the only one there. framed_by: who may frame that door's pages.
    """

    port: int
    public: str = ""  # such as https://studio.example.org
    activity: str = ""
    framed_by: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """What stands before every path of this door."""
        return ACTIVITY if self.activity else ""

    @property
    def page_policy(self) -> str:
        """The policy of a page: who may frame it, and that it may frame pages of the same door."""
        if not self.activity:
            return PAGE_POLICY
        framed = " ".join(("frame-src 'self'; frame-ancestors 'self'", *self.framed_by))
        return PAGE_POLICY.replace("frame-ancestors 'none'", framed)

    @property
    def hosts(self) -> frozenset[str]:
        """The values of Host that are ours."""
        local = {f"{name}:{self.port}" for name in LOOPBACK}
        return frozenset(local | ({urlsplit(self.public).netloc.lower()} if self.public else set()))

    @property
    def origins(self) -> frozenset[str]:
        """The values of Origin that are ours."""
        if self.activity:
            return frozenset({self.activity})
        local = {f"http://{name}:{self.port}" for name in LOOPBACK}
        return frozenset(local | ({self.public.lower().rstrip("/")} if self.public else set()))

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self.public.startswith("https://")


def check_host(addresses: Addresses, host: str) -> None:
    """Raise Refused unless the call is for a host of ours: a name that somebody else points at this machine
    must not read it (DNS rebinding)."""
    if host.lower() not in addresses.hosts:
        raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "This studio isn't known by that address.")


def check_origin(addresses: Addresses, method: str, headers: Mapping[str, str]) -> None:
    """Raise Refused unless a call that changes something comes from a page of ours.

    It must carry an Origin that is ours; browsers send it with every such request.
    """
    if method in SAFE:
        return
    same_site = headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    if headers.get("Origin", "").lower() not in addresses.origins or not same_site:
        raise Refused(HTTPStatus.FORBIDDEN, "This can only be asked from a page of this studio.")


def token_of(headers: Mapping[str, str], *, has_cookie: bool) -> str | None:
    """Return the token that a program sends, None where there is none. A header of another kind, such as a
    proxy's, takes nothing from the cookie beside it: what comes by a cookie must come from a page of ours.

    https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    scheme, _unused, sent = headers.get("Authorization", "").strip().partition(" ")
    sent = sent.strip()
    if scheme.lower() != "bearer" or has_cookie and not sent.startswith(PREFIX):
        return None
    return sent


def check_scopes(route: Route, token: Token) -> None:
    """Raise Refused unless a token opens a route."""
    if not route.scopes:
        detail = _("Programs can't do this. Do it on the web or in Discord.")
        raise Refused(HTTPStatus.FORBIDDEN, detail)
    if missing := [scope for scope in route.scopes if scope not in token.scopes.split()]:
        raise Refused(
            HTTPStatus.FORBIDDEN,
            _("This token lacks the scope {missing}.", missing=", ".join(missing)),
            more={"scopes": list(route.scopes)},
            challenge=CHALLENGE + f', error="insufficient_scope", scope="{" ".join(route.scopes)}"',
        )


class Buckets:
    """Counts calls by who makes them: as many at once as the bucket holds, then evenly over a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._paces = {bucket: Pace[str](bucket.value, MINUTE / bucket.value, clock) for bucket in Bucket}

    def __len__(self) -> int:
        return sum(map(len, self._paces.values()))

    def take(self, bucket: Bucket, who: str) -> None:
        """Count a call. Raises Refused with the seconds to wait after too many."""
        if wait := self._paces[bucket].take(who):
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"That was a lot in a short time. Try again in {max(1, round(wait))} s.",
                retry_after=wait,
            )


def headers_for(
    kind: str, addresses: Addresses, *, own: bool = False, shared: bool = False
) -> dict[str, str]:
    """Return the headers of an answer. kind: "page", "data", "bytes" (``own``: of one's own job), or "file"
    of the front end. shared: by a link whose end must be seen at once, and whose address is a secret."""
    if kind == "file":
        return {**OF_EACH, "Cache-Control": "no-store"}
    found = dict(HEADERS)
    if kind == "bytes":
        found["Content-Security-Policy"] = BYTES_POLICY
        age = "31536000, immutable" if own else "300"
        found["Cache-Control"] = f"private, max-age={age}"
    else:
        found["Content-Security-Policy"] = addresses.page_policy if kind == "page" else BYTES_POLICY
        found["Cache-Control"] = "private, no-store"
    if shared:
        found |= SHARED
    if addresses.secure:
        found["Strict-Transport-Security"] = "max-age=31536000"
    return found


def peer_address(remote: str | None, forwarded: str, trusted: Iterable[str]) -> str:
    """Return the address that a call comes from. forwarded: all of X-Forwarded-For, believed from ``trusted``
    proxies only, and of it only what the nearest proxy has added."""
    if remote in set(trusted) and forwarded:
        return forwarded.rpartition(",")[2].strip()
    return remote or ""
