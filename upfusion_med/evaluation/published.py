"""Values that papers print, each with its source; measured on other test pairs, shown only beside our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: What every published row is marked with: nobody published the list of pairs.
MARK = "published, other test pairs"
_PAPER = "Li, Li, Jiang: UP-Fusion, AAAI 2026, DOI 10.1609/aaai.v40i8.37581"
_KEYS = ("q_ncie", "q_p", "vif", "ssim_l1", "q_abf")


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Attributes:
        method: As the paper names it.
        values: Metric key to value, as printed.
        source: Paper and table.
        mark: What tells readers that the row is no measurement of this run.
    """

    method: str
    values: Mapping[str, float]
    source: str
    mark: str = MARK


# Columns: Q_NCIE, Q_P, VIF, SSIM, Q^AB/F. The SSIM fits L = 1 on 0..255 data only (facts C.4), hence the key ssim_l1.
_TABLE_1: dict[str, dict[str, tuple[float, ...]]] = {
    "msrs": {
        "SAGE": (0.8123, 0.5210, 0.4359, 0.4691, 0.6242),
        "TDFusion": (0.8159, 0.5529, 0.4257, 0.5010, 0.6770),
        "GIFNet": (0.8048, 0.3314, 0.2781, 0.4192, 0.4542),
        "EMMA": (0.8110, 0.4407, 0.3689, 0.4613, 0.5947),
        "CrossFuse": (0.8142, 0.3564, 0.3246, 0.3931, 0.4943),
        "TIMFusion": (0.8051, 0.1913, 0.1834, 0.2834, 0.4078),
        "CoCoNet": (0.8061, 0.2925, 0.1669, 0.2987, 0.3547),
        "UP-Fusion": (0.8167, 0.5671, 0.4587, 0.5074, 0.6859),
    },
    "llvip": {
        "SAGE": (0.8065, 0.4128, 0.3590, 0.4223, 0.5631),
        "TDFusion": (0.8082, 0.4406, 0.3577, 0.4485, 0.6252),
        "GIFNet": (0.8058, 0.3399, 0.2126, 0.3855, 0.4515),
        "EMMA": (0.8075, 0.4183, 0.3301, 0.4339, 0.5969),
        "CrossFuse": (0.8129, 0.4095, 0.3398, 0.4396, 0.6246),
        "TIMFusion": (0.8042, 0.1361, 0.2018, 0.2629, 0.2754),
        "CoCoNet": (0.8062, 0.4007, 0.2434, 0.3799, 0.5081),
        "UP-Fusion": (0.8092, 0.5042, 0.3817, 0.4636, 0.6864),
    },
    "m3fd": {
        "SAGE": (0.8065, 0.4813, 0.4110, 0.4909, 0.5974),
        "TDFusion": (0.8065, 0.4748, 0.4041, 0.5231, 0.6270),
        "GIFNet": (0.8061, 0.4002, 0.2918, 0.4710, 0.5243),
        "EMMA": (0.8109, 0.5341, 0.3829, 0.4787, 0.6032),
        "CrossFuse": (0.8140, 0.4122, 0.3807, 0.4634, 0.5844),
        "TIMFusion": (0.8055, 0.2926, 0.2680, 0.3928, 0.4912),
        "CoCoNet": (0.8049, 0.3242, 0.1967, 0.3288, 0.3447),
        "UP-Fusion": (0.8119, 0.5190, 0.4582, 0.5163, 0.6275),
    },
    "harvard": {
        "SAGE": (0.8058, 0.3374, 0.2263, 0.2054, 0.4244),
        "TDFusion": (0.8070, 0.4961, 0.2859, 0.4518, 0.6410),
        "GIFNet": (0.8054, 0.2784, 0.1689, 0.1942, 0.4195),
        "EMMA": (0.8068, 0.5154, 0.2745, 0.3029, 0.6489),
        "CrossFuse": (0.8072, 0.3626, 0.2390, 0.2232, 0.5645),
        "TIMFusion": (0.8056, 0.3671, 0.2299, 0.1600, 0.3364),
        "CoCoNet": (0.8056, 0.3900, 0.2068, 0.1872, 0.4750),
        "UP-Fusion": (0.8074, 0.5665, 0.3190, 0.3639, 0.6814),
    },
}
_TABLE_2: dict[str, dict[str, tuple[float, ...]]] = {
    "harvard": {
        "ALMFnet": (0.8068, 0.5434, 0.3003, 0.5777, 0.6780),
        "GeSeNet": (0.8066, 0.5576, 0.2900, 0.5425, 0.7058),
        "MMIF-INet": (0.8071, 0.5591, 0.2958, 0.2599, 0.7155),
    },
    "gfp-pc": {
        "ALMFnet": (0.8102, 0.4813, 0.3077, 0.3140, 0.5839),
        "GeSeNet": (0.8146, 0.4740, 0.3049, 0.3202, 0.6044),
        "MMIF-INet": (0.8078, 0.3274, 0.2448, 0.2966, 0.4949),
        "UP-Fusion": (0.8170, 0.4826, 0.3193, 0.3339, 0.5914),
    },
}
# Columns: Q_NCIE, Q_P, VIF, SSIM; "primarily on the medical task", its last row equals Table 1's Harvard row.
_TABLE_3: dict[str, tuple[float, ...]] = {
    "UP-Fusion w/o SCPM": (0.8052, 0.5343, 0.3046, 0.2645),
    "UP-Fusion w/o GAM": (0.8071, 0.5488, 0.3151, 0.3478),
    "UP-Fusion w/o TCPM": (0.8054, 0.5221, 0.3016, 0.2824),
    "UP-Fusion w/o CA in TCPM": (0.8068, 0.5057, 0.2983, 0.2632),
    "UP-Fusion w/o ConvNeXt": (0.8072, 0.5478, 0.3018, 0.2807),
    "UP-Fusion w/o CA in SCPM": (0.8071, 0.5441, 0.3052, 0.3218),
}

