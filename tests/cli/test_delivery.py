"""Alerts really reach a webhook and a mail server, and what does not work is said in one line without secrets."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from receivers import Hook, Postbox, mail_server, webhook

from pipelines.cli.main import invoke
from pipelines.delivery import Alert, Handed, ways

ALERT = Alert(
    "failure", "digits", None, "digits failed", "draws: no such set. Run 1.", None, "2026-03-01T03:00:00+00:00"
)


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GTL_ALERT_WEBHOOK", "GTL_ALERT_EMAIL", "GTL_SMTP"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as found:
        yield found


@pytest.fixture
def box() -> Iterator[Postbox]:
    with mail_server() as found:
        yield found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, as one PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(pem, *plain) + made.public_bytes(pem))
    return path


def test_a_webhook_gets_one_json_object_an_alert(hook: Hook) -> None:
    ((way,), _) = ways({"GTL_ALERT_WEBHOOK": hook.address})
    assert way.send([ALERT, ALERT]) == Handed(2)
    assert hook.calls == [ALERT.to_json()] * 2
    assert set(hook.calls[0]) == {"kind", "experiment", "model", "title", "text", "link", "at"}
    assert hook.headers["Content-Type"] == "application/json"


def test_user_and_password_of_a_webhook_go_into_the_header(hook: Hook) -> None:
    ((way,), _) = ways({"GTL_ALERT_WEBHOOK": hook.address.replace("//", "//me:it%27s%20right@")})
    way.send([ALERT])
    assert hook.headers["Authorization"] == "Basic bWU6aXQncyByaWdodA=="
    assert hook.headers["Host"] == f"127.0.0.1:{hook.port}"
    assert "right" not in way.name


def test_all_alerts_of_a_moment_are_one_mail(box: Postbox) -> None:
    configured = {"GTL_ALERT_EMAIL": "a@example.org, b@example.org", "GTL_SMTP": f"smtp://127.0.0.1:{box.port}"}
    ((way,), _) = ways(configured)
    assert way.send([ALERT, ALERT]) == Handed(2)
    assert way.send([ALERT]) == Handed(1)
    both, one = box.mails
    assert (both["Subject"], one["Subject"]) == ("GTL: 2 alerts", "GTL: digits failed")
    assert (both["From"], both["To"]) == ("a@example.org", "a@example.org, b@example.org")
    assert both.get_content_type() == "text/plain"
    assert both.get_payload().count("draws: no such set. Run 1.") == 2


def test_a_password_is_sent_through_an_encrypted_connection_to_a_trusted_server_only(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GTL_ALERT_EMAIL", "a@example.org")
    with mail_server(certificate) as box:
        monkeypatch.setenv("GTL_SMTP", f"smtps://me%40example.org:it%27s%20right@127.0.0.1:{box.port}")
        assert invoke(["alerts", "test"]) == 2
        assert "certificate verify failed" in capfd.readouterr().err
        assert box.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert invoke(["alerts", "test"]) == 0
        assert box.logins == [("me@example.org", "it's right")]
        assert box.mails[0]["From"] == "me@example.org"
        monkeypatch.setenv("GTL_SMTP", f"smtps://me:wrong-word@127.0.0.1:{box.port}")
        assert invoke(["alerts", "test"]) == 2
    shown = capfd.readouterr()
    assert "the mail server refuses user and password (535)" in shown.err
    assert "wrong-word" not in shown.err + shown.out


def test_a_password_is_not_sent_in_the_clear(box: Postbox, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setenv("GTL_ALERT_EMAIL", "a@example.org")
    monkeypatch.setenv("GTL_SMTP", f"smtp://me:secret-word@127.0.0.1:{box.port}")
    assert invoke(["alerts", "test"]) == 2
    assert "offers no encryption" in capfd.readouterr().err
    assert box.logins == box.mails == []


def test_the_test_says_one_line_for_each_way(
    hook: Hook, box: Postbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GTL_ALERT_WEBHOOK", hook.address)
    monkeypatch.setenv("GTL_ALERT_EMAIL", "a@example.org")
    monkeypatch.setenv("GTL_SMTP", f"smtp://127.0.0.1:{box.port}")
    assert invoke(["alerts", "test"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "webhook http://127.0.0.1: sent",
        "e-mail to a@example.org through 127.0.0.1: sent",
    ]
    assert (hook.calls[0]["kind"], len(box.mails)) == ("test", 1)
    hook.status, box.refuse = 500, "a@example.org"
    assert invoke(["alerts", "test", "--json"]) == 2
    told = json.loads(capfd.readouterr().out)
    assert [one["problem"] for one in told] == ["it answers 500", "the mail server refuses a@example.org"]


def test_an_address_that_the_mail_server_refuses_does_not_keep_the_others_from_theirs(box: Postbox) -> None:
    configured = {"GTL_ALERT_EMAIL": "a@example.org,gone@example.org", "GTL_SMTP": f"smtp://127.0.0.1:{box.port}"}
    box.refuse = "gone@"
    assert ways(configured)[0][0].send([ALERT]) == Handed(1, "the mail server refuses gone@example.org")
    assert len(box.mails) == 1


def test_a_webhook_that_does_not_answer_or_sends_elsewhere_is_told_without_its_secret(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv(
            "GTL_ALERT_WEBHOOK", f"http://127.0.0.1:{free.getsockname()[1]}/hooks/secret-path?key=secret"
        )
        assert invoke(["alerts", "test"]) == 2
    shown = capfd.readouterr()
    assert shown.err.startswith("gtl: webhook http://127.0.0.1: not sent: it does not answer (")
    assert "secret" not in shown.err
    hook.status = 302
    monkeypatch.setenv("GTL_ALERT_WEBHOOK", hook.address)
    assert invoke(["alerts", "test"]) == 2
    assert "it answers 302" in capfd.readouterr().err


def test_where_nothing_is_configured_the_log_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["alerts", "test"]) == 0
    assert "log alone" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("configured", "told"),
    [
        (
            {"GTL_ALERT_WEBHOOK": "ftp://secret.example"},
            "GTL_ALERT_WEBHOOK is no address; write http://HOST or https://",
        ),
        ({"GTL_ALERT_WEBHOOK": "https://secret:x:y"}, "GTL_ALERT_WEBHOOK is no address"),
        ({"GTL_ALERT_EMAIL": "a@example.org"}, "GTL_ALERT_EMAIL is set and GTL_SMTP is not"),
        ({"GTL_SMTP": "smtp://secret.example"}, "GTL_SMTP is set and GTL_ALERT_EMAIL is not"),
        (
            {"GTL_ALERT_EMAIL": "a@example.org", "GTL_SMTP": "secret.example:25"},
            "GTL_SMTP is no address; write smtp://",
        ),
        ({"GTL_ALERT_EMAIL": " ,", "GTL_SMTP": "smtp://mail.example"}, "GTL_ALERT_EMAIL names nobody"),
        ({"GTL_ALERT_EMAIL": "nobody", "GTL_SMTP": "smtp://mail.example"}, "'nobody' is no e-mail address"),
    ],
)
def test_what_is_configured_wrongly_is_said_in_one_line(
    configured: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ways(configured)[0] == []
    for variable, value in configured.items():
        monkeypatch.setenv(variable, value)
    assert invoke(["alerts", "test"]) == 2
    error = capfd.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1
    assert "secret" not in error
