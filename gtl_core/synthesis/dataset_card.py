"""The dataset card of an exported set: README.md in the layout of Hugging Face."""

from __future__ import annotations

from gtl_core.synthesis.description import ExportedSet
from gtl_core.synthesis.markdown import bullets, datasets_table, front_matter, plain, table

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"


def dataset_card(exported: ExportedSet) -> str:
    """What a person should know before using the images.

    Args:
        exported: the set.
    """
    record = exported.record
    classes = [[name, exported.folders[name], exported.counts[name]] for name in exported.classes]
    return f"""{_front_matter(exported)}
# Synthetic images of {plain(exported.model)}

{exported.images} images in {len(exported.classes)} classes, {exported.size}×{exported.size} pixels,
{"grey" if exported.channels == 1 else "colour"}. **A {exported.family} has made every one of them**; they are meant to
look like those of {plain(exported.target)}.{_sounds(exported)}

## What they are for

To train a classifier together with real images. Whether that helps was measured on real test images:

> {plain(exported.verdict)}

## Limits

{bullets(exported.limits)}
## Classes

{table(["class", "folder", "images"], classes)}
## What they are made of

The {exported.family} has learned from these sets of images:

{datasets_table(record["datasets"])}
The images were drawn with seed {exported.seed} from the {exported.family} with SHA-256 `{exported.generator_sha256}`.
What was trained on the way to it and after it:

{table(["stage", "SHA-256"], [[made["stage"], made["sha256"]] for made in record["checkpoints"]])}
Made by {plain(exported.software)} at commit `{record["git_commit"]}`; the {exported.family} was registered
{exported.created}.

## Licence

{_licence(exported)}

## Is everything as it was?

Each file stands with its hash in `manifest.jsonl`, and that file is signed. `gtl verify FOLDER --public-key FILE` finds
every file that was changed, taken away or added. The signature alone can be checked without gtl:

```
openssl pkeyutl -verify -pubin -inkey public_key.pem -rawin -in manifest.jsonl -sigfile manifest.sig
```

The key's fingerprint is `{exported.key}`. Ask the maker whether it is theirs: a folder can say anything of itself.
"""


def _front_matter(exported: ExportedSet) -> str:
    """What programs read of the card."""
    size = next((name for limit, name in _SIZES if exported.images < limit), _LARGEST)
    return front_matter(
        {
            "pretty_name": f"Synthetic images of {exported.model}",
            "license": exported.licence.lower() if exported.licence else "unknown",
            "task_categories": ["image-classification"],
            "annotations_creators": ["machine-generated"],
            "size_categories": [size],
            "tags": ["synthetic", exported.family.lower(), "trained-algorithmic-media"],
            # Else a loader might take the cards and the manifest for data too.
            "configs": [
                {
                    "config_name": "default",
                    "data_files": [{"split": "train", "path": "*/*.png"}],
                    "drop_labels": False,
                }
            ],
        }
    )


def _sounds(exported: ExportedSet) -> str:
    """What a person should know of the sounds; empty where there are none."""
    if not exported.of_sounds:
        return ""
    return (
        "\n\nThey are log-mel pictures of sounds: time to the right, pitch upwards. Beside each lies a WAV file that "
        "was made from it by the Griffin–Lim algorithm; nobody has ever said or recorded it."
    )


def _licence(exported: ExportedSet) -> str:
    """Under what the images may be used."""
    if exported.licence:
        return f"The images are given under {plain(exported.licence)} (SPDX)."
    return (
        "Not stated. Whoever gives the images away decides it, within what the licences of the sets above allow; "
        "`gtl export --licence` states it."
    )
