from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gtl_core.evaluation.scores import mutual_information as of_probabilities
from gtl_core.training.information import mutual_information


def test_it_is_nothing_where_every_image_is_read_alike_and_ln_k_where_each_class_is_surely_read_equally_often():
    assert mutual_information(torch.zeros(6, 4)).item() == pytest.approx(0.0, abs=1e-6)
    assert mutual_information(torch.tensor([[9.0, 0.0, 0.0]]).expand(5, 3)).item() == pytest.approx(0.0, abs=1e-6)
    assert mutual_information(1e3 * torch.eye(4).repeat(3, 1)).item() == pytest.approx(math.log(4), rel=1e-6)


def test_it_agrees_with_the_score_that_classifiers_are_chosen_by():
    logits = torch.randn((50, 7), generator=torch.Generator().manual_seed(0))
    expected = of_probabilities(logits.softmax(dim=1).numpy().astype(np.float64))
    assert mutual_information(logits).item() == pytest.approx(expected, rel=1e-4)


def test_climbing_it_makes_a_classifier_sure_and_even():
    logits = torch.randn((40, 4), generator=torch.Generator().manual_seed(1)).requires_grad_()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(mutual_information(logits), logits)
        logits = (logits + 20.0 * gradient).detach().requires_grad_()
    chosen = logits.softmax(dim=1)
    assert chosen.max(dim=1).values.min() > 0.9
    assert torch.bincount(chosen.argmax(dim=1), minlength=4).min() >= 8
