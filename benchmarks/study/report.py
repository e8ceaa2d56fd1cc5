"""`results.md`: what was measured, a section for each budget, with published numbers and goals beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.study.cases import BUDGETS, Case, Goal, Literature, Published
from benchmarks.study.results import UNTRAINED, Record, Results, Row, full_name, resolved

MOST_SECONDS = 600.0
"""What one strategy on one draw may take, for a user to wait for it."""

_OPENING = """\
# Measured against the literature

GTL's arms under the protocols of published work on MNIST and USPS: `make study` runs the cases of
`benchmarks/study/cases.yaml` through the same stages as `gtl run`, and writes this page, and the same numbers as
`results.json` (`results_cases.json` holds what a table cannot). Do not edit it by hand. Every case names its command,
and the numbers of a case are those of that one command."""

_READING = """\
## How to read it

- **Accuracy** is the percentage of test images that were recognised: mean over few-shot draws, each with seeds of its
  own, and in brackets the 95 % interval of a two-level bootstrap over draws and test images. A difference of two arms
  is paired: same draws, same test images.
- **Chosen** without the test part: checkpoints, trials, arms and strategies by accuracy on a labelled validation part
  that is never learned from; in cases without target labels by the mutual information between image and predicted
  class on unlabelled validation images. The row that was chosen need not be the highest of its table.
- **Budgets** are kept apart: what learned from labelled target images alone, from an unlabelled pool alone, and from
  both, stand in three sections. *Pool* is the number of unlabelled target images that an arm may learn from.
- **Seconds** are wall time a draw: the strategy's transfer and synthesis on that draw, as their stages recorded it, and
  one classifier with all its trials. Classifiers train side by side, so that is the time of the evaluation times its
  workers, shared evenly among its classifiers. Source GAN and source classifier are trained once for all
  draws and arms; their seconds stand below each table. Work that was interrupted counts from where it went on.
- **Published** numbers come from other code under their authors' protocols: beside ours for orientation, no contest of
  equals. None was measured here."""


def report(cases: Sequence[Case], literature: Literature, results: Results) -> str:
    """The whole page, in Markdown.

    Args:
        cases: all cases, whether they have been run or not.
        literature: the published numbers.
        results: of the cases that have been run.
    """
    parts = [_OPENING, _machines(results, cases), _READING, _goals(cases, results)]
    for budget in BUDGETS:
        parts.extend(_section(budget, [case for case in cases if case.budget == budget], literature, results))
    parts.extend(_fully_supervised(literature))
    return "\n\n".join(parts) + "\n"


def _machines(results: Results, cases: Sequence[Case]) -> str:
    """What the cases were run on; different ones may have run on different machines."""
    by_machine: dict[str, list[str]] = {}
    for case in cases:
        if case.name in results.records:
            by_machine.setdefault(results.records[case.name]["measured"]["machine"], []).append(case.name)
    if not by_machine:
        return "No case has been run yet."
    if len(by_machine) == 1:
        return f"Machine: {next(iter(by_machine))}."
    return "Machines:\n\n" + "\n".join(f"- {machine}: {', '.join(names)}" for machine, names in by_machine.items())


def _goals(cases: Sequence[Case], results: Results) -> str:
    rows = [_goal(goal, case, results) for case in cases for goal in case.goals]
    parts = ["## Goals", table(("case", "goal", "at least", "reached", "met", "note"), rows), _longest(results)]
    return "\n\n".join(filter(None, parts))


def _goal(goal: Goal, case: Case, results: Results) -> list[str]:
    asked = f"{goal.at_least:.1f}" if goal.versus is None else f"interval above {goal.at_least:g}"
    what, met = reached(goal, case, results)
    tried = [f"tried: {_tried(results.of(case.name))}", goal.tried] if met == "no" else []
    return [case.title, goal.what, asked, what, met, "; ".join(filter(None, (goal.note, *tried)))]


def reached(goal: Goal, case: Case, results: Results) -> tuple[str, str]:
    """What was reached of a goal, and whether it was met: `yes` or `no`, `–` where the case was not run."""
    record = results.records.get(case.name)
    if record is None:
        return "not run yet", "–"
    rows = {full_name(row): row for row in results.of(case.name)}
    arm = resolved(goal.arm, record, list(rows))
    if goal.versus is None:
        found = rows.get(arm)
        met = found is not None and found["mean"] >= goal.at_least
        what = f"{arm}: {_interval(found)}" if found else f"{arm} is left out"
    else:
        versus = resolved(goal.versus, record, list(rows))
        pairs = {(row["arm"], row["versus"]): row for row in record["differences"]}
        found = pairs.get((arm, versus))
        met = found is not None and found["low"] > goal.at_least
        what = f"{arm} − {versus}: {_difference(found)}" if found else f"{arm} or {versus} is left out"
    return what, "yes" if met else "no"


def _tried(rows: Sequence[Row]) -> str:
    """The arms of a case, each strategy named once."""
    kinds = dict.fromkeys(row["arm"] for row in rows)
    strategies = dict.fromkeys(row["strategy"] for row in rows if row["strategy"])
    return f"{', '.join(kinds)} with {', '.join(strategies)}"


def _longest(results: Results) -> str:
    """The strategy that took longest on one draw, and the arm that did with the classifier that it trains."""
    rows = [row for row in results.rows if row["strategy"]]
    if not rows:
        return ""
    row = max(rows, key=lambda row: _own_seconds(row, results))
    own = _own_seconds(row, results)
    within = "within" if own <= MOST_SECONDS else "over"
    arm = max(rows, key=lambda row: row["seconds"])
    return (
        f"Time: the slowest strategy on one draw is {row['strategy']} in `{row['case']}`: {own:.0f} s for its transfer "
        f"and images, {within} the {MOST_SECONDS:.0f} s that it may take. With the trials of a classifier, which arms "
        f"without a GAN have too, the slowest arm is {full_name(arm)} in `{arm['case']}`: {arm['seconds']:.0f} s."
    )


def _own_seconds(row: Row, results: Results) -> float:
    """Seconds of a row's strategy alone: arms without one have what a classifier takes, with all its trials."""
    if row["arm"] in UNTRAINED:
        return float(row["seconds"])
    plain = (other for other in results.of(row["case"]) if not other["strategy"] and other["arm"] not in UNTRAINED)
    classifier = max((other["seconds"] for other in plain), default=0.0)
    return round(row["seconds"] - classifier, 1)


