"""How an alert leaves this machine: a webhook and e-mail, as far as environment variables name them.

| variable | value |
|---|---|
| `GTL_ALERT_WEBHOOK` | an http or https address that takes a POST of JSON for each alert |
| `GTL_ALERT_EMAIL` | addresses, with commas between them |
| `GTL_SMTP` | the mail server: `smtp[s]://[USER:PASSWORD@]HOST[:PORT]` |
| `GTL_DAGSTER_URL` | address of Dagster's page, for links; `gtl ui` sets it for the daemon that it starts |
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from gtl_core.errors import InputError

WEBHOOK, EMAIL, SMTP = "GTL_ALERT_WEBHOOK", "GTL_ALERT_EMAIL", "GTL_SMTP"
DAGSTER_URL = "GTL_DAGSTER_URL"
_TIMEOUT_SECONDS = 5.0
_MAIL_PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True)
class Alert:
    """Something that a person should know.

    Attributes:
        kind: `failure`, `failed_checks`, `drift`, `waiting`, `promoted`, `rolled_back`, `moved_outside` or
            `test`.
        experiment: the experiment that it is about, where it is about one.
        model: the registered model that it is about, where it is about one.
        title: what happened, in a few words.
        text: what happened and what to do, in one line without secrets.
        link: where to look, if there is a page.
        at: when, UTC, ISO 8601.
    """

    kind: str
    experiment: str | None
    model: str | None
    title: str
    text: str
    link: str | None
    at: str

    def to_json(self) -> dict[str, Any]:
        """What a webhook is sent."""
        return asdict(self)


@dataclass(frozen=True)
class Handed:
    """What became of alerts that were handed over.

    Attributes:
        taken: how many were taken, from the first on.
        problem: what went wrong, without secrets; empty where nothing did.
    """

    taken: int
    problem: str = ""


@dataclass(frozen=True)
class Webhook:
    """Sends each alert by itself as a JSON object."""

    address: SplitResult

    @property
    def name(self) -> str:
        """What it is and where it goes; the path of such an address is often a secret."""
        return f"webhook {self.address.scheme}://{self.address.hostname}"

    def send(self, alerts: Sequence[Alert]) -> Handed:
        """Sends alerts until one cannot be delivered."""
        for count, alert in enumerate(alerts):
            problem = self._post(alert)
            if problem:
                return Handed(count, problem)
        return Handed(len(alerts))

    def _post(self, alert: Alert) -> str:
        """Sends one alert; says why it was not taken."""
        place = self.address.hostname or ""
        if self.address.port:
            place += f":{self.address.port}"
        headers = {"Content-Type": "application/json", "User-Agent": "gtl"}
        if self.address.username:
            pair = f"{unquote(self.address.username)}:{unquote(self.address.password or '')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        request = urllib.request.Request(  # noqa: S310 - http or https, looked at in `webhook`
            urlunsplit(self.address._replace(netloc=place, fragment="")),
            data=json.dumps(alert.to_json()).encode(),
            headers=headers,
            method="POST",
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT_SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            return f"it answers {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            return f"it does not answer ({getattr(error, 'reason', error)})"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody to another address: the alert was not meant for it."""

    def redirect_request(self, *_: Any) -> None:
        """Leaves the answer as it is, which is then told as a failure."""


@dataclass(frozen=True)
class Mail:
    """Sends one e-mail with all alerts in it."""

    server: SplitResult
    recipients: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is and where it goes."""
        return f"e-mail to {', '.join(self.recipients)} through {self.server.hostname}"

    def send(self, alerts: Sequence[Alert]) -> Handed:
        """Sends all alerts, or none. Where some addresses are refused, the others have got them."""
        try:
            with self._connected() as connection:
                refused = connection.send_message(self._message(alerts))
        except smtplib.SMTPAuthenticationError as error:
            return Handed(0, f"the mail server refuses user and password ({error.smtp_code})")
        except smtplib.SMTPRecipientsRefused as error:
            return Handed(0, f"the mail server refuses {', '.join(error.recipients)}")
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return Handed(0, f"the mail server does not take it ({' '.join(str(error).split())})")
        return Handed(len(alerts), f"the mail server refuses {', '.join(refused)}" if refused else "")

    def _connected(self) -> smtplib.SMTP:
        """A connection that is encrypted where the server can, and always before a password is sent."""
        host, port = self.server.hostname or "", self.server.port or _MAIL_PORTS[self.server.scheme]
        if self.server.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        else:
            connection = smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)
        try:
            if self.server.scheme == "smtp":
                connection.ehlo()
                if connection.has_extn("starttls"):
                    connection.starttls(context=ssl.create_default_context())
                elif self.server.username:
                    raise ValueError(f"it offers no encryption, and {SMTP} has a password; use smtps or leave it out")
            if self.server.username:
                connection.login(unquote(self.server.username), unquote(self.server.password or ""))
        except BaseException:
            connection.close()
            raise
        return connection

    def _message(self, alerts: Sequence[Alert]) -> EmailMessage:
        message = EmailMessage()
        subject = alerts[0].title if len(alerts) == 1 else f"{len(alerts)} alerts"
        message["Subject"] = f"GTL: {' '.join(subject.split())}"
        user = unquote(self.server.username or "")
        message["From"] = user if "@" in user else self.recipients[0]
        message["To"] = ", ".join(self.recipients)
        message.set_content(
            "\n\n".join(
                "\n".join(filter(None, (f"{alert.title} ({alert.at})", alert.text, alert.link))) for alert in alerts
            )
        )
        return message


Way = Webhook | Mail


def ways(environment: Mapping[str, str] = os.environ) -> tuple[list[Way], list[str]]:
    """The ways that are configured, and what is wrong with those that cannot be used."""
    found: list[Way] = []
    problems: list[str] = []
    for variables, make in (((WEBHOOK,), _webhook), ((EMAIL, SMTP), _mail)):
        if any(environment.get(variable) for variable in variables):
            try:
                found.append(make(environment))
            except InputError as error:
                problems.append(str(error))
    return found, problems


def _webhook(environment: Mapping[str, str]) -> Way:
    return Webhook(_address(WEBHOOK, environment[WEBHOOK], ("http", "https")))


def _mail(environment: Mapping[str, str]) -> Way:
    for needed, other in ((EMAIL, SMTP), (SMTP, EMAIL)):
        if not environment.get(needed):
            raise InputError(f"{other} is set and {needed} is not; e-mail needs both")
    recipients = tuple(part.strip() for part in environment[EMAIL].split(",") if part.strip())
    if not recipients:
        raise InputError(f"{EMAIL} names nobody; write a@example.org,b@example.org")
    for recipient in recipients:
        name, at, domain = recipient.partition("@")
        if not (name and at and domain) or any(character.isspace() for character in recipient):
            raise InputError(f"{EMAIL}: {recipient!r} is no e-mail address; write a@example.org,b@example.org")
    return Mail(_address(SMTP, environment[SMTP], tuple(_MAIL_PORTS)), recipients)


def _address(variable: str, value: str, schemes: Sequence[str]) -> SplitResult:
    """An address whose parts can be read. Nothing of it is repeated in an error, because it may hold a password."""
    try:
        address = urlsplit(value)
        port, host = address.port, address.hostname
    except ValueError:
        port, host = 0, None
    if port == 0 or not host or address.scheme not in schemes or any(character.isspace() for character in value):
        raise InputError(f"{variable} is no address; write {' or '.join(f'{scheme}://HOST' for scheme in schemes)}")
    return address
