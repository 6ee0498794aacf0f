from __future__ import annotations

from upfusion_med.networks import create
from upfusion_med.training.gradient_flow import PARTS, part_of


def test_every_parameter_of_the_network_belongs_to_a_named_part():
    names = [n for n, _ in create("upfusion-tiny").named_parameters()]
    parts = {part_of(n) for n in names}
    assert parts == set(PARTS)


def test_text_layers_are_told_from_the_rest():
    assert part_of("perturbations.2.perturb.0.weight") == "TCPM text layers"
    assert part_of("perturbations.0.attention.2.bias") == "TCPM channel selection"
    assert part_of("perturbations.3.merge.weight") == "TCPM the rest"
