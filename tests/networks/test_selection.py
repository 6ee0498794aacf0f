from __future__ import annotations

import torch

from upfusion_med.networks.selection import select_top


def test_the_gate_keeps_exactly_the_largest_and_scales_them_by_their_weight():
    weights = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.4, 0.3, 0.2, 0.1]])
    gate = select_top(weights, 2)
    assert torch.equal(gate, torch.tensor([[0.0, 0.9, 0.0, 0.7], [0.4, 0.3, 0.0, 0.0]]))


def test_training_and_evaluation_give_the_same_gate():
    weights = torch.rand(3, 16)
    learned = select_top(weights.clone().requires_grad_(), 11)
    assert torch.allclose(learned, select_top(weights, 11))


def test_kept_and_dropped_channels_both_learn():
    weights = torch.linspace(0.2, 0.8, 10).unsqueeze(0).requires_grad_()
    select_top(weights, 7).sum().backward()
    assert (weights.grad.abs() > 1e-4).all()


def test_keeping_all_changes_nothing():
    weights = torch.rand(2, 5)
    assert torch.equal(select_top(weights, 5), weights)
