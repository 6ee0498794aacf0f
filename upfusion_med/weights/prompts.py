"""Named prompts and their codes, as a checkpoint carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upfusion_med.core import Modality, UsageError
from upfusion_med.weights.text_encoder import CODE_WIDTH, encoder_for

#: The named prompt that goes with a pair of an MRI and this modality.
PROMPT_OF_MODALITY = {
    Modality.PET: "mri_pet",
    Modality.SPECT: "mri_spect",
    Modality.CT: "mri_ct",
    Modality.INFRARED: "infrared_visible",
    Modality.VISIBLE: "infrared_visible",
}
UNIVERSAL = "universal"


@dataclass(frozen=True, eq=False)
class TextCode:
    """A code and the encoder that made it: a code means nothing to weights trained with another encoder."""

    vector: NDArray[np.float32]
    encoder: str


@dataclass(frozen=True)
class PromptTable:
    """The prompts of one checkpoint.

    Attributes:
        encoder: Name of the text encoder that made the codes.
        sentences: Prompt name to its sentence.
        codes: Prompt name to its (512,) code.
    """

    encoder: str
    sentences: Mapping[str, str]
    codes: Mapping[str, NDArray[np.float32]]

    def name_for(self, modality: Modality) -> str:
        """The named prompt for a pair with this modality; the universal one where there is none."""
        name = PROMPT_OF_MODALITY.get(modality, UNIVERSAL)
        return name if name in self.codes else UNIVERSAL

    def code(self, prompt: str | TextCode) -> NDArray[np.float32]:
        """The code of a named prompt, of a free sentence, or of a code made elsewhere.

        Args:
            prompt: A name of ``codes``; or a sentence (anything with a blank in it), which needs the encoder; or a
                ``TextCode``.

        Raises:
            UsageError: an unknown name, or a code of another encoder.
            MissingPackageError: a free sentence, and the encoder is not installed.
        """
        if isinstance(prompt, TextCode):
            if prompt.encoder != self.encoder:
                raise UsageError(
                    f"The text code was made by '{prompt.encoder}', the weights were trained with '{self.encoder}'; "
                    "codes of one encoder mean nothing to the other. Encode the prompt with the weights' encoder."
                )
            vector = np.asarray(prompt.vector, np.float32)
            if vector.shape != (CODE_WIDTH,):
                raise UsageError(f"The text code has shape {vector.shape}; expected ({CODE_WIDTH},).")
            return vector
        if prompt in self.codes:
            return np.asarray(self.codes[prompt], np.float32)
        if prompt in self.sentences:  # a converted checkpoint knows the sentence, but its code was never stored
            return encoder_for(self.encoder).encode(self.sentences[prompt])
        if " " not in prompt.strip():
            names = ", ".join({**self.codes, **self.sentences}) or "none"
            raise UsageError(
                f"There is no prompt '{prompt}'; the weights carry: {names}. A free text has blanks in it."
            )
        return encoder_for(self.encoder).encode(prompt)
