from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from upfusion_med.core import GREY_LEVELS, RGB_LEVELS, InputError, UsageError
from upfusion_med.io import load_volume, save_picture

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)  # 6 rows, 9 columns
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def saved(tmp_path, picture, name="p.png", **options):
    picture.save(tmp_path / name, **options)
    return load_volume(tmp_path / name)


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.bmp"])
def test_grey_picture_has_columns_first_and_lies_in_l_p(tmp_path, name):
    volume = saved(tmp_path, Image.fromarray(GREY), name)
    assert volume.array.shape == (9, 6, 1)
    assert volume.array.dtype == np.float32
    assert volume.array[8, 2, 0] == GREY[2, 8]
    assert volume.is_picture
    assert volume.units == GREY_LEVELS
    assert volume.geometry.axis_codes == ("L", "P", "S")
    np.testing.assert_array_equal(volume.affine, np.diag([-1, -1, 1, 1]))


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.bmp"])
def test_colour_picture_has_channels_last(tmp_path, name):
    volume = saved(tmp_path, Image.fromarray(COLOUR), name)
    assert volume.units == RGB_LEVELS
    np.testing.assert_array_equal(volume.array[:, :, 0], COLOUR.swapaxes(0, 1))


@pytest.mark.parametrize("name", ["p.png", "p.tif"])
def test_sixteen_bits_of_grey_are_kept(tmp_path, name):
    values = (np.arange(54).reshape(6, 9) * 1200).astype(np.uint16)
    volume = saved(tmp_path, Image.fromarray(values), name)
    np.testing.assert_array_equal(volume.array[:, :, 0], values.T)


def test_a_tiff_whose_zero_is_white_is_turned(tmp_path):
    values = (np.arange(54).reshape(6, 9) * 1200).astype(np.uint16)
    volume = saved(tmp_path, Image.fromarray(values), "p.tif", tiffinfo={262: 0})
    np.testing.assert_array_equal(volume.array[:, :, 0], 65535 - values.T.astype(int))


def test_float_tiff_is_kept_with_its_nan(tmp_path):
    values = RNG.normal(size=(6, 9)).astype(np.float32)
    values[1, 2] = np.nan
    np.testing.assert_array_equal(saved(tmp_path, Image.fromarray(values), "p.tif").array[:, :, 0], values.T)


def test_sixteen_bit_colour_is_read_with_a_warning(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"\x00" + struct.pack(">6H", 0, 32768, 65535, 1000, 2000, 3000)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    (tmp_path / "p.png").write_bytes(png + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    volume = load_volume(tmp_path / "p.png")
    assert volume.array[0, 0, 0].tolist() == [0, 128, 255]
    assert "16 bits" in volume.notes["warnings"][0]


def test_sixteen_bit_colour_in_tiff_is_read_with_a_warning(tmp_path):
    import struct

    head, entries, end = 8, 8, b"\0" * 4
    bits_at = head + 2 + 12 * entries + len(end)
    tags = (  # width, height, bits, RGB, place of the pixels, channels, rows, bytes: (number, type, count, value)
        (256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 3, bits_at), (262, 3, 1, 2),
        (273, 4, 1, bits_at + 6), (277, 3, 1, 3), (278, 4, 1, 1), (279, 4, 1, 6),
    )  # fmt: skip
    directory = struct.pack("<H", entries) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + end
    values = struct.pack("<6H", 16, 16, 16, 1000, 32768, 65535)
    (tmp_path / "p.tif").write_bytes(b"II*\0" + struct.pack("<I", head) + directory + values)
    volume = load_volume(tmp_path / "p.tif")
    assert volume.array[0, 0, 0].tolist() == pytest.approx([4, 128, 255], abs=1)
    assert "16 bits" in volume.notes["warnings"][0]


def test_equal_channels_are_grey(tmp_path):
    volume = saved(tmp_path, Image.fromarray(np.stack([GREY] * 3, -1)))
    assert volume.array.shape == (9, 6, 1)
    assert volume.units == GREY_LEVELS


def test_opaque_alpha_is_dropped_without_a_word(tmp_path):
    rgba = np.dstack([COLOUR, np.full((6, 9), 255, np.uint8)])
    volume = saved(tmp_path, Image.fromarray(rgba))
    np.testing.assert_array_equal(volume.array[:, :, 0], COLOUR.swapaxes(0, 1))
    assert "warnings" not in volume.notes


def test_transparent_pixels_are_put_on_black_and_said(tmp_path):
    alpha = np.full((6, 9), 255, np.uint8)
    alpha[0, 0] = 0
    alpha[1, 1] = 51
    volume = saved(tmp_path, Image.fromarray(np.dstack([COLOUR, alpha])))
    assert volume.array[0, 0, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(volume.array[1, 1, 0], COLOUR[1, 1] * 0.2, atol=1e-4)
    assert volume.notes["warnings"] == ("The alpha channel is not opaque in 2 of 54 pixels; they were put on black.",)


def test_grey_with_alpha_stays_grey(tmp_path):
    volume = saved(tmp_path, Image.fromarray(np.dstack([GREY, np.full_like(GREY, 255)]), mode="LA"))
    np.testing.assert_array_equal(volume.array[:, :, 0], GREY.T)


def test_palette_is_looked_up(tmp_path):
    indexed = Image.fromarray((GREY % 4).astype(np.uint8), mode="P")
    indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    volume = saved(tmp_path, indexed)
    table = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]])
    np.testing.assert_array_equal(volume.array[:, :, 0], table[GREY % 4].swapaxes(0, 1))


