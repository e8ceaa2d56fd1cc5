"""`gtl alerts`: how people are told what happens when nobody watches."""

from __future__ import annotations

import typer

from pipelines.cli.output import Json, note, say, show_json

app = typer.Typer(
    no_args_is_help=True,
    help="""How people are told of failures, drift, waiting challengers, promotions and rollbacks.

The sensor "alerts" of the daemon (gtl ui) tells of each once, in its log always, and further where these environment
variables are set:

GTL_ALERT_WEBHOOK: an http or https address that takes a POST of JSON.

GTL_ALERT_EMAIL and GTL_SMTP: addresses with commas between them, and the mail server, such as
smtps://USER:PASSWORD@HOST or smtp://HOST:PORT. A password is sent through encrypted connections only.
""",
)


@app.callback()
def _group() -> None:
    """Keeps `test` a command of its own, though it is the only one."""


@app.command()
def test(json_: Json = False) -> int:
    """Send one test message in each configured way, and say what became of it. Ends with 2 where one failed."""
    from datetime import UTC, datetime

    from pipelines.delivery import Alert, ways

    alert = Alert(
        kind="test",
        experiment=None,
        model=None,
        title="test message",
        text="This is a test by gtl alerts test; there is nothing to do.",
        link=None,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    configured, problems = ways()
    told = [{"way": None, "sent": False, "problem": problem} for problem in problems]
    for way in configured:
        handed = way.send([alert])
        told.append({"way": way.name, "sent": bool(handed.taken), "problem": handed.problem or None})
    if json_:
        show_json(told)
    else:
        for one in told:
            line = ": ".join(filter(None, (one["way"], "sent" if one["sent"] else "not sent", one["problem"])))
            if one["problem"]:
                note(f"gtl: {line}")
            else:
                say(line)
        if not told:
            say("alerts go to the sensor's log alone; gtl alerts --help says how to have them sent")
    return 2 if any(one["problem"] for one in told) else 0
