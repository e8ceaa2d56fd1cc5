"""EWC: fine-tuning that holds on to the weights which the source's images hang on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from gtl_core.config import EwcConfig
from gtl_core.networks.registry import build_discriminator, build_generator
from gtl_core.training.checkpoint import GanCheckpoint, State
from gtl_core.training.penalties import Penalty
from gtl_core.transfer.keeping_weights import KeptWeights
from gtl_core.transfer.weight_strategy import WeightStrategy

FISHER_SAMPLES = 200
"""Images that the Fisher information is averaged over."""
_SEED = 0


@dataclass(frozen=True)
class Ewc(WeightStrategy):
    """Elastic weight consolidation of a GAN (Li et al. 2020, arXiv 2012.02780): λ/2 Σ Fᵢ (θᵢ − θ*ᵢ)².

    F is divided by its mean, so that λ counts the same as with `l2_sp`, from whatever source.
    """

    config: EwcConfig
    needs_discriminator = True

    def penalties(self, origin: GanCheckpoint, generator: nn.Module, discriminator: nn.Module) -> Sequence[Penalty]:
        """The distance from the source's weights, each as important as its Fisher information says."""
        source = build_generator(origin.spec, _SEED)
        source.load_state_dict(origin.generator)
        critic = build_discriminator(origin.spec, _SEED)
        critic.load_state_dict(origin.discriminator)
        information = fisher(source, critic, origin.spec.latent, origin.spec.classes, FISHER_SAMPLES)
        count = sum(values.numel() for values in information.values())
        mean = sum(float(values.sum()) for values in information.values()) / count
        importance = {name: values / max(mean, 1e-30) for name, values in information.items()}
        return (KeptWeights(generator, origin.generator, self.config.weight, importance),)


def fisher(generator: nn.Module, discriminator: nn.Module, latent: int, classes: int, samples: int) -> State:
    """Diagonal of the empirical Fisher information: E[(∂ log σ(D(G(z, c), c)) / ∂θ)²], sample by sample.

    The discriminator's belief that an image is real stands for its likelihood, which a GAN does not have.

    Args:
        generator: on the processor; its parameters are θ.
        discriminator: on the processor.
        latent: numbers in a latent vector.
        classes: classes are drawn evenly from as many.
        samples: images to average over.

    Returns:
        By parameter name, of the parameter's shape.
    """
    generator.eval()
    discriminator.eval().requires_grad_(False)
    random = torch.Generator().manual_seed(_SEED)
    parameters = dict(generator.named_parameters())
    sums = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for _ in range(samples):
        label = torch.randint(classes, (1,), generator=random)
        logit = discriminator(generator(torch.randn((1, latent), generator=random), label), label)
        gradients = torch.autograd.grad(functional.logsigmoid(logit).sum(), list(parameters.values()))
        for name, gradient in zip(parameters, gradients, strict=True):
            sums[name] += gradient.square()
    return {name: total / samples for name, total in sums.items()}
