"""An audit folder: everything that is on record about a model version, for somebody without access to the project.

The folder is signed as exported images are, so that `gtl verify` finds whatever was changed, added or taken away.
Weights stay where they are; the record names their hashes. What is not there any more is named in the folder's README.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtl_core.data import dvc
from gtl_core.data.catalog import find
from gtl_core.data.manifest import FILES
from gtl_core.errors import InputError
from gtl_core.files import atomic_folder, write_json, write_text
from gtl_core.homes import Homes
from gtl_core.registry.commits import clean, file_at, is_dirty
from gtl_core.registry.history import entries
from gtl_core.registry.lineage import LINEAGE_FILE, read_lineage, verify_lineage
from gtl_core.registry.lineage_picture import lineage_svg
from gtl_core.registry.model_card import MODEL_CARD
from gtl_core.registry.seen import SEEN_FILE
from gtl_core.registry.standing import problems
from gtl_core.registry.tracking import TrackingStore
from gtl_core.synthesis.markdown import bullets, plain, table
from gtl_core.synthesis.signed_manifest import sign_folder
from gtl_core.synthesis.signing import fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

README = "README.md"
_LOCK = "requirements.lock"


@dataclass(frozen=True)
class Audit:
    """What an audit has written.

    Attributes:
        model: `NAME/VERSION`.
        files: what each file is, by its path in the folder; the manifest and its signature are not among them.
        missing: what could not be put in, and why, a sentence each.
        key: fingerprint of the key that signed it.
    """

    model: str
    files: Mapping[str, str]
    missing: Sequence[str]
    key: str


def write_audit(
    homes: Homes,
    store: TrackingStore,
    versions: Sequence[tuple[str, str]],
    out: Path,
    key: Ed25519PrivateKey,
    noted: Mapping[str, Mapping[int, str]],
) -> Audit:
    """Writes the audit folder of a model version.

    Args:
        homes: the project's homes.
        store: its MLflow store.
        versions: name and version of the model, and of the generator that goes with it where there is one.
        out: made by this call, in one step: nothing is there where it fails or is killed.
        key: what to sign with.
        noted: for each of the models the hashes of its history's entries that were noted outside the store.

    Raises:
        InputError: `out` is there already, or the lineage record of a version is gone or was changed.
    """
    if out.exists():
        raise InputError(f"{out} is there already; name a folder that is not")
    with atomic_folder(out) as partial:
        with tempfile.TemporaryDirectory(prefix="gtl-audit-") as scratch:
            folder = _Folder(homes, store, partial, Path(scratch))
            folder.fill(versions, noted)
        model = "/".join(versions[0])
        files = {README: "this page", **folder.files}
        write_text(partial / README, _readme(model, folder.record, files, folder.missing))
        about = {
            "model": model,
            "created": folder.record["model"]["created"],
            "kind": "audit",
            "software": f"gtl {installed_version('gtl')}",
        }
        sign_folder(partial, about, [], list(files), key)
    return Audit(model, files, folder.missing, fingerprint(key.public_key()))


class _Folder:
    """An audit folder that is being filled."""

    def __init__(self, homes: Homes, store: TrackingStore, partial: Path, scratch: Path) -> None:
        self.files: dict[str, str] = {}
        self.missing: list[str] = []
        self.record: dict[str, Any] = {}
        self._homes = homes
        self._store = store
        self._partial = partial
        self._scratch = scratch

    def fill(self, versions: Sequence[tuple[str, str]], noted: Mapping[str, Mapping[int, str]]) -> None:
        """Puts everything in that there is."""
        self.record = read_lineage(self._homes, "/".join(versions[0]))
        for name, version in versions:
            self._model(name, version, noted.get(name, {}))
        self._text("lineage.svg", lineage_svg(self.record), "what the model is made of, as a picture")
        self._checks("/".join(versions[0]))
        self._report()
        self._documents()
        self._data()
        self._code()

    def _model(self, name: str, version: str, noted: Mapping[int, str]) -> None:
        """Card, lineage record, registry entry and history of one model."""
        found = self._store.client.get_model_version(name, version)
        kind = found.tags.get("gtl.kind", "model")
        scratch = self._scratch / kind
        scratch.mkdir()
        source = self._store.model_folder(name, version, scratch)
        copies = {
            LINEAGE_FILE: f"the {kind}'s lineage record, to the byte as it was registered",
            MODEL_CARD: f"the {kind}'s card: what it is for, how good it is, and its limits",
            SEEN_FILE: "the SHA-256 of every image that the models have seen, and as what; a Parquet table",
        }
        for file, meaning in copies.items():
            path = file if file == SEEN_FILE else f"{kind}/{file}"
            if (source / file).is_file():
                self._bytes(path, (source / file).read_bytes(), meaning)
            else:
                absent = f"{path}: it is not with the registered model, which an older gtl may have registered"
                self.missing += [] if absent in self.missing else [absent]
        entry = {
            "name": name,
            "version": version,
            "description": found.description,
            "tags": dict(sorted(found.tags.items())),
            "mlflow_run_id": found.run_id,
        }
        meaning = f"the {kind}'s entry in the registry, with what the gate found"
        self._json(f"{kind}/registered.json", entry, meaning)
        history = [each.to_json() for each in entries(self._store, name)]
        checked = {"model": name, "entries": history, "problems": problems(self._store, name, noted)}
        meaning = f"every decision about the {kind}: who, when, why; and whether its chain of hashes is whole"
        self._json(f"{kind}/history.json", checked, meaning)

    def _checks(self, reference: str) -> None:
        """Whether everything that the record names is still there unchanged."""
        checks = [
            {"what": check.what, "recorded": check.recorded, "found": check.found, "state": check.state}
            for check in verify_lineage(self._homes, reference)
        ]
        self._json("checks.json", checks, "every hash of the lineage record beside what was there when this was made")

    def _report(self) -> None:
        """The report of the run, as it was logged beside the models."""
        for name, meaning in (("report.html", "the verdict and everything behind it"), ("report.json", "its numbers")):
            content = self._logged(name)
            if content is None:
                self.missing.append(f"{name}: it is not among the files of the MLflow run any more")
            else:
                self._bytes(name, content, meaning)

    def _documents(self) -> None:
        """What the run has logged and the record vouches for: the data validation."""
        meanings = {
            "validation/validation.json": "what the validation of the images found",
            "validation/quarantine.csv": "the images that failed a check of it",
        }
        recorded = self.record.get("documents", {})
        if not recorded:
            self.missing.append("validation/: this version was registered by a gtl that did not keep the validation")
        for path, sha256 in recorded.items():
            content = self._logged(path)
            if content is None or hashlib.sha256(content).hexdigest() != sha256:
                gone = "is not among the files of the MLflow run any more" if content is None else "was changed"
                self.missing.append(f"{path}: it {gone}")
            else:
                self._bytes(path, content, meanings.get(path, "logged with the run"))

    def _data(self) -> None:
        """The data version, and the cards of the image sets in it."""
        content = file_at(self._homes.root, self.record["git_commit"], "data.dvc")
        if content is None:
            self.missing.append("data.dvc: it is not in the commit, or the commit is not in this repository")
        else:
            self._bytes("data.dvc", content, "the version of the data that the commit pins, as DVC writes it")
        for data in self.record["datasets"]:
            card = self._card(data["name"], data["version"])
            path = f"data/{data['name']}.json"
            if card is None:
                self.missing.append(f"{path}: version {data['version']} is neither in data/ nor in DVC's cache")
            else:
                self._bytes(path, card, f"the card of the {data['role']} images: classes, origin, licence")

    def _code(self) -> None:
        """The environment's lock and the experiment."""
        commit, lock = self.record["git_commit"], self.record["environment"]["lock_sha256"]
        candidates = [file_at(self._homes.root, commit, _LOCK)]
        if (self._homes.root / _LOCK).is_file():
            candidates.append((self._homes.root / _LOCK).read_bytes())
        locks = [content for content in candidates if content and hashlib.sha256(content).hexdigest() == lock]
        if locks:
            self._bytes(_LOCK, locks[0], "every library with its version")
        else:
            self.missing.append(f"{_LOCK}: no file with the recorded hash is in the commit or in the project")
        name = self.record.get("experiment", {}).get("name")
        if name:
            self._json("experiment.json", self.record["experiment"], "the experiment, every setting of it")
        else:
            self.missing.append("experiment.json: this version was registered by a gtl that did not record it")
        file = self._homes.experiments / f"{name}.yaml"
        if name and file.is_relative_to(self._homes.root):
            path = file.relative_to(self._homes.root).as_posix()
            content = file_at(self._homes.root, commit, path)
            if content is not None:
                self._bytes("experiment.yaml", content, "the experiment's file in the commit")

    def _card(self, name: str, version: str) -> bytes | None:
        """The card of a version of an image set."""
        try:
            present = find(self._homes.data, name)
        except InputError:
            present = None
        if present and present.folder and present.version == version:
            return (present.folder / FILES[2]).read_bytes()
        rows = dvc.cached_rows(self._homes.root, self.record["data_version"]) or []
        if dvc.versions_by_set(rows).get(name) != version:
            return None
        md5 = next(row["md5"] for row in dvc.by_set(rows)[name] if row["relpath"] == FILES[2])
        cached = dvc.cached(self._homes.root, md5)
        return cached.read_bytes() if cached.is_file() else None

    def _logged(self, path: str) -> bytes | None:
        """A file of the model's MLflow run."""
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        try:
            fetched = mlflow.artifacts.download_artifacts(
                run_id=self.record["mlflow_run_id"],
                artifact_path=path,
                dst_path=tempfile.mkdtemp(dir=self._scratch),
                tracking_uri=self._store.client.tracking_uri,
            )
            return Path(fetched).read_bytes()
        except (MlflowException, OSError):
            return None

    def _bytes(self, path: str, content: bytes, meaning: str) -> None:
        (self._partial / path).parent.mkdir(parents=True, exist_ok=True)
        (self._partial / path).write_bytes(content)
        self.files[path] = meaning

    def _text(self, path: str, content: str, meaning: str) -> None:
        self._bytes(path, content.encode(), meaning)

    def _json(self, path: str, value: Any, meaning: str) -> None:
        write_json(self._partial / path, value)
        self.files[path] = meaning


