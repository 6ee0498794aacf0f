from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from tests.io import dicom_phantom as phantom
from upfusion_med.core import GREY_LEVELS, RGB_LEVELS, InputError, Modality
from upfusion_med.io import load_volume
from upfusion_med.io.dicom import scan
from upfusion_med.io.dicom.pixels import stack_values
from upfusion_med.io.dicom.plane import Plane
from upfusion_med.io.dicom.scan import open_study, read_header


def stored(file):
    """Stored values of the first frame of a file, (rows, columns)."""
    header = read_header(file, str(file))
    plane = Plane(header, 0, header.count("Rows"), header.count("Columns"), None, None, None)
    return stack_values([plane])[0][:, :, 0].swapaxes(0, 1)


def sample(name):
    file = get_testdata_file(name, download=False)
    assert file is not None
    return Path(file)


def test_monochrome1_leaves_the_values_as_they_are(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "PhotometricInterpretation", "MONOCHROME1")))
    volume = load_volume(tmp_path)
    assert phantom.place_error(volume) < 0.06
    assert volume.notes["dicom"]["photometric_interpretation"] == "MONOCHROME1"


def test_each_slice_has_its_own_slope_and_intercept(tmp_path):
    def rescale(d, k):
        slope, intercept = (1, 0.5, 0.25, 2, 0.1)[k], 10 * k
        true = np.frombuffer(d.PixelData, "<i2") * phantom.SLOPE
        d.RescaleSlope, d.RescaleIntercept = slope, intercept
        d.PixelData = np.rint((true - intercept) / slope).astype("<i2").tobytes()

    phantom.write(tmp_path, phantom.slices(tweak=rescale))
    volume = load_volume(tmp_path)
    assert phantom.place_error(volume) <= 1.01
    assert phantom.place_error(volume.with_array(volume.array[:, :, 1:3], affine=volume.affine @ shift(1))) < 0.26
    assert volume.notes["dicom"]["rescale_slope"] == (0.1, 2.0)


def shift(k):
    move = np.eye(4)
    move[2, 3] = k
    return move


def test_absent_rescale_is_one_and_zero(tmp_path):
    def drop(d, k):
        del d.RescaleSlope, d.RescaleIntercept

    phantom.write(tmp_path, phantom.slices(tweak=drop))
    volume = load_volume(tmp_path)
    assert phantom.place_error(volume.with_array(volume.array * phantom.SLOPE)) < 0.06


def with_modality_table(d, k):
    """Pixels 0 to 47, and a table that gives the numbers 3 to 12 their squares in hundreds."""
    del d.RescaleSlope, d.RescaleIntercept
    d.PixelRepresentation, d.PixelData = 0, np.arange(phantom.ROWS * phantom.COLUMNS, dtype="<u2").tobytes()
    d.ModalityLUTSequence = [phantom.item(LUTDescriptor=[10, 3, 16], ModalityLUTType="US")]
    d.ModalityLUTSequence[0].add_new("LUTData", "US", [100 * n * n for n in range(3, 13)])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_modality_table_gives_the_values(tmp_path, compressed):
    def tweak(d, k):
        with_modality_table(d, k)
        if compressed:
            d.compress(RLELossless, generate_instance_uid=False)

    array = load_volume(phantom.write(tmp_path, phantom.slices(tweak=tweak))).array
    expected = 100 * np.clip(np.arange(phantom.ROWS * phantom.COLUMNS), 3, 12) ** 2
    for k in range(phantom.SLICES):
        np.testing.assert_array_equal(array[:, :, k].T.ravel(), expected)


def test_a_slope_goes_before_a_modality_table(tmp_path):
    def tweak(d, k):
        with_modality_table(d, k)
        d.RescaleSlope, d.RescaleIntercept = 2, 1

    array = load_volume(phantom.write(tmp_path, phantom.slices(tweak=tweak))).array
    np.testing.assert_array_equal(array[:, :, 0].T.ravel(), 2 * np.arange(phantom.ROWS * phantom.COLUMNS) + 1)


def test_a_damaged_modality_table_is_refused(tmp_path):
    def tweak(d, k):
        with_modality_table(d, k)
        del d.ModalityLUTSequence[0].LUTData

    with pytest.raises(InputError, match=r"lookup table of .*000\.dcm is damaged"):
        load_volume(phantom.write(tmp_path, phantom.slices(tweak=tweak)))


def test_zero_slope_is_refused(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d, "RescaleSlope", 0)))
    with pytest.raises(InputError, match=r"Rescale Slope \(0028,1053\).* is 0"):
        load_volume(tmp_path)


def test_rle_slices_decode_to_the_same_values(tmp_path):
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: d.compress(RLELossless, generate_instance_uid=False)))
    assert phantom.place_error(load_volume(tmp_path)) < 0.06


def test_implicit_vr_decodes_to_the_same_values(tmp_path):
    implicit = ImplicitVRLittleEndian
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d.file_meta, "TransferSyntaxUID", implicit)))
    assert phantom.place_error(load_volume(tmp_path)) < 0.06


