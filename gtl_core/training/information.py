"""Information maximisation: what unlabelled images teach a classifier without any label."""

from __future__ import annotations

import torch


def mutual_information(logits: torch.Tensor) -> torch.Tensor:
    """Mutual information between image and predicted class, H(mean p) − mean H(p), estimated on a batch.

    To maximise it is to be sure of every image and to use all classes equally often (Krause et al. 2010,
    "Discriminative clustering by regularized information maximization"; for domain adaptation SHOT, Liang et al.
    2020, arXiv 2002.08546, equation 2). It supposes that the classes are about equally frequent.

    Args:
        logits: float (B, K), B at least 1.

    Returns:
        A number from 0 to ln K, in nats.
    """
    log_probabilities = logits.float().log_softmax(dim=1)
    probabilities = log_probabilities.exp()
    mean = probabilities.mean(dim=0)
    mean = mean.clamp_min(torch.finfo(mean.dtype).tiny)
    return (probabilities * log_probabilities).sum(dim=1).mean() - (mean * mean.log()).sum()
