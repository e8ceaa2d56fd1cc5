"""What tells a network which class is meant: a label, or the fixed embedding of the class's description.

This file is copied whole into registered models, so beside the standard library it imports PyTorch alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Texts(nn.Module):
    """Labels to the embeddings of their classes' descriptions, which never learn.

    Attributes:
        rows: float (K, T), the embedding of each class's description.
    """

    rows: torch.Tensor

    def __init__(self, classes: int, text: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(classes, text))

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, T) of labels int64 (B,)."""
        return self.rows[labels]


class TextRows(nn.Module):
    """A linear layer that gives any text the row which a table of classes gives each of its classes (`nn.Embedding`).

    After Reed et al. 2016 (arXiv 1605.05396), whose networks see a class by its description alone. As it is linear,
    what a word does is added to what the others do, so words that were seen in other texts can be put together anew.
    """

    def __init__(self, text: int, features: int, mean: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features, text))
        self.mean = mean

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        """Rows (B, F) of embeddings (B, T)."""
        return self.mean + look_up(texts, self.weight)


def condition(classes: int, text: int) -> nn.Module:
    """From labels (B,) to what the tables of `class_rows` take: the labels themselves, or texts of `text` numbers."""
    return Texts(classes, text) if text else nn.Identity()


def class_rows(
    classes: int, features: int, text: int, *, mean: float = 0.0, deviation: float = 0.0
) -> nn.Embedding | TextRows:
    """A table of a row for each class, or what makes such rows from texts.

    Args:
        classes: number of classes.
        features: numbers in a row.
        text: numbers in the embedding of a text; 0 for free rows.
        mean: of the numbers in new rows.
        deviation: standard deviation of the numbers in new rows, over classes or over texts.
    """
    if text:
        table = TextRows(text, features, mean)
        nn.init.normal_(table.weight, std=deviation)
        return table
    rows = nn.Embedding(classes, features)
    if deviation:
        nn.init.normal_(rows.weight, mean, deviation)
    else:
        nn.init.constant_(rows.weight, mean)
    return rows


def look_up(classes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Rows float (B, F): those of labels (B,) in a table (K, F), or what a matrix (F, T) makes of texts (B, T)."""
    if not classes.is_floating_point():
        return F.embedding(classes, weight)
    # In float32 wherever tables of classes are, which are not multiplied.
    with torch.autocast(weight.device.type, enabled=False):
        return F.linear(classes, weight)