def _section(budget: str, cases: Sequence[Case], literature: Literature, results: Results) -> Iterator[str]:
    """One budget: an overview, then case by case."""
    yield f"## {budget[0].upper()}{budget[1:]}"
    overview = [_overview(case, literature.cases.get(case.name, ()), results) for case in cases]
    yield table(("case", "best arm as chosen", "best GAN arm as chosen", "best without a GAN", "published"), overview)
    for case in cases:
        if case.name in results.records:
            yield from _case(case, literature.cases.get(case.name, ()), results)


def _overview(case: Case, published: Sequence[Published], results: Results) -> list[str]:
    record = results.records.get(case.name)
    known = ", ".join(f"{row.method} {_value(row)}" for row in published) or "–"
    if record is None:
        return [case.title, "not run yet", "", "", known]
    rows = {full_name(row): row for row in results.of(case.name)}
    chosen = (record["chosen"][which] for which in ("best", "gan", "without_gan"))
    return [case.title, *(f"{arm}: {_interval(rows[arm])}" for arm in chosen), known]


def _case(case: Case, published: Sequence[Published], results: Results) -> Iterator[str]:
    record, rows = results.records[case.name], results.of(case.name)
    measured = record["measured"]
    yield f"### {case.title}"
    yield case.protocol
    yield f"`{measured['command']}`, {measured['date']}, {record['test_images']:,} test images."
    head = ("arm", "strategy", "accuracy % [95 % interval]", "pool", "draws", "seconds")
    yield table(
        head,
        [
            [
                _marked(row, record),
                row["strategy"] or "–",
                _interval(row),
                f"{row['pool']:,}" if row["pool"] else "–",
                str(row["draws"]),
                f"{row['seconds']:.0f}",
            ]
            for row in rows
        ],
    )
    yield "\n".join(f"- {line}" for line in _remarks(record))
    if published:
        yield "Published (other code, their protocol):"
        yield _published(published)


def _marked(row: Row, record: Record) -> str:
    """The arm, bold where it is the chosen one."""
    return f"**{row['arm']}**" if full_name(row) == record["chosen"]["best"] else str(row["arm"])


def _remarks(record: Record) -> Iterator[str]:
    """What stands below the table of a case."""
    yield f"Chosen by {record['chosen_by']}: {record['chosen']['best']} (bold)."
    yield record["verdict"]
    for row in record["differences"]:
        yield f"{row['arm']} − {row['versus']}: {_difference(row)}, paired."
    for arm, reason in record["left_out"].items():
        yield f"Left out: {arm}; {reason}."
    shared = (f"{name.replace('_', ' ')} {seconds:.0f} s" for name, seconds in record["shared_seconds"].items())
    yield f"Once for all: {', '.join(shared)}."


def _fully_supervised(literature: Literature) -> Iterator[str]:
    yield "## Fully supervised (published)"
    yield "What the whole labelled target gives. Another budget than all of the above."
    for pair, rows in literature.fully_supervised.items():
        yield f"{pair}:"
        yield _published(rows)


def _published(rows: Sequence[Published]) -> str:
    return table(
        ("method", "accuracy %", "protocol", "source"),
        [[row.method, _value(row), row.protocol, row.source] for row in rows],
    )


def _value(row: Published) -> str:
    return f"{row.value:.1f}" + (f" ± {row.spread:.1f}" if row.spread is not None else "")


def _interval(row: Row) -> str:
    return f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _difference(row: Mapping[str, float]) -> str:
    return f"{row['value']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] points"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
