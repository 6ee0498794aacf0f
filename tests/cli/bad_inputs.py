"""Bad inputs, each made small and on purpose: what it is, how it is made, and what the command must say about it."""

from __future__ import annotations

import copy
import gzip
import io
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from pydicom.uid import JPEG2000Lossless, generate_uid

from tests.io import dicom_phantom as phantom
from upfusion_med.io import save_picture, save_scalar_nifti

#: Makes the input in a folder of its own and gives its path.
Maker = Callable[[Path], object]


@dataclass(frozen=True)
class BadInput:
    """One row of the table.

    Attributes:
        name: What is wrong, in words.
        make: Makes the input.
        words: What the message must contain: what was found, and what to do.
        exit_code: How the command must end.
        options: Options of the command, after the two images and the output.
        as_mri: Whether it is given as the MRI and not as the functional image.
    """

    name: str
    make: Maker
    words: tuple[str, ...]
    exit_code: int = 3
    options: tuple[str, ...] = ()
    as_mri: bool = False


def ramp(shape: tuple[int, ...] = (6, 5, 4)) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def nifti(array: np.ndarray | None = None, name: str = "pet.nii.gz", **header: object) -> Maker:
    """A NIfTI file with fields of its header overwritten."""

    def make(folder: Path) -> Path:
        image = nibabel.Nifti1Image(ramp() if array is None else array, np.diag([2.0, 2.0, 3.0, 1.0]))
        plain = folder / "plain.nii"
        nibabel.save(image, plain)
        content = bytearray(plain.read_bytes())
        plain.unlink()
        written = nibabel.Nifti1Header(bytes(content[:348]), check=False)
        for field, value in header.items():
            written[field] = value
        content[:348] = written.binaryblock
        path = folder / name
        path.write_bytes(gzip.compress(bytes(content), 1) if name.endswith(".gz") else bytes(content))
        return path

    return make


def cut(make: Maker, keep: float) -> Maker:
    """The same file, only its first part."""

    def shorter(folder: Path) -> Path:
        path = Path(str(make(folder)))
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        return path

    return shorter


def content(name: str, data: bytes) -> Maker:
    """A file of these bytes."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return make


def nifti_bomb(folder: Path) -> Path:
    """A gzip stream of 200 KB whose header asks for 32767 x 32767 x 200 values and which goes on and on."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float32)
    block = bytearray(header.binaryblock)
    block[40:56] = struct.pack("<8h", 3, 32767, 32767, 200, 1, 1, 1, 1)
    path = folder / "bomb.nii.gz"
    with gzip.open(path, "wb", compresslevel=9) as stream:
        stream.write(bytes(block) + bytes(4))
        for _ in range(200):
            stream.write(bytes(1 << 20))
    return path


def nan_affine(folder: Path) -> Path:
    path = Path(str(nifti(name="nan.nii")(folder)))
    block = bytearray(path.read_bytes())
    block[280:284] = struct.pack("<f", np.nan)  # srow_x[0]
    path.write_bytes(block)
    return path


def byte_swapped_header(folder: Path) -> Path:
    """The header of a big-endian machine before little-endian values: only sizeof_hdr was left as it was."""
    path = Path(str(nifti(name="swapped.nii")(folder)))
    block = bytearray(path.read_bytes())
    swapped = nibabel.Nifti1Header(bytes(block[:348])).as_byteswapped(">").binaryblock
    path.write_bytes(block[:4] + swapped[4:] + block[348:])
    return path


def constant(folder: Path) -> Path:
    save_scalar_nifti(folder / "constant.nii.gz", np.ones((4, 4, 4), np.float32), np.eye(4))
    return folder / "constant.nii.gz"


def not_finite(value: float, count: int | None = 1) -> Maker:
    array = ramp().copy()
    array.reshape(-1)[:count] = value
    return nifti(array)


def far_away(folder: Path) -> Path:
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = 5000
    save_scalar_nifti(folder / "far.nii.gz", ramp(), affine)
    return folder / "far.nii.gz"


def itk_header(name: str, text: str, data: bytes = b"") -> Maker:
    return content(name, text.encode() + data)


NRRD = "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n\
space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n{more}\n"
MHA = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n\
DimSize = {sizes}\nElementSpacing = {spacing}\nElementType = MET_SHORT\n{more}ElementDataFile = {file}\n"


