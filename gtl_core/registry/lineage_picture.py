"""A lineage record as a picture: from the model version at the top down to the images at the bottom, as plain SVG.

Three columns: the target on the left, in the middle what was made, on the right the run and the source's classifier.
Arrows lead from what was used to what was made of it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gtl_core.registry.seen import LEARNED

_TEMPLATE = "lineage.svg.jinja"

_WIDTH, _MARGIN, _GAP = 290, 40, 34
_LEFT, _MIDDLE, _RIGHT = (_MARGIN + column * (_WIDTH + _GAP) for column in range(3))
_PICTURE_WIDTH = _RIGHT + _WIDTH + _MARGIN
_LINE, _PADDING, _BETWEEN = 19, 16, 40
_CHARACTERS = 38
"""What fits into a line of a box."""
_HASH_CHARACTERS = 16

Kind = Literal["model", "made", "data", "run"]


@dataclass(frozen=True)
class _Line:
    """One line of text in a box; `whole` is what a shortened one stands for."""

    text: str
    style: Literal["kind", "name", "quiet", "plain"] = "plain"
    whole: str = ""


@dataclass
class _Box:
    """One thing in the picture; its top is known when the rows above it are."""

    kind: Kind
    left: int
    lines: Sequence[_Line]
    width: int = _WIDTH
    top: int = 0

    @property
    def height(self) -> int:
        return _LINE * len(self.lines) + _PADDING

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def centre(self) -> int:
        return self.left + self.width // 2


@dataclass(frozen=True)
class _Edge:
    """An arrow; dashed where nothing was learned along it."""

    path: str
    learned: bool = True


def lineage_svg(record: Mapping[str, Any]) -> str:
    """Draws a lineage record.

    Args:
        record: from `read_lineage`; what an old record does not say is left out.

    Returns:
        An SVG document that follows the reader's light or dark theme, and asks for nothing from anywhere.
    """
    import jinja2

    boxes = _boxes(record)
    sides = _sides(record)
    height = _place(boxes, sides)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(_TEMPLATE).render(
        title=f"What {_name(record)} is made of",
        description=describe(record),
        boxes=[*boxes.values(), *sides],
        edges=_edges(record, boxes),
        width=_PICTURE_WIDTH,
        height=height,
        left=_MARGIN,
        legend="Arrows lead from what was used to what was made of it. Dashed: compared with, nothing learned.",
    )


def describe(record: Mapping[str, Any]) -> str:
    """The picture in words, for those who do not see it."""
    sentences = [f"{_name(record)}, registered {record['model']['created']}."]
    sentences += [
        f"It is made with {checkpoint['stage']} ({_short(checkpoint['sha256'])})."
        for checkpoint in _checkpoints(record)
    ]
    if not _is_generator(record):
        sentences.append(f"{record['synthetic']['images']} synthetic images were made on the way.")
    for data in record["datasets"]:
        roles = ", ".join(_counts(record, data["name"]))
        seen = f", of which it has seen: {roles}" if roles else ""
        sentences.append(
            f"The {data['role']} is {data['name']}, version {data['version']}, {data['images']} images{seen}."
        )
    sentences.append(
        f"The code is that of commit {record['git_commit']}; the data version is {record['data_version']}."
    )
    return _plain(" ".join(sentences))


def _boxes(record: Mapping[str, Any]) -> dict[str, _Box]:
    """Everything on the way from the model to the images, from top to bottom."""
    model, synthetic = record["model"], record["synthetic"]
    about = [f"registered {model['created']}", f"verdict: {record['verdict'].get('label', 'none')}"]
    if model["collected"]:
        about.append(f"its weights were collected {model['collected']}")
    if model["aliases"]:
        about.insert(0, f"now {', '.join(model['aliases'])}")
    boxes = {"model": _Box("model", _MIDDLE, [*_head("MODEL VERSION", _name(record)), *_texts(about)])}
    arm = [f"arm {record['best']['arm']}"] if "best" in record else []
    for checkpoint in reversed(_checkpoints(record)):
        stage, sha256 = checkpoint["stage"], checkpoint["sha256"]
        left = _RIGHT if stage == "source_classifier" else _MIDDLE
        told = arm if stage == "classifier" else []
        boxes[stage] = _Box("made", left, [*_head("CHECKPOINT", stage), *_texts(told), _hash("weights", sha256)])
        if stage == "classifier":
            lines = [*_head("SYNTHETIC IMAGES", f"{synthetic['images']} images")]
            lines.append(_hash("manifest", synthetic["manifest_sha256"]))
            boxes["synthetic"] = _Box("made", _MIDDLE, lines)
    for data in record["datasets"]:
        source = data["role"] == "source"
        lines = [*_head(f"{data['role'].upper()} IMAGES", data["name"]), *_texts([f"{data['images']} images"])]
        lines += [*_texts(_counts(record, data["name"])), _hash("version", data["version"])]
        width = 2 * _WIDTH + _GAP if source else _WIDTH
        boxes[data["role"]] = _Box("data", _MIDDLE if source else _LEFT, lines, width)
    return boxes


def _sides(record: Mapping[str, Any]) -> list[_Box]:
    """What the model was made by and with, beside it on the right."""
    environment = record["environment"]
    lock = [_hash("lock", environment["lock_sha256"])] if environment["lock_sha256"] else []
    run = [_hash("MLflow", record["mlflow_run_id"])]
    run += [_hash("Dagster", record["dagster_run_id"])] if record["dagster_run_id"] else []
    commit, _, dirty = record["git_commit"].partition("-")
    made = [_hash("commit", commit), *_texts(["with changes that were not committed"] if dirty else [])]
    made.append(_hash("data version", record["data_version"]))
    stands_on = f"Python {environment['python']}, torch {environment['torch']}"
    return [
        _Box("run", _RIGHT, [*_head("RUN", record.get("experiment", {}).get("name", "of this model")), *run]),
        _Box("run", _RIGHT, [*_head("CODE AND DATA", ""), *made]),
        _Box("run", _RIGHT, [*_head("ENVIRONMENT", ""), *_texts([stands_on]), *lock]),
    ]


def _place(boxes: Mapping[str, _Box], sides: Sequence[_Box]) -> int:
    """Puts the boxes in rows; gives the height of the picture."""
    top = _MARGIN
    for side in sides:
        side.top = top
        top = side.bottom + _BETWEEN // 2
    free_right = top
    top = _MARGIN
    last = [name for name in ("target", "source") if name in boxes]
    rows = [[name] for name in boxes if name not in (*last, "source_classifier")]
    if "source_classifier" in boxes:
        if rows[-1] == [_origin(boxes)]:
            rows[-1].append("source_classifier")
        else:
            rows.append(["source_classifier"])
    for row in [*rows, last]:
        if any(boxes[name].left + boxes[name].width > _RIGHT for name in row):
            top = max(top, free_right + _BETWEEN // 2)
        for name in row:
            boxes[name].top = top
        top = max((boxes[name].bottom for name in row), default=top) + _BETWEEN
    return max(top, free_right) + _MARGIN // 2


def _edges(record: Mapping[str, Any], boxes: Mapping[str, _Box]) -> list[_Edge]:
    """The arrows between the boxes that are there."""
    recipe = record.get("best", {}).get("recipe") or {}
    has_gan = bool(record.get("best", {}).get("strategy"))
    gan = next((name for name in boxes if name.startswith(("transferred_gan", "scratch_gan"))), "")
    starts = recipe.get("initial") == "source"
    joint = recipe.get("source_weight") is not None
    origin, uses_source = _origin(boxes), gan.startswith("transferred_gan")
    wanted = [
        ("model", gan if _is_generator(record) else "classifier", True),
        ("classifier", "synthetic", has_gan),
        ("synthetic", gan, True),
        (gan, origin, True),
        (origin, "source", True),
        ("source_classifier", "source", True),
    ]
    edges = [_down(boxes[made], boxes[used], learned) for made, used, learned in wanted if {made, used} <= boxes.keys()]
    if "target" in boxes:
        edges += [
            _aside(boxes[made], boxes["target"], lane) for lane, made in enumerate(["classifier", gan]) if made in boxes
        ]
    if "classifier" in boxes and "source_classifier" in boxes and starts:
        edges.append(_across(boxes["classifier"], boxes["source_classifier"], 0))
    if "classifier" in boxes and "source" in boxes and joint:
        edges.append(_across(boxes["classifier"], boxes["source"], 1))
    if gan in boxes and not origin and "source_classifier" in boxes and uses_source:
        edges.append(_across(boxes[gan], boxes["source_classifier"], 2))
    return edges


def _origin(boxes: Mapping[str, _Box]) -> str:
    """The box of what the GAN of the target began as; an empty string where there is none."""
    return next((name for name in boxes if name == "source_gan" or name.startswith("source_dagan/")), "")


def _down(made: _Box, used: _Box, learned: bool) -> _Edge:
    """An arrow between boxes one above the other."""
    x = min(max(used.centre, made.left), made.left + made.width) if made.width < used.width else made.centre
    x = made.centre if used.left <= made.centre <= used.left + used.width else x
    return _Edge(f"M{x} {used.top}V{made.bottom + 2}", learned)


def _aside(made: _Box, target: _Box, lane: int) -> _Edge:
    """An arrow from the target on the left."""
    x, y = target.centre - 18 + 36 * lane, made.top + made.height // 2
    return _Edge(f"M{x} {target.top}V{y + 8}q0 -8 8 -8H{made.left - 2}")


def _across(made: _Box, used: _Box, lane: int) -> _Edge:
    """An arrow from a box below, through the space between the middle and the right."""
    lane_x, y = made.left + made.width + 8 + 9 * lane, made.top + made.height // 2 + 7 * lane
    turn = used.top - 14
    if used.left <= lane_x <= used.left + used.width:
        return _Edge(f"M{lane_x} {used.top}V{y}H{made.left + made.width + 2}")
    return _Edge(f"M{used.centre} {used.top}V{turn}H{lane_x}V{y}H{made.left + made.width + 2}")


def _counts(record: Mapping[str, Any], dataset: str) -> list[str]:
    """How many images of a set served as what; nothing for an old record, which does not say."""
    seen = [row for row in record.get("seen", {}).get("images", []) if row["dataset"] == dataset]
    learned = [f"{row['images']} {row['role']}" for row in seen if row["role"] in LEARNED]
    others = [f"{row['images']} {row['role']}" for row in seen if row["role"] not in LEARNED]
    return [", ".join(part) for part in (learned, others) if part]


def _checkpoints(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The checkpoints that the model is made of: a generator knows nothing of the classifier beside it."""
    return [made for made in record["checkpoints"] if made["stage"] != "classifier" or not _is_generator(record)]


def _is_generator(record: Mapping[str, Any]) -> bool:
    return str(record["model"]["name"]).endswith("-generator")


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['model']['name']} version {record['model']['version']}"


def _head(kind: str, name: str) -> list[_Line]:
    """A box's first lines: what sort of thing it is, and its name."""
    return [_Line(kind, "kind"), *(_Line(part, "name") for part in _wrapped(name, 32))]


def _texts(texts: Sequence[str]) -> list[_Line]:
    return [_Line(part) for text in texts for part in _wrapped(text, _CHARACTERS)]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(_plain(text), width)


def _hash(what: str, value: str) -> _Line:
    """A long identifier by its first characters; the whole of it appears where the pointer rests."""
    return _Line(f"{what} {_short(value)}", "quiet", _plain(value) if _short(value) != value else "")


def _short(value: str) -> str:
    text = _plain(value)
    return text if len(text) <= _HASH_CHARACTERS + 4 else f"{text[:_HASH_CHARACTERS]}…"


def _plain(text: str) -> str:
    """A text without the characters that XML does not allow."""
    return "".join(character if character.isprintable() else " " for character in str(text))