def _readme(model: str, record: Mapping[str, Any], files: Mapping[str, str], missing: Sequence[str]) -> str:
    """The page that says in plain words what lies here."""
    held = ", ".join(record["model"]["aliases"]) or "neither champion nor challenger"
    dirty = (
        "The code had changes that were not in that commit when the model was made: what is here of the commit may "
        "differ from what ran."
        if is_dirty(record["git_commit"])
        else ""
    )
    left_out = f"\n## What is missing\n\n{bullets(missing)}" if missing else ""
    return f"""# {plain(model)}

Everything that is on record about this model version, put together by gtl {installed_version("gtl")}. It was registered
{record["model"]["created"]}, and when this folder was made it was: {plain(held)}. Its code is commit
`{clean(record["git_commit"])}`, its data are version `{record["data_version"]}`. {dirty}

## What is what

{table(["file", "what it is"], list(files.items()))}
The weights are not here; `lineage.json` names their SHA-256. Three more files sign all of these: `manifest.jsonl` names
each with its hash, `manifest.sig` is the Ed25519 signature of that, and `public_key.pem` the key that it was made with.
{left_out}
## How to check it

`gtl verify FOLDER --public-key FILE` says whether any file was changed, added or taken away since, where FILE is the
public key of whoever gave you this, had from them in another way. Without gtl:
`openssl pkeyutl -verify -pubin -inkey public_key.pem -rawin -in manifest.jsonl -sigfile manifest.sig`, and then the
SHA-256 of each file.
"""
