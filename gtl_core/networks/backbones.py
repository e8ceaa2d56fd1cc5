"""Classifiers by the name of their backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from gtl_core.networks import cnn, pretrained, resnet
from gtl_core.networks.classifier import Classifier

_BUILDERS: Mapping[str, Callable[..., Classifier]] = {
    network.backbone: network for network in (cnn.Network, resnet.Network, pretrained.Network)
}


def build_classifier(backbone: str, options: Mapping[str, Any]) -> Classifier:
    """A classifier whose weights mean nothing yet; the global state of random numbers is left as it was.

    Raises:
        KeyError: there is no backbone of that name.
        TypeError: the options are not that backbone's.
    """
    with torch.random.fork_rng(devices=[]):
        return _BUILDERS[backbone](**options)


def classifier_module(backbone: str) -> str:
    """Name of the file, in this folder, that the classifier comes from."""
    return _BUILDERS[backbone].__module__.rpartition(".")[2]