def picture(shape: tuple[int, ...]) -> Maker:
    def make(folder: Path) -> Path:
        save_picture(folder / "p.png", (np.arange(np.prod(shape)) % 251).astype(np.uint8).reshape(shape))
        return folder / "p.png"

    return make


def picture_bomb(folder: Path) -> Path:
    """A PNG whose header says 60000 x 60000 pixels."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(4096))) + chunk(b"IEND", b"")
    )
    (folder / "bomb.png").write_bytes(data)
    return folder / "bomb.png"


def dicom_bytes(dataset: object) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)  # type: ignore[attr-defined]
    return buffer.getvalue()


def archive(*members: tuple[str, bytes], tweak: Callable[[zipfile.ZipInfo], None] | None = None) -> Maker:
    def make(folder: Path) -> Path:
        path = folder / "study.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, data in members:
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                if tweak is not None:
                    tweak(info)
                opened.writestr(info, data)
        return path

    return make


def zip_bomb(folder: Path) -> Path:
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        head = bytes(128) + b"DICM"
        with opened.open("a.dcm", "w", force_zip64=True) as member:
            member.write(head)
            for _ in range(300):
                member.write(bytes(1 << 20))
    return path


def encrypted_zip(folder: Path) -> Path:
    path = Path(str(archive(("a.dcm", dicom_bytes(phantom.dataset())))(folder)))
    block = bytearray(path.read_bytes())
    block[6] |= 1
    block[block.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(block)
    return path


def symbolic_link(info: zipfile.ZipInfo) -> None:
    info.create_system, info.external_attr = 3, 0o120777 << 16


def study(make: Callable[..., list], tweak: Callable | None = None, **kwargs: object) -> Maker:
    """A folder with a DICOM series."""
    return lambda folder: phantom.write(folder / "series", make(tweak=tweak, **kwargs))


def put(**values: object) -> Callable:
    """Sets tags of every slice; a list of as many values as slices sets one each."""

    def tweak(d: object, k: int) -> None:
        for keyword, value in values.items():
            setattr(d, keyword, value(k) if callable(value) else value)

    return tweak


def drop(*keywords: str) -> Callable:
    def tweak(d: object, k: int) -> None:
        for keyword in keywords:
            delattr(d, keyword)

    return tweak


def one(make: Callable[[], object], name: str = "a.dcm") -> Maker:
    """A folder with one DICOM file."""
    return lambda folder: phantom.write(folder / "series", [make()], [name])


def other_object(sop: str, modality: str = "OT") -> Callable[[], object]:
    """An object without pixels."""

    def make() -> object:
        d = phantom.dataset()
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(d, keyword)
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = sop
        d.Modality = modality
        return d

    return make


def capture(modality: str) -> Callable[[], object]:
    def make() -> object:
        d = phantom.dataset(phantom.CAPTURE)
        d.Modality, d.PixelData = modality, bytes(phantom.ROWS * phantom.COLUMNS * 2)
        return d

    return make


def directory(folder: Path) -> Path:
    from pydicom.data import get_testdata_file

    path = folder / "DICOMDIR"
    path.write_bytes(Path(str(get_testdata_file("DICOMDIR"))).read_bytes())
    return path


def projections() -> object:
    d = phantom.nuclear()
    d.ImageType = ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]
    return d


def segmentation() -> object:
    d = phantom.enhanced()
    d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    d.Modality = "SEG"
    return d


def enhanced_without_places() -> object:
    d = phantom.enhanced()
    del d.PerFrameFunctionalGroupsSequence, d.SharedFunctionalGroupsSequence
    return d


def absurd_matrix(d: object, k: int) -> None:
    d.Rows = d.Columns = 65535  # type: ignore[attr-defined]


def damaged_compression(d: object, k: int) -> None:
    from pydicom.encaps import encapsulate

    d.file_meta.TransferSyntaxUID = JPEG2000Lossless  # type: ignore[attr-defined]
    d.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(40)])  # type: ignore[attr-defined]


def unknown_syntax(folder: Path) -> Path:
    made = phantom.write(folder / "series", phantom.slices())
    for file in made.iterdir():
        # the same length, so that nothing else changes
        file.write_bytes(file.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))
    return made


def truncated_series(folder: Path) -> Path:
    made = phantom.write(folder / "series", phantom.slices())
    last = made / "004.dcm"
    last.write_bytes(last.read_bytes()[:-40])
    return made


def emptied_series(folder: Path) -> Path:
    made = phantom.write(folder / "series", phantom.slices())
    (made / "004.dcm").write_bytes(b"")
    return made


def broken_pet_beside_ct(folder: Path) -> Path:
    made = phantom.write(folder / "study" / "a", phantom.pet_slices(series="a", positions=GAPPED))
    phantom.write(folder / "study" / "b", phantom.slices(sop=phantom.CT, series="b"))
    return made.parent


def two_tracers(d: object, k: int) -> None:
    items = d.RadiopharmaceuticalInformationSequence  # type: ignore[attr-defined]
    d.RadiopharmaceuticalInformationSequence = [items[0], copy.deepcopy(items[0])]  # type: ignore[attr-defined]


def injected_soon_after_the_start(d: object, k: int) -> None:
    (tracer,) = d.RadiopharmaceuticalInformationSequence  # type: ignore[attr-defined]
    tracer.RadiopharmaceuticalStartTime = "100010"
    del tracer.RadiopharmaceuticalStartDateTime


def two_patients(folder: Path) -> Path:
    made = phantom.write(folder / "study" / "a", phantom.pet_slices(series="a"))
    phantom.write(
        folder / "study" / "b", phantom.pet_slices(series="b", tweak=put(PatientID="ANOTHER", PatientName="OTHER^ONE"))
    )
    return made.parent


def two_patients_in_one_series(d: object, k: int) -> None:
    if k == 2:
        d.PatientID, d.PatientName = "ANOTHER", "OTHER^ONE"  # type: ignore[attr-defined]


def two_series(folder: Path) -> Path:
    made = phantom.write(folder / "study" / "a", phantom.slices(series="a"))
    phantom.write(folder / "study" / "b", phantom.slices(series="b"))
    return made.parent


def many_echoes(folder: Path) -> Path:
    made = phantom.slices(positions=[phantom.ORIGIN] * 300, tweak=lambda d, k: setattr(d, "EchoTime", 1.1**k))
    return phantom.write(folder / "series", made)


def dynamic(d: object, k: int) -> None:
    phantom.pet_tags(d)
    d.FrameReferenceTime = 1000 * (k // 5 + 1)  # type: ignore[attr-defined]
    d.SOPInstanceUID = generate_uid(entropy_srcs=[str(k)])  # type: ignore[attr-defined]


TWICE = [np.add(phantom.ORIGIN, (0, 0, 3 * (k % 5))) for k in range(10)]
GAPPED = [np.add(phantom.ORIGIN, (0, 0, z)) for z in (0, 3, 9, 12, 15)]
UNEVEN = [np.add(phantom.ORIGIN, (0, 0, z)) for z in (0, 3, 6.3, 9, 12.6)]


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def text_folder(folder: Path) -> Path:
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("no image")
    (folder / "notes" / "b.csv").write_text("1,2\n")
    return folder / "notes"


def link_loop(folder: Path) -> Path:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


def folder_loop(folder: Path) -> Path:
    (folder / "inner").mkdir()
    (folder / "inner" / "back").symlink_to(folder, target_is_directory=True)
    (folder / "inner" / "gone").symlink_to(folder / "nothing")
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def folder_with_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder


def header_without_data(folder: Path) -> Path:
    path = Path(str(nifti(name="a.nii")(folder)))
    block = bytearray(path.read_bytes()[:352])
    block[344:348] = b"ni1\0"
    (folder / "pair.hdr").write_bytes(block)
    return folder / "pair.hdr"


BAD_INPUTS = (
    # paths
    BadInput("no such path", lambda folder: folder / "gone.nii.gz", ("no file or folder", "check the path")),
    BadInput("an empty path", lambda folder: "", ("path of an input is empty", "Give")),
    BadInput("an empty folder", empty_folder, ("holds no DICOM file", "give the file itself")),
    BadInput("a folder without images", text_folder, ("holds no DICOM file", "give the file itself")),
    BadInput("an empty file", content("a.nii.gz", b""), ("is empty (0 bytes)", "copy it again")),
    BadInput("a link that points to itself", link_loop, ("link that leads nowhere", "give the file itself")),
    BadInput("a folder that links to itself", folder_loop, ("holds no DICOM file", "give the file itself")),
    BadInput("a pipe instead of a file", pipe, ("neither a regular file nor a folder", "expected")),
    BadInput("a folder that holds a pipe", folder_with_pipe, ("holds no DICOM file", "give the file itself")),
    BadInput("an endless device", lambda folder: "/dev/zero", ("neither a regular file nor a folder", "expected")),
    # kinds of files
    BadInput("a text called .nii", content("a.nii", b"hello, no image here"), ("no known image format", "check")),
    BadInput("a web page called .nii.gz", content("a.nii.gz", b"<!DOCTYPE html>" * 40), ("no known image", "check")),
    BadInput("a compressed text", content("a.nii.gz", gzip.compress(b"x" * 999)), ("no known image format", "check")),
    BadInput("a gzip stream with a damaged start", content("a.nii.gz", b"\x1f\x8b\x08\0" + b"\xff" * 90), ("gzip", "copy it")),
    BadInput("a header of Analyze 7.5", content("a.hdr", struct.pack("<i", 348) + bytes(344)), ("Analyze 7.5", "convert")),
    # NIfTI
    BadInput("NIfTI, cut inside the gzip stream", cut(nifti(), 0.6), ("truncated", "Copy it again")),
    BadInput("NIfTI, cut inside the voxels", cut(nifti(name="a.nii"), 0.8), ("truncated", "Copy it again")),
    BadInput("NIfTI, cut inside the header", cut(nifti(name="a.nii"), 0.35), ("cut off inside its header", "Copy it again")),
    BadInput("NIfTI header of a pair without its .img", header_without_data, ("damaged or truncated", "Copy it again")),
    BadInput("NIfTI that unpacks without end", nifti_bomb, ("32767", "damaged")),
    BadInput("NIfTI of 32767 x 32767 x 32767", nifti(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1], name="a.nii"), ("32767 x 32767 x 32767 voxels", "cropped or resampled")),
    BadInput("NIfTI with negative size", nifti(dim=[3, 6, -5, 4, 1, 1, 1, 1]), ("dimensions", "expected")),
    BadInput("NIfTI with size 0", nifti(dim=[3, 6, 0, 4, 1, 1, 1, 1]), ("dimensions", "expected")),
    BadInput("NIfTI with 9 dimensions", nifti(dim=[9, 6, 5, 4, 1, 1, 1, 1]), ("contradicts itself", "copy it again")),
    BadInput("NIfTI header of the other byte order", byte_swapped_header, ("contradicts itself", "copy it again")),
    BadInput("NIfTI of an unknown data type", nifti(datatype=77), ("damaged", "Copy it again")),
    BadInput("NIfTI with complex values", nifti(ramp().astype(np.complex64)), ("complex", "Save its magnitude")),
    BadInput("NIfTI with spacing 0", nifti(pixdim=[1, 0, 2, 3, 0, 0, 0, 0], sform_code=0, qform_code=0), ("spacing", "Correct the header")),
    BadInput("NIfTI with a place that is NaN", nan_affine, ("affine", "")),
    BadInput("NIfTI whose axes coincide", nifti(srow_x=[2, 0, 0, 0], srow_y=[2, 0, 0, 0]), ("affine", "")),
    BadInput("NIfTI with an infinite scale", nifti(ramp().astype(np.int16), scl_slope=np.inf, scl_inter=2), ("(scl_slope) is infinite", "copy the file")),
    BadInput("NIfTI with one NaN", not_finite(np.nan), ("1 values that are NaN or infinite", "Replace")),
    BadInput("NIfTI with infinity", not_finite(-np.inf), ("NaN or infinite", "Replace")),
    BadInput("NIfTI of NaN only", not_finite(np.nan, None), ("NaN or infinite", "Replace")),
    BadInput("NIfTI with one value only", constant, ("constant", "nothing to fuse")),
    BadInput("NIfTI of 4 dimensions, no frame chosen", nifti(ramp((6, 5, 4, 3))), ("series of 3 volumes", "--frame")),
    BadInput("NIfTI of 4 dimensions, frame 3 of 0 to 2", nifti(ramp((6, 5, 4, 3))), ("does not exist", "0 to 2"), 2, ("--frame", "3")),
    BadInput("NIfTI of 5 dimensions", nifti(ramp((4, 4, 4, 2, 3))), ("components", "Choose one component")),
    BadInput("NIfTI of 6 dimensions", nifti(ramp((3, 3, 3, 2, 2, 2))), ("dimensions", "expected")),
    BadInput("NIfTI that lies elsewhere", far_away, ("do not overlap", "")),
    # NRRD and MetaImage
    BadInput("NRRD, cut", itk_header("a.nrrd", NRRD.format(sizes="9 9 9", more=""), bytes(50)), ("damaged or truncated", "copy")),
    BadInput("NRRD of 10¹⁵ voxels", itk_header("a.nrrd", NRRD.format(sizes="99999 99999 99999", more="")), ("99999 x 99999 x 99999 voxels", "cropped or resampled")),
    BadInput("NRRD, data outside its folder", itk_header("a.nhdr", NRRD.format(sizes="2 2 2", more="data file: ../../../etc/passwd\n")), ("outside its own folder", "beside")),
    BadInput("NRRD, data file absent", itk_header("a.nhdr", NRRD.format(sizes="2 2 2", more="data file: gone.raw\n")), ("not there", "copy")),
    BadInput("NRRD with spacing 0", itk_header("a.nrrd", NRRD.format(sizes="2 2 2", more="").replace("(0,0,1)", "(0,0,0)"), bytes(range(16))), ("spacing", "copy it again")),
    BadInput("MetaImage of 10¹² voxels", itk_header("a.mha", MHA.format(sizes="9999 9999 9999", spacing="1 1 1", more="", file="LOCAL")), ("9999 x 9999 x 9999 voxels", "cropped or resampled")),
    BadInput("MetaImage with spacing 0", itk_header("a.mha", MHA.format(sizes="2 2 2", spacing="1 0 1", more="", file="LOCAL"), bytes(range(16))), ("spacing", "copy it again")),
    BadInput("MetaImage with a list of files", itk_header("a.mhd", MHA.format(sizes="2 2 2", spacing="1 1 1", more="", file="LIST")), ("list of data files", "one file")),
    # pictures
    BadInput("a picture for a volume", picture((8, 6)), ("2-D picture", "two of one kind")),
    BadInput("a picture, cut", cut(picture((64, 64)), 0.5), ("cannot be read", "copy it again")),
    BadInput("a picture of 60000 x 60000 pixels", picture_bomb, ("too many pixels", "smaller")),
    # archives
    BadInput("archive, a member that points outside", archive(("../../evil.dcm", dicom_bytes(phantom.dataset()))), ("points outside", "Pack")),
    BadInput("archive, a member with an absolute name", archive(("/etc/evil", dicom_bytes(phantom.dataset()))), ("points outside", "Pack")),
    BadInput("archive with a link", archive(("a", b"/etc/passwd"), tweak=symbolic_link), ("symbolic link", "Pack the files")),
    BadInput("archive that unpacks to 300 MiB from 300 KiB", zip_bomb, ("would unpack to", "Unpack it yourself")),
    BadInput("archive with a password", encrypted_zip, ("encrypted", "give the folder")),
    BadInput("archive, cut", cut(archive(("a.dcm", dicom_bytes(phantom.dataset()))), 0.7), ("damaged", "copy it again")),
    BadInput("archive without images", archive(("a.txt", b"no image")), ("holds no DICOM file", "give the file")),
    BadInput("archive without members", archive(), ("holds no DICOM file", "give the file")),
    # DICOM: kinds of objects
    BadInput("DICOMDIR", directory, ("is a DICOMDIR", "Give the folder")),
    BadInput("structured report", one(other_object(phantom.REPORT, "SR")), ("holds no DICOM image, only", "Expected MR, PET")),
    BadInput("radiotherapy structures", one(other_object("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT")), ("holds no DICOM image, only", "Expected MR, PET")),
    BadInput("document (encapsulated PDF)", one(other_object("1.2.840.10008.5.1.4.1.1.104.1", "DOC")), ("holds no DICOM image, only", "Expected MR, PET")),
    BadInput("segmentation", one(segmentation), ("is a segmentation", "expected MR, PET")),
    BadInput("screen capture that says NM", one(capture("NM")), ("picture of a screen", "Choose the series")),
    BadInput("screen capture that says PT", one(capture("PT")), ("picture of a screen", "Choose the series")),
    BadInput("SPECT projections", one(projections), ("'TOMO'", "Export the reconstruction")),
    BadInput("multi-frame MR without places", one(enhanced_without_places), ("unctional", "xport")),
    # DICOM: damage
    BadInput("DICOM, one slice cut", truncated_series, ("truncated", "Copy it again")),
    BadInput("DICOM, one slice empty", emptied_series, ("004.dcm", "Copy it again")),
    BadInput("DICOM mark, then noise", content("a.dcm", bytes(128) + b"DICM" + b"\xff" * 300), ("damaged", "opy it again")),
    BadInput("DICOM with damaged compression", study(phantom.slices, damaged_compression), ("cannot be decoded", "export it uncompressed")),
    BadInput("DICOM, transfer syntax unknown", unknown_syntax, ("ransfer", "xport")),
    BadInput("DICOM of 65535 x 65535 pixels", study(phantom.slices, absurd_matrix), ("truncated", "Copy it again")),
    BadInput("DICOM without rows", study(phantom.slices, put(Rows=0)), ("0 rows", "Export")),
    BadInput("DICOM with Rescale Slope 0", study(phantom.slices, put(RescaleSlope=0)), ("Rescale Slope (0028,1053)", "Export")),
    # DICOM: geometry
    BadInput("DICOM without positions", study(phantom.slices, drop("ImagePositionPatient")), ("Image Position (Patient) (0020,0032)", "Export")),
    BadInput("DICOM without orientation", study(phantom.slices, drop("ImageOrientationPatient")), ("Image Orientation (Patient) (0020,0037)", "Export")),
    BadInput("DICOM without pixel spacing", study(phantom.slices, drop("PixelSpacing")), ("Pixel Spacing (0028,0030)", "Export")),
    BadInput("DICOM with pixel spacing 0", study(phantom.slices, put(PixelSpacing=[0, 1])), ("Pixel Spacing (0028,0030)", "positive")),
    BadInput("DICOM with a position that is NaN", study(phantom.slices, put(ImagePositionPatient=["nan", "0", "0"])), ("Image Position (Patient) (0020,0032)", "finite")),
    BadInput("DICOM with vectors of length 2", study(phantom.slices, put(ImageOrientationPatient=[2, 0, 0, 0, 1, 0])), ("(0020,0037)", "unit vectors")),
    BadInput("DICOM of one slice", study(phantom.slices, positions=[phantom.ORIGIN]), ("one slice only", "whole series")),
    BadInput("DICOM, a slice missing", study(phantom.slices, positions=GAPPED), ("misses 1 slice", "Copy the whole series")),
    BadInput("DICOM, uneven slices", study(phantom.slices, positions=UNEVEN), ("irregular", "Copy the whole series")),
    BadInput("DICOM, tilted gantry", study(phantom.slices, step=(0, 1, 3)), ("tilted", "--accept-tilt")),
    BadInput("DICOM, two slices at each place", study(phantom.slices, positions=TWICE), ("lie at one place", "Remove the copy")),
    # DICOM: which series, which patient, which frame
    BadInput("DICOM, two patients in one folder", two_patients, ("more than one patient", "Give the folder of one patient")),
    BadInput("DICOM, two patients in one series", study(phantom.pet_slices, two_patients_in_one_series), ("more than one patient", "Give the folder of one patient")),
    BadInput("DICOM, two MR series", two_series, ("2 volumes that could be meant", "--functional-series")),
    BadInput("DICOM, a PET that lacks a slice beside a CT", broken_pet_beside_ct, ("misses 1 slice", "--functional-series")),
    BadInput("DICOM, a series that is not there", two_series, ("fits 's9'", "s1"), 2, ("--functional-series", "s9")),
    BadInput("dynamic PET, no frame chosen", study(phantom.slices, dynamic, sop=phantom.PT, positions=TWICE), ("series of 2 volumes by frame reference time", "--frame")),
    BadInput("DICOM, 300 echo times in one series", many_echoes, ("more than 256 volumes", "Export one")),
    # DICOM: SUV
    BadInput("PET without weight", study(phantom.pet_slices, drop("PatientWeight")), ("Patient's Weight (0010,1030)", "--quantity raw")),
    BadInput("PET with two tracers", study(phantom.pet_slices, two_tracers), ("2 items", "--quantity raw")),
    BadInput("PET, injected 10 s after the start on no stated day", study(phantom.pet_slices, injected_soon_after_the_start), ("Radiopharmaceutical Start Time (0018,1072)", "--quantity raw")),
    BadInput("PET in PROPCNTS", study(phantom.pet_slices, put(Units="PROPCNTS")), ("PROPCNTS", "--quantity raw")),
    BadInput("PET given as the MRI", study(phantom.pet_slices), ("first image is PET", "Give the MRI first"), as_mri=True),
)  # fmt: skip