def test_deflated_file_decodes(tmp_path):
    deflated = pydicom.uid.DeflatedExplicitVRLittleEndian
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d.file_meta, "TransferSyntaxUID", deflated)))
    assert phantom.place_error(load_volume(tmp_path)) < 0.06


def test_deflate_bomb_is_refused(tmp_path, monkeypatch):
    deflated = pydicom.uid.DeflatedExplicitVRLittleEndian
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: setattr(d.file_meta, "TransferSyntaxUID", deflated)))
    monkeypatch.setattr(scan, "MAX_INFLATED", 500)
    with pytest.raises(InputError, match="inflates to more than"):
        load_volume(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_padded.dcm",
    ],
)
def test_every_lossless_form_of_one_image_decodes_alike(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(stored(sample(name)), stored(sample("MR_small.dcm")))


def test_jpeg_ls_values_are_not_turned_round_by_the_fallback_decoder(tmp_path):
    d = pydicom.dcmread(sample("MR_small_jpeg_ls_lossless.dcm"))
    d.PhotometricInterpretation, d.RescaleSlope, d.RescaleIntercept = "MONOCHROME1", 3, -100
    d.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(stored(tmp_path / "a.dcm"), stored(sample("MR_small.dcm")))


def test_truncated_jpeg_ls_is_refused(tmp_path):
    d = pydicom.dcmread(sample("MR_small_jpeg_ls_lossless.dcm"))
    whole = d.PixelData
    d.PixelData = pydicom.encaps.encapsulate([next(iter(pydicom.encaps.generate_frames(whole)))[:700]])
    d.save_as(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="cannot be decoded"):
        stored(tmp_path / "a.dcm")


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_jpeg_lossless_decodes_to_the_same_values(tmp_path, dtype):
    low, high = (-1000, 3000) if dtype == np.int16 else (0, 200)
    values = np.random.default_rng(1).integers(low, high, (32, 40)).astype(dtype)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.GetImageFromArray(values))
    assert pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID == pydicom.uid.JPEGLosslessSV1
    np.testing.assert_array_equal(stored(tmp_path / "a.dcm"), values)