def test_transparent_palette_entry_is_put_on_black(tmp_path):
    indexed = Image.fromarray((GREY % 2).astype(np.uint8), mode="P")
    indexed.putpalette([255, 0, 0, 0, 255, 0])
    volume = saved(tmp_path, indexed, transparency=0)
    assert (volume.array[:, :, 0][(GREY % 2 == 0).T] == 0).all()
    assert "alpha" in volume.notes["warnings"][0]


def test_one_bit_picture_is_black_and_white(tmp_path):
    volume = saved(tmp_path, Image.fromarray(GREY > 127))
    np.testing.assert_array_equal(volume.array[:, :, 0], (GREY > 127).T * 255.0)


def test_jpeg_reads_near_its_source(tmp_path):
    smooth = np.add.outer(np.arange(48) * 2, np.arange(64)).astype(np.uint8)
    volume = saved(tmp_path, Image.fromarray(smooth), "p.jpg", quality=95)
    assert np.abs(volume.array[:, :, 0] - smooth.T).max() <= 4


def test_exif_orientation_is_applied_and_said(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    volume = saved(tmp_path, Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 3, (32, 1))), "p.jpg", exif=exif)
    assert volume.array.shape == (32, 64, 1)
    assert "EXIF" in volume.notes["warnings"][0]


def test_cmyk_is_converted_and_said(tmp_path):
    volume = saved(tmp_path, Image.fromarray(COLOUR).convert("CMYK"), "p.tif")
    assert volume.is_rgb
    assert "CMYK" in volume.notes["warnings"][0]


def test_many_pages_are_refused(tmp_path):
    pages = [Image.fromarray(GREY)] * 3
    pages[0].save(tmp_path / "p.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="3 pages"):
        load_volume(tmp_path / "p.tif")


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.tif", "p.bmp"])
@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_truncated_picture_is_refused(tmp_path, name, keep):
    file = tmp_path / name
    Image.fromarray(RNG.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=r"picture .*p\."):
        load_volume(file)


def test_picture_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.fromarray(np.zeros((30, 30), np.uint8)).save(tmp_path / "p.png")
    with pytest.raises(InputError, match="too many pixels"):
        load_volume(tmp_path / "p.png")


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.bmp"])
def test_written_picture_reads_back(tmp_path, name):
    for array in (GREY.T, COLOUR.swapaxes(0, 1)):
        save_picture(tmp_path / name, np.ascontiguousarray(array))
        np.testing.assert_array_equal(load_volume(tmp_path / name).array[:, :, 0], array)
        assert np.asarray(Image.open(tmp_path / name)).shape[:2] == (6, 9)


def test_jpeg_can_be_written(tmp_path):
    save_picture(tmp_path / "p.jpg", np.full((20, 30), 128, np.uint8))
    assert np.abs(load_volume(tmp_path / "p.jpg").array - 128).max() <= 1


def test_wrong_type_and_ending_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="uint8"):
        save_picture(tmp_path / "p.png", np.zeros((4, 4), np.float32))
    with pytest.raises(UsageError, match=r"\.png"):
        save_picture(tmp_path / "p.gif", np.zeros((4, 4), np.uint8))