#: IoU in % of BANet on MSRS, in the order of `segmentation.MSRS_CLASSES`, then the mean. As printed: CrossFuse's mean
#: is 0.33 below that of its classes.
SEGMENTATION_MSRS: dict[str, tuple[float, ...]] = {
    "SAGE": (98.38, 88.80, 69.53, 70.37, 57.13, 71.21, 86.06, 65.08, 76.90, 75.94),
    "TDFusion": (98.51, 90.37, 74.43, 71.90, 65.02, 74.39, 83.87, 65.94, 78.85, 78.14),
    "GIFNet": (98.40, 88.98, 71.13, 71.92, 59.19, 74.11, 78.05, 65.30, 64.62, 74.63),
    "EMMA": (98.53, 90.36, 74.65, 71.61, 64.61, 74.49, 83.73, 65.61, 76.36, 77.77),
    "CrossFuse": (98.11, 86.89, 65.17, 69.65, 49.31, 69.85, 75.76, 65.56, 59.36, 70.74),
    "TIMFusion": (97.76, 82.87, 66.34, 60.74, 40.07, 64.48, 77.93, 54.77, 55.10, 66.67),
    "CoCoNet": (98.12, 85.83, 68.66, 70.47, 52.57, 70.05, 74.03, 60.89, 53.90, 70.50),
    "UP-Fusion": (98.56, 90.49, 73.47, 71.94, 64.02, 74.05, 85.63, 66.10, 80.22, 78.28),
}
SEGMENTATION_SOURCE = f"{_PAPER}, Table 4 (BANet)"
#: AP of YOLOv7 on M3FD: people, car, bus, lamp, motorcycle, truck; then mAP@0.5 and mAP@[0.5:0.95].
DETECTION_M3FD: dict[str, tuple[float, ...]] = {
    "SAGE": (0.823, 0.918, 0.923, 0.817, 0.704, 0.832, 0.836, 0.532),
    "TDFusion": (0.831, 0.919, 0.919, 0.806, 0.715, 0.826, 0.836, 0.535),
    "GIFNet": (0.805, 0.907, 0.919, 0.785, 0.685, 0.783, 0.814, 0.506),
    "EMMA": (0.819, 0.900, 0.891, 0.727, 0.649, 0.787, 0.796, 0.498),
    "CrossFuse": (0.716, 0.907, 0.901, 0.792, 0.699, 0.807, 0.804, 0.503),
    "TIMFusion": (0.733, 0.906, 0.907, 0.783, 0.656, 0.779, 0.794, 0.499),
    "CoCoNet": (0.764, 0.899, 0.913, 0.748, 0.664, 0.743, 0.789, 0.485),
    "UP-Fusion": (0.825, 0.922, 0.927, 0.823, 0.728, 0.819, 0.841, 0.541),
}
DETECTION_SOURCE = f"{_PAPER}, Table 5 (YOLOv7)"


def published_rows(data: str) -> tuple[PublishedRow, ...]:
    """Published rows for a data set, by its name; none for sets that no table covers.

    The Harvard rows pool CT, PET and SPECT; how, and over which slices, the paper does not say.
    """

    def rows(table: Mapping[str, tuple[float, ...]], number: int) -> list[PublishedRow]:
        source = f"{_PAPER}, Table {number}"
        return [PublishedRow(name, dict(zip(_KEYS, values, strict=False)), source) for name, values in table.items()]

    found = rows(_TABLE_1.get(data, {}), 1) + rows(_TABLE_2.get(data, {}), 2)
    return tuple(found + (rows(_TABLE_3, 3) if data == "harvard" else []))
