"""An audit folder of a model version and of its generator, with what Dagster knows of their history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gtl_core.homes import Homes
from gtl_core.registry.audit import Audit, write_audit
from gtl_core.registry.lineage import resolve
from gtl_core.registry.pairs import find_pair
from pipelines.promotions import model_store, noted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def audit(homes: Homes, reference: str, out: Path, key: Ed25519PrivateKey) -> Audit:
    """Writes the audit folder of a model version; see `write_audit`.

    Args:
        homes: the project's homes.
        reference: `NAME@ALIAS`, `NAME/VERSION`, or `NAME` for its champion.
        out: the folder to make.
        key: what to sign with.

    Raises:
        InputError: there is no such version, its record is gone or was changed, or `out` is there already.
    """
    store = model_store(homes)
    name, version = resolve(store, reference)
    kind = store.client.get_model_version(name, version).tags.get("gtl.kind")
    generator = None if kind == "generator" else find_pair(store, name, version).generator
    versions = [(name, version), *([generator] if generator else [])]
    return write_audit(homes, store, versions, out, key, {model: noted(homes, model) for model, _ in versions})
