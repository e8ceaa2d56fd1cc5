"""Descriptions of classes as numbers: what a GAN is told of a class where `gan.condition` is `text`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from gtl_core.config import Experiment
from gtl_core.config.descriptions import words_of

FEATURES = 256
"""Numbers in the embedding of a text. With some twenty different words hardly two of their pieces share a place."""
_GRAMS = (3, 4)
"""Lengths of the pieces of words that count beside the whole words, so that sevens are near to seven."""


@dataclass(frozen=True)
class ClassTexts:
    """The descriptions of some classes, and those that a GAN learned words from.

    Attributes:
        texts: in the order of the labels.
        learned: the descriptions of the first classes that the GAN had, its source's; none where these are `texts`.
    """

    texts: tuple[str, ...]
    learned: tuple[str, ...] = ()

    @property
    def rows(self) -> torch.Tensor:
        """What the networks are told, float (K, T).

        The embeddings, moved and stretched so that those of `learned` have a mean of 0 and a mean square of 1, as free
        rows have that are told apart by one number each. As they are, what all texts share is most of them: after 900
        steps on coloured bars in eight combinations 38 % of the images were as asked, with this 63 %, with free rows
        79 % (one training each).
        """
        learned = embedded(self.learned or self.texts)
        away = learned - learned.mean(dim=0)
        return (embedded(self.texts) - learned.mean(dim=0)) / away.square().sum(dim=1).mean().sqrt()

    def of(self, *texts: str) -> ClassTexts:
        """Other texts for the same GAN."""
        return ClassTexts(texts, self.learned or self.texts)


def class_texts(experiment: Experiment, classes: Sequence[str]) -> ClassTexts | None:
    """The descriptions of classes where the experiment's GANs are told classes by theirs; else None."""
    if experiment.gan.condition != "text":
        return None
    return ClassTexts(tuple(experiment.descriptions[name] for name in classes))


def embedded(texts: Sequence[str]) -> torch.Tensor:
    """Embeddings float (N, T) of texts, of length 1.

    The words of a text and their pieces, each hashed to a place and a sign (Weinberger et al. 2009, arXiv 0902.2206).
    Nothing is learned and nothing is stored, so any text has its embedding; the order of the words does not count.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=FEATURES, analyzer=lambda text: list(_pieces(text)), norm="l2")
    return torch.from_numpy(hashing.transform(list(texts)).toarray()).float()


def _pieces(text: str) -> Iterator[str]:
    """Whole words, and pieces of them with a blank where a word begins or ends."""
    for word in words_of(text):
        yield word
        padded = f" {word} "
        for length in _GRAMS:
            yield from (padded[start : start + length] for start in range(len(padded) - length + 1))
