"""`ExportedSet`: what is known of an exported set, for the cards and the manifest that tell of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gtl_core.synthesis.picture_text import SOURCE_TYPE


@dataclass(frozen=True)
class ExportedSet:
    """A synthetic set on its way out.

    Attributes:
        model: the registered generator, `NAME/VERSION`.
        created: when it was registered, ISO 8601.
        classes: names of the classes.
        folders: folder of every class.
        counts: images of every class.
        left_out: images that the filter had dropped.
        size: height and width in pixels.
        channels: 1 for grey, 3 for colour.
        family: what kind of model has made the images, such as `GAN`.
        generator_sha256: hash of the checkpoint that the images were drawn with.
        seed: of their latents.
        key: fingerprint of the key that signs them.
        software: name and version of this program.
        licence: SPDX identifier; None where it is not stated.
        record: the generator's lineage record.
    """

    model: str
    created: str
    classes: Sequence[str]
    folders: Mapping[str, str]
    counts: Mapping[str, int]
    left_out: int
    size: int
    channels: int
    family: str
    generator_sha256: str
    seed: int
    key: str
    software: str
    licence: str | None
    record: Mapping[str, Any]

    def about(self) -> dict[str, Any]:
        """What the manifest's header says of the set as a whole."""
        return {
            "model": self.model,
            "created": self.created,
            "classes": list(self.classes),
            "size": self.size,
            "channels": self.channels,
            "seed": self.seed,
            "generator_sha256": self.generator_sha256,
            "digital_source_type": SOURCE_TYPE,
            "licence": self.licence,
            "software": self.software,
        }

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(self.counts.values())

    @property
    def target(self) -> str:
        """Name of the data set whose look the images have."""
        return str(target_of(self.record)["name"])

    @property
    def of_sounds(self) -> bool:
        """Whether the images are pictures of sounds, and each has its sound beside it."""
        return target_of(self.record).get("sound") is not None

    @property
    def verdict(self) -> str:
        """What the experiment found of the use of such images, in one sentence."""
        verdict = self.record["verdict"]
        return str(verdict.get("sentence") or f"The verdict on their use is: {verdict['label']}.")

    @property
    def limits(self) -> list[str]:
        """What is not known of these images, or must not be done with them; a sentence or two each."""
        scope = self.record["verdict"].get("scope")
        return [
            "Nothing in these images was ever in front of a camera. Never validate or test a model on them, and never "
            "take them for evidence.",
            f"A {self.family} can repeat images that it has learned from. Whether it did was at most screened; a "
            "screen is no guarantee of privacy.",
            f"They share what is one-sided in the data that the {self.family} has learned from, and may overdo it; "
            "what is rare there may be missing here.",
            f"The class of an image is the one that the {self.family} was asked for; nobody has looked whether it "
            f"shows it.{self._left_out}",
            *([str(scope)] if scope else []),
        ]

    @property
    def _left_out(self) -> str:
        return f" A filter has dropped {self.left_out} images that were doubtful." if self.left_out else ""


def target_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a lineage record tells of the data set whose look the images have."""
    found: Mapping[str, Any] = next(dataset for dataset in record["datasets"] if dataset["role"] == "target")
    return found