@pytest.mark.parametrize("name", ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
@pytest.mark.parametrize("keep", [0.5, 0.9, 0.95])  # the samples end in padding
def test_cut_compressed_file_is_refused(tmp_path, name, keep):
    content = sample(f"{name}.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match=r"a\.dcm"):
        stored(tmp_path / "a.dcm")


def test_palette_pixels_become_colour(tmp_path):
    header = read_header(sample("examples_palette.dcm"), "p")
    values, _ = stack_values([Plane(header, 0, header.count("Rows"), header.count("Columns"), None, None, None)])
    reference = pydicom.dcmread(sample("examples_palette.dcm"))
    colours = pydicom.pixels.apply_color_lut(reference.pixel_array, reference)
    expected = colours if colours.dtype == np.uint8 else colours >> 8
    np.testing.assert_array_equal(values[:, :, 0].swapaxes(0, 1), expected[..., :3])


def test_counts_of_nuclear_medicine_stay_counts_beside_a_palette(tmp_path):
    counts = phantom.nuclear()
    plain = load_volume(phantom.write(tmp_path / "plain", [counts]))
    counts.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        setattr(counts, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(counts, f"{colour}PaletteColorLookupTableData", np.arange(256, dtype="<u2").tobytes())
    coloured = load_volume(phantom.write(tmp_path / "palette", [counts]))
    assert coloured.modality is Modality.SPECT
    np.testing.assert_array_equal(coloured.array, plain.array)


def colour_series(tmp_path, interpretation="RGB", equal=False):
    def paint(d, k):
        del d.RescaleSlope, d.RescaleIntercept
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = phantom.CAPTURE
        d.Modality = "OT"
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, interpretation, 0
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 8, 8, 7, 0
        rgb = np.zeros((phantom.ROWS, phantom.COLUMNS, 3), np.uint8)
        rgb[..., 0] = 10 * k
        rgb[..., 1] = rgb[..., 2] = 10 * k if equal else np.arange(phantom.COLUMNS)
        d.PixelData = rgb.tobytes()

    return phantom.write(tmp_path, phantom.slices(tweak=paint))


def test_colour_series_with_geometry_is_a_colour_volume(tmp_path):
    volume = load_volume(colour_series(tmp_path))
    assert volume.units == RGB_LEVELS
    assert volume.array[7, 0, 3].tolist() == [30, 7, 7]
    assert volume.geometry.spacing_mm == (1.25, 1.5, 3.0)


def test_colours_of_16_bits_are_refused(tmp_path):
    def paint(d, k):
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration, d.PixelRepresentation = 3, "RGB", 0, 0
        d.PixelData = np.zeros((phantom.ROWS, phantom.COLUMNS, 3), "<u2").tobytes()

    with pytest.raises(InputError, match="colours of type uint16; expected 8 bits"):
        load_volume(phantom.write(tmp_path, phantom.slices(tweak=paint)))


def test_colour_series_of_equal_channels_is_grey(tmp_path):
    volume = load_volume(colour_series(tmp_path, equal=True))
    assert volume.units == GREY_LEVELS
    assert volume.array[0, 0].tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("keep", [1, 60])
def test_truncated_file_is_refused_by_name(tmp_path, keep):
    phantom.write(tmp_path, phantom.slices())
    file = tmp_path / "002.dcm"
    file.write_bytes(file.read_bytes()[:-keep])
    with pytest.raises(InputError, match=r"002\.dcm"):
        load_volume(tmp_path)


def test_truncated_real_file_is_refused():
    with pytest.raises(InputError, match=r"MR_truncated\.dcm"), open_study(sample("MR_truncated.dcm")) as study:
        stored(study.images[0].path)


def test_file_without_pixels_is_refused(tmp_path):
    made = phantom.slices()
    del made[2].PixelData
    phantom.write(tmp_path, made)
    with pytest.raises(InputError, match=r"002\.dcm"):
        load_volume(tmp_path)


def test_enormous_matrix_is_refused(tmp_path):
    made = phantom.slices(tweak=lambda d, k: d.compress(RLELossless, generate_instance_uid=False))
    for d in made:
        d.Rows = d.Columns = 60000
    phantom.write(tmp_path, made)
    with pytest.raises(InputError, match="at most 16384"):
        load_volume(tmp_path)


@pytest.mark.shared
def test_float_pixel_data_and_jpeg_ls_of_the_shared_samples_decode(shared):
    folder = shared / "data" / "dicom_odd" / "pydicom_data"
    reference = stored(folder / "emri_small.dcm")
    for name in ("emri_small_RLE", "emri_small_jpeg_2k_lossless", "emri_small_jpeg_ls_lossless"):
        np.testing.assert_array_equal(stored(folder / f"{name}.dcm"), reference)
    values = stored(folder / "parametric_map_float.dcm")
    assert 0.9 < values.max() < 1
    np.testing.assert_array_equal(values, pydicom.dcmread(folder / "parametric_map_float.dcm").pixel_array)


def padded(signed=True, value=-2000, to=None, syntax=None):
    """A tweak that writes padding into the first two columns of each slice and says so in its header."""

    def write(d, k):
        kind = "<i2" if signed else "<u2"
        pixels = np.frombuffer(d.PixelData, "<i2").reshape(d.Rows, d.Columns).astype(kind)
        pixels = pixels + np.array(round(k / phantom.SLOPE), kind)  # from 0 to 4 above the phantom
        pixels[:, 0], pixels[:, 1] = value, value if to is None else to
        d.PixelRepresentation, d.PixelData = int(signed), pixels.tobytes()
        d.add_new("PixelPaddingValue", "SS" if signed else "US", value)
        if to is not None:
            d.add_new("PixelPaddingRangeLimit", "SS" if signed else "US", to)
        if syntax:
            d.file_meta.TransferSyntaxUID = syntax

    return write


@pytest.mark.parametrize(
    "tweak",
    [
        padded(),
        padded(syntax=ImplicitVRLittleEndian),
        padded(value=-2000, to=-1900),
        padded(value=-1900, to=-2000),
        padded(value=30000),
        padded(signed=False, value=65000),
        padded(signed=False, value=65000, syntax=ImplicitVRLittleEndian),
    ],
)
def test_padding_becomes_black_and_is_counted(tmp_path, tweak):
    phantom.write(tmp_path / "plain", phantom.slices(tweak=lambda d, k: None))
    phantom.write(tmp_path / "padded", phantom.slices(tweak=tweak))
    plain, volume = load_volume(tmp_path / "plain"), load_volume(tmp_path / "padded")
    np.testing.assert_allclose(volume.array[2:], plain.array[2:] + np.arange(5), atol=1e-4)
    assert plain.array.min() > 0
    assert (volume.array[:2] == 0).all()
    assert volume.notes["dicom"]["padding_voxels"] == 2 * phantom.ROWS * phantom.SLICES


def test_padding_is_set_to_the_smallest_real_value_below_zero_whatever_each_slice_is_scaled_with(tmp_path):
    def tweak(d, k):
        padded()(d, k)
        d.RescaleIntercept, d.RescaleSlope = -1000, phantom.SLOPE * (1 + k)

    phantom.write(tmp_path, phantom.slices(tweak=tweak))
    array = load_volume(tmp_path).array
    assert array[2:].min() < 0
    assert (array[:2] == array[2:].min()).all()


def test_a_signed_padding_value_that_is_written_as_unsigned_is_understood(tmp_path):
    def tweak(d, k):
        padded()(d, k)
        d.add_new("PixelPaddingValue", "US", 65536 - 2000)

    phantom.write(tmp_path, phantom.slices(tweak=tweak))
    assert load_volume(tmp_path).array.min() == 0


def test_padding_between_the_real_values_is_left_as_it_is(tmp_path):
    value = int(np.frombuffer(phantom.slices()[2].PixelData, "<i2")[9])
    phantom.write(tmp_path, phantom.slices(tweak=lambda d, k: d.add_new("PixelPaddingValue", "SS", value)))
    volume = load_volume(tmp_path)
    assert phantom.place_error(volume) < 0.06
    assert "padding_voxels" not in volume.notes["dicom"]
