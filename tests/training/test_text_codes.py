from __future__ import annotations

import io

import numpy as np
import pytest

from upfusion_med.core import InputError
from upfusion_med.training.text_codes import read_text_codes


def written(save, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


WHOLE = written(np.savez, names=np.array(["a"]), prompts=np.array(["A."]), minilm_512=np.ones((1, 512)))


@pytest.mark.parametrize("content", [b"", b"text", WHOLE[: len(WHOLE) // 2], written(np.save, arr=np.ones(3))])
def test_a_damaged_file_of_text_codes_is_told(tmp_path, content):
    (tmp_path / "codes.npz").write_bytes(content)
    with pytest.raises(InputError, match="expected an npz file"):
        read_text_codes(tmp_path / "codes.npz", "minilm_512")


@pytest.mark.parametrize("missing", ["names", "prompts", "minilm_512"])
def test_an_array_that_a_run_or_its_weights_will_need_is_missed_before_the_run(tmp_path, missing):
    arrays = {"names": np.array(["a"]), "prompts": np.array(["A."]), "minilm_512": np.ones((1, 512))}
    del arrays[missing]
    np.savez(tmp_path / "codes.npz", **arrays)
    with pytest.raises(InputError, match=missing):
        read_text_codes(tmp_path / "codes.npz", "minilm_512")
