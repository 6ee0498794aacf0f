"""The published network a second time, as plain functions of a state dict, by other operations.

No module of the package takes part: einsum instead of matrix products, a norm along the channel axis, hand-written
normalisation, sort instead of top-k. Meant for float64, where both must agree to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]


def part(state: State, prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) + 1 :]: value for key, value in state.items() if key.startswith(prefix + ".")}


def convolve(x: Tensor, state: State, name: str, grouped: bool = False) -> Tensor:
    weight = state[f"{name}.weight"]
    groups = weight.shape[0] if grouped else 1
    return F.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2, groups=groups)


def mlp(x: Tensor, state: State, name: str) -> Tensor:
    for step in (0, 2):
        x = torch.einsum("bi,oi->bo", x, state[f"{name}.{step}.weight"]) + state.get(f"{name}.{step}.bias", 0.0)
        x = x.clamp(min=0) if step == 0 else x
    return x


def norm(x: Tensor, state: State, name: str, eps: float = 1e-5, body: str = ".body") -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    scaled = centred * (centred.square().mean(1, keepdim=True) + eps).rsqrt()
    return scaled * state[f"{name}{body}.weight"].view(1, -1, 1, 1) + state[f"{name}{body}.bias"].view(1, -1, 1, 1)


def by_rank(x: Tensor, scores: Tensor, keep: int) -> Tensor:
    orders = scores.argsort(dim=1, descending=True)[:, :keep]
    return torch.stack([x[b, orders[b % len(orders)]] for b in range(len(x))])


def attend(query: Tensor, key: Tensor, value: Tensor, temperature: Tensor, keep: int | None = None) -> Tensor:
    heads = len(temperature)
    q, k, v = (t.reshape(t.shape[0], heads, -1, *t.shape[2:]) for t in (query, key, value))
    q, k = (t / t.square().sum((-2, -1), keepdim=True).sqrt() for t in (q, k))
    weights = torch.einsum("bnchw,bndhw->bncd", q, k) * temperature.view(1, heads, 1, 1)
    exponential = weights.exp()
    if keep is not None:
        exponential = exponential * (weights >= weights.sort(-1, descending=True).values[..., keep - 1 : keep])
    shares = exponential / exponential.sum(-1, keepdim=True)
    return torch.einsum("bncd,bndhw->bnchw", shares, v).flatten(1, 2)


def feed_forward(x: Tensor, state: State) -> Tensor:
    gate, passed = convolve(convolve(x, state, "project_in"), state, "dwconv", grouped=True).chunk(2, 1)
    gate = 0.5 * gate * (1 + torch.erf(gate / 2**0.5))
    return convolve(gate * passed, state, "project_out")


def level(x: Tensor, state: State) -> Tensor:
    for index in range(1 + max(int(key.split(".")[0]) for key in state)):
        block = part(state, str(index))
        attention = part(block, "attn")
        qkv = convolve(convolve(norm(x, block, "norm1"), attention, "qkv"), attention, "qkv_dwconv", grouped=True)
        x = x + convolve(attend(*qkv.chunk(3, 1), attention["temperature"]), attention, "project_out")
        x = x + feed_forward(norm(x, block, "norm2"), part(block, "ffn"))
    return x


def convnext(x: Tensor, state: State) -> Tensor:
    x = norm(F.conv2d(x, state["0.0.weight"], state["0.0.bias"], stride=4), state, "0.1", 1e-6, "")
    for stage in (1, 3, 5, 7):
        if stage > 1:
            x = norm(x, state, f"{stage - 1}.0", 1e-6, "")
            x = F.conv2d(x, state[f"{stage - 1}.1.weight"], state[f"{stage - 1}.1.bias"], stride=2)
        blocks = part(state, str(stage))
        for index in range(1 + max(int(key.split(".")[0]) for key in blocks)):
            block = part(blocks, str(index))
            y = norm(convolve(x, block, "block.0", grouped=True), block, "block.2", 1e-6, "")
            y = torch.einsum("bchw,oc->bohw", y, block["block.3.weight"]) + block["block.3.bias"].view(1, -1, 1, 1)
            y = 0.5 * y * (1 + torch.erf(y / 2**0.5))
            y = torch.einsum("bchw,oc->bohw", y, block["block.5.weight"]) + block["block.5.bias"].view(1, -1, 1, 1)
            x = x + y * block["layer_scale"]
    return x


def pruning_scores(x: Tensor, state: State) -> Tensor:
    picture = F.interpolate(convolve(x, state, "suo_conv"), (224, 224), mode="bilinear", align_corners=False)
    seen = convnext(picture, part(state, "convnext.0")).flatten(2).mean(2)
    semantic = seen @ state["convnext_fc.weight"].T + state["convnext_fc.bias"]
    return mlp(x.flatten(2).mean(2), state, "fc").sigmoid() + state["alpha"] * semantic.sigmoid()


def prune(x: Tensor, state: State) -> Tensor:
    kept = by_rank(x, pruning_scores(x, state), state["expand_conv.weight"].shape[1])
    return convolve(kept, state, "expand_conv")


def modulate(x: Tensor, embedding: Tensor, state: State) -> Tensor:
    hidden = convolve(embedding.mean((2, 3), keepdim=True), state, "affine_fc.0").clamp(min=0)
    gamma, beta = convolve(hidden, state, "affine_fc.2").chunk(2, 1)
    return x + x * gamma + beta


def permute_by_text(first: Tensor, second: Tensor, text: Tensor, state: State) -> Tensor:
    x = torch.cat([first, second], 1)
    scores = mlp(x.flatten(2).mean(2), state, "se_fc").sigmoid()
    selected = convolve(by_rank(x, scores, state["conv1x1.weight"].shape[1]), state, "conv1x1")
    permuted = by_rank(selected, mlp(text, state, "text_fc"), x.shape[1])
    attention = part(state, "select_attn")
    query = convolve(norm(convolve(permuted, state, "conv_out"), state, "norm1"), attention, "q")
    plain = convolve(norm(convolve(x, state, "conv_out"), state, "norm2"), attention, "kv")
    query = convolve(query, attention, "q_dwconv", grouped=True)
    key, value = convolve(plain, attention, "kv_dwconv", grouped=True).chunk(2, 1)
    keep = int(query.shape[1] // len(attention["temperature"]) * 0.9)
    out = attend(query, key, value, attention["temperature"], keep) * attention["attn4"]
    out = convolve(out, attention, "project_out")
    return out + feed_forward(norm(out, state, "norm3"), part(state, "ffn"))


def plain_upfusion(visible: Tensor, infrared: Tensor, text: Tensor, state: State) -> Tensor:
    """The whole network for (B, 1 or 3, H, W) pictures whose sides are multiples of 8."""
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=visible.dtype)
    vi, ir = (torch.einsum("bchw,c->bhw", t, luma)[:, None] if t.shape[1] == 3 else t for t in (visible, infrared))
    vi, ir = convolve(vi, state, "patch_embed.proj"), convolve(ir, state, "ir_imb.proj")
    shared = convolve(prune(0.5 * (vi + ir), part(state, "channel_select")), state, "expand_conv")
    halves = zip(("vi", "ir"), shared.chunk(2, 1), (vi, ir), strict=True)
    features = {}
    for branch, half, embedding in halves:
        x = level(modulate(half, embedding, part(state, f"GEO_{branch}")), part(state, f"encoder_level1_{branch}"))
        features[branch] = [x]
        for down, name in (("1_2", "encoder_level2"), ("2_3", "encoder_level3"), ("3_4", "latent")):
            x = F.pixel_unshuffle(convolve(x, state, f"down{down}.body.0"), 2)
            x = level(x, part(state, f"{name}_{branch}"))
            features[branch].append(x)
    names = [f"encoder_shuffle_channel{n}" for n in (1, 2, 3)] + ["latent_shuffle_channel"]
    skips = [
        permute_by_text(a, b, text, part(state, name))
        for a, b, name in zip(features["vi"], features["ir"], names, strict=True)
    ]
    x = skips[3]
    for up, index in (("4_3", 3), ("3_2", 2), ("2_1", 1)):
        x = F.pixel_shuffle(convolve(x, state, f"up{up}.body.0"), 2)
        x = torch.cat([x, skips[index - 1]], 1)
        x = convolve(x, state, f"reduce_chan_level{index}") if index > 1 else x
        x = level(x, part(state, f"decoder_level{index}"))
    return convolve(level(x, part(state, "refinement")), state, "output")
