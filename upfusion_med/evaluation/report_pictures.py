"""The pairs that a report shows as pictures: where the reference method is worst and best, with every result."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from upfusion_med.core import UpFusionError
from upfusion_med.evaluation.methods import FolderMethod, Kind, Method
from upfusion_med.evaluation.pairs import Pair
from upfusion_med.evaluation.picture_levels import Levels, grey, read_levels
from upfusion_med.evaluation.reader_measures import Composition, colour_picture
from upfusion_med.evaluation.results import Results
from upfusion_med.evaluation.source_colours import read_pair

#: Pairs shown from each end of a group's order.
PER_END = 2
#: Metrics to order pairs by, the first that was measured; Q_P comes last, it can be won by emptiness (facts C.9).
ORDER_BY = ("vif", "q_abf", "ssim", "scd", "mi", "q_ncie", "q_p")
#: Largest side that is embedded; larger pictures are halved until they fit.
LARGEST_SIDE = 1024
#: Pictures with more pixels than this are embedded as JPEG.
_PNG_PIXELS = 320 * 320


@dataclass(frozen=True)
class Case:
    """A pair to look at.

    Attributes:
        pair: The pair.
        index: Its place in the run.
        why: ``"worst"`` or ``"best"``.
        metric: What the order follows.
        value: The reference method's value.
        pictures: (name, data URL): A, B, then every method that has a result; no copies.
        size: Width and height of the pair in pixels.
    """

    pair: Pair
    index: int
    why: str
    metric: str
    value: float
    pictures: tuple[tuple[str, str], ...]
    size: tuple[int, int]


def choose_cases(results: Results) -> list[tuple[int, str, str, float]]:
    """(place in the run, worst or best, metric, value) of the pairs to show, group by group."""
    table = results.table
    columns = {c.key: c for c in results.columns}
    ordered = [k for k in ORDER_BY if k in columns] or [c.key for c in results.columns if c.is_ranked]
    if not ordered:
        return []
    metric = ordered[0]
    own = table.of_metric(metric)[table.row(results.reference)]
    chosen = []
    for group in table.groups:
        places = [p for p, pair in enumerate(table.pairs) if pair.group == group and np.isfinite(own[p])]
        places.sort(key=lambda p: (columns[metric].merit(own[p]), p))
        worst = places[: min(PER_END, (len(places) + 1) // 2)]
        best = places[len(worst) :][-PER_END:][::-1]
        chosen += [(p, "worst", metric, float(own[p])) for p in worst]
        chosen += [(p, "best", metric, float(own[p])) for p in best]
    return chosen


def build_cases(
    results: Results,
    methods: Sequence[Method],
    fused_by: Callable[[Method, Pair, Levels, Levels], Levels],
    composition: Composition,
) -> list[Case]:
    """The pictures of the chosen pairs.

    Args:
        results: The finished run.
        methods: What was compared, in the order of the run.
        fused_by: Gives a method's grey result for a pair (method, pair, a, b).
        composition: How results get their colour.
    """
    cases = []
    for index, why, metric, value in choose_cases(results):
        pair = results.table.pairs[index]
        a, b = read_pair(pair)
        pictures = [("A", a), ("B", b)]
        for method in methods:
            if method.kind is Kind.COPY:
                continue  # it is A or B again
            try:
                pictures.append((method.name, _shown(method, pair, a, b, fused_by, composition)))
            except UpFusionError:
                continue  # listed among the failures already; here its panel is missing
        encoded = tuple((name, data_url(picture)) for name, picture in pictures)
        cases.append(Case(pair, index, why, metric, value, encoded, (a.shape[1], a.shape[0])))
    return cases


def _shown(
    method: Method,
    pair: Pair,
    a: Levels,
    b: Levels,
    fused_by: Callable[[Method, Pair, Levels, Levels], Levels],
    composition: Composition,
) -> Levels:
    """A method's picture: in the colours of A; finished results that have colours of their own as they are."""
    if isinstance(method, FolderMethod):
        own = read_levels(method.file_of(pair))
        if own.ndim == 3:
            return own
    return colour_picture(fused_by(method, pair, grey(a), b), a, composition)


def data_url(picture: Levels) -> str:
    """The picture as a ``data:`` address: PNG for small ones, JPEG of high quality for large ones."""
    from PIL import Image

    image = Image.fromarray(picture)
    while max(image.size) > LARGEST_SIDE:
        image = image.resize((max(image.width // 2, 1), max(image.height // 2, 1)), Image.Resampling.BOX)
    stream = io.BytesIO()
    if image.width * image.height <= _PNG_PIXELS:
        image.save(stream, format="PNG", optimize=True)
        kind = "png"
    else:
        image.save(stream, format="JPEG", quality=92, subsampling=0)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
