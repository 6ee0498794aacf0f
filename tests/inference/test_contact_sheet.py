"""The contact sheet shows the right side on the right side, and always says what it is not for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.signal import fftconvolve

from upfusion_med.core import NOT_FOR_DIAGNOSTIC_USE, UsageError
from upfusion_med.inference.contact_sheet import Legend, render_contact_sheet
from upfusion_med.io.picture import PICTURE_AFFINE
from upfusion_med.transforms.luts import get_lut
from upfusion_med.transforms.window import Window

LEGEND = Legend.from_lut(get_lut("ember"), Window(0.0, 8.0, "", "SUVbw"))


OCTANTS = {
    "RAS": (255, 128, 0),
    "LAS": (0, 255, 255),
    "RPS": (255, 0, 255),
    "LPS": (0, 0, 255),
    "RAI": (255, 255, 0),
    "LAI": (0, 255, 0),
    "RPI": (255, 0, 0),
    "LPI": (128, 0, 255),
}


def octants(affine, shape):
    """A volume whose colour says in which octant of the patient (about its middle) a voxel lies."""
    index = np.stack(np.indices(shape), axis=-1)
    middle = affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    side = (index @ affine[:3, :3].T - middle) > 0
    colours = np.zeros((*shape, 3), np.uint8)
    for name, colour in OCTANTS.items():
        colours[(side == [name[0] == "R", name[1] == "A", name[2] == "S"]).all(axis=-1)] = colour
    return colours


def block_grid(order=(0, 1, 2), flips=(1, 1, 1), spacing=(2.0, 2.0, 4.0), shape=(60, 60, 30)):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for k, world in enumerate(order):
        affine[world, k] = flips[k] * spacing[world]
    return affine, tuple(shape[world] for world in order)


@pytest.mark.parametrize(
    ("order", "flips"),
    [((0, 1, 2), (1, 1, 1)), ((0, 1, 2), (-1, 1, 1)), ((0, 1, 2), (-1, -1, 1)), ((2, 0, 1), (-1, 1, -1))],
)
def test_every_quadrant_lies_on_its_anatomical_side(order, flips):
    affine, shape = block_grid(order, flips)
    fused = octants(affine, shape)
    uptake = np.full((*shape, 3), 90, np.uint8)
    # The hottest place lies to the right, in front, above: all three main slices pass through those halves.
    hot = (fused == OCTANTS["RAS"]).all(axis=-1)
    uptake[hot] = 255
    sheet = render_contact_sheet(np.ones(shape), uptake, fused, affine, legend=None, title="Phantom")
    pixels = np.asarray(sheet)
    # Only the row of the fused image has these colours.
    colours = {name: (pixels == colour).all(axis=-1) for name, colour in OCTANTS.items()}
    any_colour = np.logical_or.reduce(list(colours.values()))
    columns = np.flatnonzero(any_colour.any(axis=0))
    starts = [columns[0], *columns[1:][np.diff(columns) > 4]]
    ends = [*columns[:-1][np.diff(columns) > 4], columns[-1]]
    assert len(starts) == 6

    def corner(column, left, top):
        """The octant shown in one quadrant of a panel."""
        x0, x1 = starts[column], ends[column]
        rows = np.flatnonzero(any_colour[:, x0:x1].any(axis=1))
        x = x0 + (x1 - x0) // 4 if left else x1 - (x1 - x0) // 4
        y = rows[0] + np.ptp(rows) // 4 if top else rows[-1] - np.ptp(rows) // 4
        return next(name for name, mask in colours.items() if mask[y, x])

    quadrants = [(True, True), (False, True), (True, False), (False, False)]
    assert [corner(0, *q) for q in quadrants] == ["RAS", "LAS", "RPS", "LPS"]  # axial, from below
    assert [corner(1, *q) for q in quadrants] == ["RAS", "LAS", "RAI", "LAI"]  # coronal, from the front
    assert [corner(2, *q) for q in quadrants] == ["RAS", "RPS", "RAI", "RPI"]  # sagittal, looking to the left
    # One scale for all: 120 x 120 mm axial, 120 mm high coronal, although voxels are 2 x 2 x 4 mm.
    widths = [e - s + 1 for s, e in zip(starts, ends, strict=True)]
    assert max(widths) - min(widths) <= 2
    rows = np.flatnonzero(any_colour[:, starts[1] : ends[1]].any(axis=1))
    assert abs(np.ptp(rows) + 1 - widths[1]) <= 2


def _volume_sheet(**changes):
    affine, shape = block_grid()
    arguments = {"legend": LEGEND, "title": "MRI + PET", "notes": ["First note.", "Second note."]} | changes
    grey = np.full((*shape, 3), 60, np.uint8)
    return render_contact_sheet(np.full(shape, 0.5), grey, grey, affine, **arguments)


def _contains_words(sheet, words, size, colour):
    """Whether the words stand on the sheet, drawn in this colour with Pillow's font."""
    font = ImageFont.load_default(size=size)
    stamp = Image.new("L", (int(font.getlength(words)) + 4, size + 8))
    ImageDraw.Draw(stamp).text((2, size), words, font=font, fill=255, anchor="ls")
    ink = np.asarray(stamp) > 128
    rows, columns = (np.flatnonzero(ink.any(axis=a)) for a in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    near = np.abs(np.asarray(sheet).astype(int) - colour).max(axis=-1) < 110
    # Ink where ink is wanted, minus ink where none is wanted.
    agreement = fftconvolve(near.astype(float), np.where(ink, 1.0, -1.0)[::-1, ::-1], mode="valid")
    return bool(agreement.max() > 0.75 * ink.sum())


@pytest.mark.parametrize("kind", ["volume", "picture"])
def test_not_for_diagnostic_use_always_stands_on_it(kind):
    if kind == "volume":
        sheet = _volume_sheet(title="", notes=(), legend=None)
    else:
        flat = np.zeros((20, 20, 1, 3), np.uint8)
        sheet = render_contact_sheet(np.zeros((20, 20, 1)), flat, flat, PICTURE_AFFINE, legend=None, title="")
    assert _contains_words(sheet, NOT_FOR_DIAGNOSTIC_USE, 17, (244, 180, 66))
    assert not _contains_words(sheet, "Certified for diagnosis", 17, (244, 180, 66))


def test_sheet_is_as_wide_as_asked_and_grows_with_its_notes():
    short, long = _volume_sheet(notes=()), _volume_sheet(notes=["word " * 400])
    assert short.size[0] == long.size[0] == 1600
    assert long.size[1] > short.size[1] + 60
    assert _volume_sheet(width_px=1000).size[0] == 1000


def test_colour_bar_runs_from_the_highest_value_down():
    sheet, bare = np.asarray(_volume_sheet()), np.asarray(_volume_sheet(legend=None))
    top = np.argwhere((sheet == LEGEND.colours[-1]).all(axis=-1))
    middle = np.argwhere((sheet == LEGEND.colours[150]).all(axis=-1))
    assert len(top) >= 18 and len(middle) >= 18
    assert top[:, 0].max() < middle[:, 0].min()
    assert top[:, 1].min() > 1400
    assert not (bare == LEGEND.colours[150]).all(axis=-1).any()


def test_what_is_black_in_the_fused_volume_is_black_on_the_sheet():
    affine, shape = block_grid()
    black = np.zeros((*shape, 3), np.uint8)
    sheet = np.asarray(render_contact_sheet(np.zeros(shape), black, black, affine, legend=None, title=""))
    rows = np.flatnonzero((sheet == 0).all(axis=-1).mean(axis=1) > 0.5)
    assert np.ptp(rows) > 300


def test_pictures_are_shown_pixel_by_pixel():
    rng = np.random.default_rng(0)
    mri = rng.integers(0, 256, (90, 70, 1)).astype(np.float32) / 255
    functional, fused = rng.integers(0, 256, (2, 90, 70, 1, 3), dtype=np.uint8)
    sheet = np.asarray(
        render_contact_sheet(
            mri, functional, fused, PICTURE_AFFINE, legend=None, title="Two pictures", notes=["é – ≥ 漢"]
        )
    )
    wanted = np.concatenate(
        [
            np.repeat(np.rint(mri * 255).astype(np.uint8)[:, :, 0, None].transpose(1, 0, 2), 3, axis=-1),
            functional[:, :, 0].transpose(1, 0, 2),
            fused[:, :, 0].transpose(1, 0, 2),
        ],
        axis=1,
    )
    first = np.argwhere((sheet[:-69, :-89] == wanted[0, 0]).all(axis=-1))
    for y, x in first:
        shown = [sheet[y : y + 70, x + k * 98 : x + k * 98 + 90] for k in range(3)]
        if all(s.shape == (70, 90, 3) for s in shown) and np.array_equal(np.concatenate(shown, axis=1), wanted):
            break
    else:
        raise AssertionError("the three pictures do not stand side by side on the sheet")


def test_one_slice_of_a_study_is_shown_upright_with_letters():
    colours = np.zeros((80, 100, 1, 3), np.uint8)
    colours[-20:, -20:] = (0, 255, 0)  # the patient's right, in front: i grows to the right, j to the front
    sheet = np.asarray(render_contact_sheet(np.zeros((80, 100, 1)), colours, colours, np.eye(4), legend=None, title=""))
    green = np.argwhere((sheet == (0, 255, 0)).all(axis=-1))
    # Two coloured panels of 80 x 100 with 8 pixels between them: the block fills the upper left corner of both.
    assert np.ptp(green[:, 0]) + 1 == 20 and np.ptp(green[:, 1]) + 1 == 88 + 20
    y, x = green.min(axis=0)
    panel = sheet[y : y + 100, x : x + 80].copy()
    assert (panel[60:95, 5:35] == 0).all() and (panel[5:44, 50:70] == 0).all()
    assert (sheet[y - 1, x : x + 80] != 0).all() and (sheet[y : y + 100, x - 1] != 0).all()
    assert ((sheet == (196, 201, 209)).all(axis=-1)).any()  # letters


def test_flat_volumes_of_any_plane_and_tall_volumes_are_drawn():
    for shape in ((30, 1, 40), (1, 30, 40), (40, 40, 400), (3, 4, 2)):
        grey = np.full((*shape, 3), 50, np.uint8)
        sheet = render_contact_sheet(np.full(shape, 0.3), grey, grey, np.eye(4), legend=LEGEND, title="x" * 300)
        assert sheet.size[0] >= 640 and sheet.size[1] < 1700


def test_arrays_of_another_grid_are_refused():
    with pytest.raises(UsageError, match="fused image has shape"):
        render_contact_sheet(
            np.zeros((4, 5, 6)),
            np.zeros((4, 5, 6, 3), np.uint8),
            np.zeros((4, 5, 7, 3), np.uint8),
            np.eye(4),
            legend=None,
            title="",
        )
