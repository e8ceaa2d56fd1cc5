"""What a synthetic or a changed PNG says of itself, in text chunks that travel with the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for media that a trained model has made."""

CHANGED_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for media that were changed by a trained model."""

_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="{}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def picture_text(row: Mapping[str, Any], model: str) -> PngInfo:
    """The text chunks of one synthetic image.

    `Synthetic` (`true`), `DigitalSourceType`, `Model`, `GeneratorSHA256`, `Class`, `Seed` and `Software` for people and
    small programs; and an XMP packet with IPTC's DigitalSourceType, where picture software and search engines look.

    Args:
        row: the image's row in its set's manifest.
        model: the registered generator, `NAME/VERSION`.
    """
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    chunks.add_text("Synthetic", "true")
    chunks.add_text("DigitalSourceType", SOURCE_TYPE)
    chunks.add_text("Model", model)
    chunks.add_text("GeneratorSHA256", row["generator_sha256"])
    # PIL writes what Latin-1 lacks, such as Greek class names, as an international text chunk by itself.
    chunks.add_text("Class", row["class"])
    chunks.add_text("Seed", str(row["seed"]))
    chunks.add_text("Software", "gtl")
    chunks.add_itxt("XML:com.adobe.xmp", _XMP.format(SOURCE_TYPE))
    return chunks


def changed_picture_text(facts: Mapping[str, str]) -> PngInfo:
    """The text chunks of a picture that a model has changed, by restoration or style.

    `DigitalSourceType`, `Software`, an XMP packet with IPTC's DigitalSourceType, and what else there is to say.

    Args:
        facts: further chunks by their keyword, such as `Model`.
    """
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for keyword, text in {"DigitalSourceType": CHANGED_TYPE, **facts, "Software": "gtl"}.items():
        chunks.add_text(keyword, text)
    chunks.add_itxt("XML:com.adobe.xmp", _XMP.format(CHANGED_TYPE))
    return chunks
