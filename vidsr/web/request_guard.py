"""Access control for every request: token, host and origin checks, and security headers on the responses.

On a loopback address without a token, the danger is another web page open in the same browser: it could send
requests here (CSRF) or rebind its own name to 127.0.0.1 (DNS rebinding). So the Host must be a loopback name and an
Origin, where the browser sends one, must be this very server.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from vidsr.web.server_settings import WebSettings, is_loopback

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "vidsr_token"
#: Nothing but this server's own files: no script or style inside the page, no other origin, no frames.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: App, settings: WebSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, log in, or pass it on and add the headers to the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if self._settings.token and scope["path"] == "/" and given:
            await self._log_in(send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {k.lower() for k, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((k, v) for k, v in _HEADERS if k not in have)]
            await send(message)

        await self._app(scope, receive, dressed)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """(status, reason) if the request may not pass."""
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or "" if _plain_host(host) else ""
        if is_loopback(self._settings.host) and self._settings.token is None and not is_loopback(name):
            return 403, "vidsr serve does not answer at this host name; open the address it printed"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "requests from other web pages are not allowed"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and scope["path"] != "/":
            return 403, "requests from other web pages are not allowed"
        if self._settings.token and not self._knows_token(scope, headers):
            return 401, "a token is needed: open the address that vidsr serve printed, or send Authorization: Bearer"
        return None

    def _knows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        wanted = (self._settings.token or "").encode()
        offered = [headers.get("authorization", "").removeprefix("Bearer ").strip()]
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        if COOKIE in cookies:
            offered.append(cookies[COOKIE].value)
        if scope["path"] == "/":
            offered += parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        return any(hmac.compare_digest(o.encode("utf-8", "replace"), wanted) for o in offered)

    async def _log_in(self, send: Send) -> None:
        """Keep the token in a cookie that scripts cannot read, and take it out of the address bar."""
        cookie = f"{COOKIE}={quote(self._settings.token or '', safe='')}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _plain_host(host: str) -> bool:
    return all(c.isalnum() or c in ".-:[]" for c in host)


async def _answer(send: Send, status: int, reason: str) -> None:
    body = ('{"detail": "' + reason + '"}').encode()
    headers = [(b"content-type", b"application/json"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
