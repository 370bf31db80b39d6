"""Who comes from another computer says who they are: with their name and password of the broker, which alone decides.

No user is kept here. A right password is one with which the broker lets a connection in; what that user may do, it decides too.
"""

from __future__ import annotations

import asyncio
import secrets
from html import escape
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from tornado.web import RequestHandler

from drivers.clock import Clock
from orchestrator.model.broker import Broker
from orchestrator.monitor.dashboard.person import Person
from orchestrator.monitor.mqtt import BrokerGone, Refused, connected

COOKIE = "operando"
WRONG_s = 1.0
"""So long the answer to a wrong password takes."""
MOST = 500
FORM = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Operando</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body { background: #0b0f14; color: #d6dde6; font: 17px system-ui, sans-serif; max-width: 340px; margin: 12vh auto; padding: 0 20px; }
input, button { font: inherit; width: 100%; box-sizing: border-box; margin: 6px 0; padding: 12px; border-radius: 10px;
  border: 1px solid #33404f; background: #151b23; color: inherit; }
button { background: #1f6feb; border: 0; font-weight: 600; } p { color: #ff8b84; min-height: 1.3em; }
</style></head><body><h1>Operando</h1><form method="post">
<input name="user" placeholder="name" autocomplete="username" autocapitalize="none" required>
<input name="password" type="password" placeholder="password" autocomplete="current-password" required><button>Look</button></form>
<p>SAID</p></body></html>"""


class People:
    """Who has come in, by the secret in their cookie."""

    def __init__(self, broker: Broker, clock: Clock, *, encrypted: bool) -> None:
        self.encrypted = encrypted
        self._broker = broker
        self._clock = clock
        self._inside: dict[str, Person] = {}

    def known(self, cookie: str | None) -> Person | None:
        """Whose cookie it is."""
        return self._inside.get(cookie or "")

    async def come_in(self, user: str, password: str) -> str:
        """A new cookie. Raises Refused for a wrong password, BrokerGone where nobody can say."""
        person = Person(user, self._broker.model_copy(update={"user": user, "password_file": ""}), self._clock, password=password)
        async with connected(person.broker, f"dashboard-login-{secrets.token_hex(4)}", password=password):
            cookie = secrets.token_urlsafe(32)
        self._inside[cookie] = person
        while len(self._inside) > MOST:
            self._inside.pop(next(iter(self._inside)))
        return cookie

    def leave(self, cookie: str | None) -> None:
        """Forget somebody."""
        self._inside.pop(cookie or "", None)

    async def anybody(self) -> bool:
        """Does the broker let in whoever comes, with any password? Then a login would be for show."""
        try:
            await self.come_in(f"nobody-{secrets.token_hex(4)}", secrets.token_hex(16))
        except Refused:
            return False
        return True


class Door(AuthProvider):  # type: ignore[misc,unused-ignore]
    """Bokeh's way to ask who is there."""

    def __init__(self, people: People) -> None:
        self._people = people
        super().__init__()

    @property
    def get_user(self) -> Any:
        """Name of who asks, or None."""
        return lambda handler: person.user if (person := self._people.known(handler.get_cookie(COOKIE))) else None

    @property
    def login_url(self) -> str:
        """Where one says who one is."""
        return "/login"

    @property
    def logout_url(self) -> str:
        """Where one leaves."""
        return "/logout"

    @property
    def login_handler(self) -> type[RequestHandler]:
        """The form."""
        return type("Login", (Login,), {"people": self._people})

    @property
    def logout_handler(self) -> type[RequestHandler]:
        """The way out."""
        return type("Logout", (Logout,), {"people": self._people})

    @property
    def get_login_url(self) -> None:
        """There is one place only."""

    @property
    def get_user_async(self) -> None:
        """Nothing to wait for."""


class Login(RequestHandler):
    """The form, and what comes of it."""

    people: People

    def get(self) -> None:
        """An empty form."""
        self.write(FORM.replace("SAID", ""))

    async def post(self) -> None:
        """A name and a password."""
        try:
            cookie = await self.people.come_in(self.get_body_argument("user"), self.get_body_argument("password", strip=False))
        except Refused:
            await asyncio.sleep(WRONG_s)
            self.set_status(403)
            self.write(FORM.replace("SAID", "The broker does not know this name with this password."))
            return
        except BrokerGone as gone:
            self.set_status(503)
            self.write(FORM.replace("SAID", escape(f"The broker does not answer: {gone}")))
            return
        self.set_cookie(COOKIE, cookie, httponly=True, samesite="Strict", secure=self.people.encrypted, expires_days=7)
        self.redirect("./")


class Logout(RequestHandler):
    """The way out."""

    people: People

    def get(self) -> None:
        """Leave."""
        self.people.leave(self.get_cookie(COOKIE))
        self.clear_cookie(COOKIE)
        self.redirect("./login")
