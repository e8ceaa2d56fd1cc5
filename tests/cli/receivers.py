"""A webhook and a mail server on this machine, which keep what they were sent."""

from __future__ import annotations

import base64
import http.server
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from pathlib import Path
from typing import Any


@dataclass
class Hook:
    """A webhook: `status` is its answer, `calls` are the alerts that it was sent, `headers` those of the last call."""

    port: int = 0
    status: int = 200
    calls: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/secret-path"


@contextmanager
def webhook() -> Iterator[Hook]:
    """A webhook that listens until the block ends."""
    hook = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.headers = dict(self.headers)
            if hook.status == 200:
                hook.calls.append(json.loads(body))
            self.send_response(hook.status)
            if hook.status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hook
        finally:
            server.shutdown()


@dataclass
class Postbox:
    """A mail server: `mails` are those that it took, `logins` the users and passwords that it was told."""

    port: int = 0
    refuse: str = ""
    mails: list[Message] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def mail_server(certificate: Path | None = None) -> Iterator[Postbox]:
    """A mail server (RFC 5321, as much as a client needs) that listens until the block ends.

    With a certificate (PEM, with its key) every connection is encrypted from its beginning, and logins are taken.
    """
    box = Postbox()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        context.load_cert_chain(certificate)

    class Handler(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            if certificate:
                self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def handle(self) -> None:
            self.say("220 ready")
            while line := self.rfile.readline().decode().strip():
                word = line.split()[0].upper()
                if word == "EHLO":
                    self.say("250-here" if certificate else "250 here")
                    if certificate:
                        self.say("250 AUTH PLAIN")
                elif word == "AUTH":
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    box.logins.append((user, password))
                    self.say("235 welcome" if "right" in password else "535 no")
                elif word == "RCPT" and box.refuse and box.refuse in line:
                    self.say("550 nobody of that name")
                elif word == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(text)
                    box.mails.append(message_from_string("\n".join(lines)))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A client that does not trust the certificate hangs up; that is its right."""

    with Server(("127.0.0.1", 0), Handler) as server:
        box.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield box
        finally:
            server.shutdown()
