from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from upfusion_med.core import InputError
from upfusion_med.networks import create
from upfusion_med.training.backbone import load_backbone


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "convnext_atto"])
def test_a_classifier_of_timm_becomes_the_semantic_backbone(tmp_path, backbone):
    torch.manual_seed(0)
    classifier = timm.create_model(backbone).eval()
    save_file({k: v.contiguous() for k, v in classifier.state_dict().items()}, tmp_path / "backbone.safetensors")
    network = create("upfusion-tiny", backbone=backbone)
    load_backbone(network, tmp_path / "backbone.safetensors")
    picture = torch.randn(1, 3, 64, 64)
    reference = classifier.forward_intermediates(picture, intermediates_only=True)[-1]
    with torch.no_grad():
        assert torch.allclose(network.pruning.backbone.features(picture)[-1], reference, atol=1e-4)  # values up to 11


def test_weights_of_another_backbone_are_refused(tmp_path):
    save_file({"stem.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="lacks"):
        load_backbone(create("upfusion-tiny"), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"gone\.safetensors; docs/training\.md says how they are made"):
        load_backbone(create("upfusion-tiny"), tmp_path / "gone.safetensors")
