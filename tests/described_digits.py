"""What the classes of digits look like, in words."""

from __future__ import annotations

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

TEXTS = {str(digit): f"a handwritten {word}" for digit, word in enumerate(_WORDS)}
