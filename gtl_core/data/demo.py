"""The two embedded image sets: handwritten digits as a target, typeset digits as a source. Neither is downloaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtl_core.data.writer import ImageSetWriter

DIGITS = tuple("0123456789")

_TRAINING_IMAGES = 997
_FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-BoldOblique",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-BoldItalic",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralBolIta",
    "STIXGeneralItalic",
    "cmb10",
    "cmr10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
"""matplotlib's fonts that have all ten digits in lining figures; cmmi10 has old-style ones, whose 0 is an o."""
_PER_CLASS = 600
_SEED = 20_240_601
_SIDE = 16
_OVERSAMPLING = 4
_FONT_SIZE = 72
_BOLD_STROKES = (0, 1, 2)
_LIGHT_STROKES = (1, 2, 3, 4)
"""Half of the width, in pixels of a glyph at `_FONT_SIZE`, that a stroke gains: thin ones would break at 16 pixels."""


def make_handwritten(folder: Path) -> None:
    """Writes `handwritten-digits`: 1,797 images of 8×8, white on black, as scikit-learn carries them.

    The images lie in the order of their writers, so the last 800 are the test part: mostly other hands than those
    of the training part.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
    the test file of which scikit-learn carries.
    """
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, np.newaxis]
    card = {
        "description": "Handwritten digits, scaled to 8×8 with 17 levels of grey by their makers",
        "origin": "UCI Optical Recognition of Handwritten Digits, as scikit-learn carries it",
        "licence": "CC BY 4.0",
    }
    with ImageSetWriter(folder, DIGITS, card) as writer:
        for index, (image, label) in enumerate(zip(images, bunch.target, strict=True)):
            split = "train" if index < _TRAINING_IMAGES else "test"
            writer.add(image, label=int(label), split=split, source_file=f"digits.csv.gz#{index}")


def make_typeset(folder: Path) -> None:
    """Writes `typeset-digits`: 600 images a class of 16×16, white on black, in 21 fonts.

    Each is a glyph with a thicker stroke under a random affine map: rotation within 14°, shear within 0.25,
    height of 78 to 100 % of the image, width 80 to 135 % of the font's own, and a shift within 1 pixel. The font is
    the image's group.
    """
    card = {
        "description": "Typeset digits in 21 fonts with random affine maps and stroke widths",
        "origin": "rendered from the DejaVu, STIX and Computer Modern fonts that matplotlib carries",
        "licence": "CC0 1.0 (the pictures; the fonts are under their own free licences)",
    }
    glyphs: dict[tuple[str, str, int], npt.NDArray[np.uint8]] = {}
    with ImageSetWriter(folder, DIGITS, card) as writer:
        for label, digit in enumerate(DIGITS):
            rng = np.random.default_rng([_SEED, label])
            for index in range(_PER_CLASS):
                font = _FONTS[index % len(_FONTS)]
                stroke = int(rng.choice(_BOLD_STROKES if "Bol" in font else _LIGHT_STROKES))
                if (font, digit, stroke) not in glyphs:
                    glyphs[font, digit, stroke] = _glyph(font, digit, stroke)
                image = _placed(glyphs[font, digit, stroke], rng)
                writer.add(image[np.newaxis], label=label, group=font, source_file=f"{font}.ttf#{digit}/{index}")


EMBEDDED: Mapping[str, Callable[[Path], None]] = {
    "handwritten-digits": make_handwritten,
    "typeset-digits": make_typeset,
}
"""What makes each embedded set, by the set's name; the same bytes every time under the same library versions."""


def _glyph(font: str, digit: str, stroke: int) -> npt.NDArray[np.uint8]:
    """A digit, white on black, cut to its ink: uint8 (h, w)."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    path = Path(get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    # The basic layout engine is the one that every build of Pillow has.
    face = ImageFont.truetype(str(path), _FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("L", (2 * _FONT_SIZE, 2 * _FONT_SIZE))
    ImageDraw.Draw(canvas).text((_FONT_SIZE // 2, _FONT_SIZE // 3), digit, fill=255, font=face, stroke_width=stroke)
    return np.asarray(canvas.crop(canvas.getbbox()))


def _placed(glyph: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The glyph under a random affine map in the middle of an image: uint8 (16, 16)."""
    from PIL import Image

    side = _SIDE * _OVERSAMPLING
    height, width = glyph.shape
    angle, shear = math.radians(rng.uniform(-14, 14)), rng.uniform(-0.25, 0.25)
    tall = rng.uniform(0.78, 1.0) * side / height
    wide = tall * rng.uniform(0.8, 1.35)
    shift = rng.uniform(-_OVERSAMPLING, _OVERSAMPLING, 2)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    forward = rotation @ np.array([[wide, shear * tall], [0.0, tall]])
    corners = np.abs(forward) @ np.array([width / 2, height / 2])
    # A slanted or wide glyph is made smaller instead of being cut off at the edge.
    forward *= min(1.0, float((side / 2 / corners).min()))
    # Pillow wants the map from places in the result to places in the glyph.
    inverse = np.linalg.inv(forward)
    offset = np.array([width / 2, height / 2]) - inverse @ (side / 2 + shift)
    coefficients = (*inverse[0], offset[0], *inverse[1], offset[1])
    picture = Image.fromarray(glyph).transform(
        (side, side), Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BICUBIC
    )
    return np.asarray(picture.reduce(_OVERSAMPLING))
