"""Read COCO results files: detected objects with scores. The counterpart of `write_results`.

Each result is matched to a picture and a category of an annotation file, by name if it has one, else by id.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np

from rooftop.coco.columns import are_valid_runs, compress_run, is_too_long
from rooftop.coco.index import Index
from rooftop.coco.parse import Id, RunLengths, map_file
from rooftop.coco.write import Result, Rings
from rooftop.errors import DataError, brief
from rooftop.raster.rasterise import Run, decode, encode, ring_runs

_NONE = msgspec.Raw(b"null")
_SEGMENTATION = msgspec.json.Decoder(list[list[float]] | RunLengths)
_BOX = msgspec.json.Decoder(list[float])
_OUTLINE = msgspec.json.Decoder(list[list[float]])


log = logging.getLogger(__name__)


class Named(Protocol):
    """A result with ids and, optionally, names.

    `predict.py` has no annotation file and numbers pictures and categories from 1, so it adds the names.

    Attributes:
        picture: file name of the picture without its folder, empty if `image_id` is the id of the annotation file.
        category: name of the category.
    """

    image_id: float
    category_id: float
    picture: Any
    category: Any


class Identity:
    """Finds the ids of an annotation file for results, also for results numbered without that file."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._pictures, self._categories = set(index.ids.tolist()), set(index.category_ids(None))

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        """Picture ids by file name without folders, since `picture` of a result has none."""
        found: dict[str, list[int]] = defaultdict(list)
        for name, number in zip(self._index.names, self._index.ids.tolist(), strict=True):
            found[PurePosixPath(name).name].append(number)
        return found

    def of(self, result: Named) -> tuple[int, int]:
        """Return picture id and category id.

        Raises:
            LookupError: the annotation file has no such picture or category, or two pictures of this name. The caller
                appends the file name to the message.
        """
        return self._picture(result), self._category(result)

    def _picture(self, result: Named) -> int:
        if not result.picture:
            return _known(result.image_id, self._pictures, f"no picture has image_id {result.image_id} in")
        found = self._by_name.get(str(result.picture), [])
        if len(found) != 1:
            owners = f"{len(found)} pictures" if found else "no picture"
            raise LookupError(f"{brief(result.picture)} is the name of {owners} in")
        return found[0]

    def _category(self, result: Named) -> int:
        """Match by name; a file with a single category matches any name (roof, building, house)."""
        if not result.picture:
            return _known(result.category_id, self._categories, f"no category has category_id {result.category_id} in")
        named = [known.id for known in self._index.categories if known.name == result.category]
        found = named or ([*self._categories] if len(self._categories) == 1 else [])
        if not found:
            raise LookupError(f"no category is named {brief(result.category)} in")
        return found[0]


def _known(number: float, known: set[int], message: str) -> int:
    if number not in known:  # 7.0, as tables write it, is 7
        raise LookupError(message)
    return int(number)


_Name = Annotated[str, msgspec.Meta(max_length=4096)]


class _Entry(msgspec.Struct, gc=False):
    """One detected object of the file; its outline is parsed only when needed."""

    image_id: Id | float
    category_id: Id | float
    score: float
    segmentation: msgspec.Raw = _NONE
    bbox: msgspec.Raw = _NONE
    outline: msgspec.Raw = _NONE
    picture: _Name | int | float | None = None
    category: _Name | int | float | None = None


@dataclass(frozen=True)
class ReadResult(Result):
    """A detected object read from a file.

    Attributes:
        rings: rings of `segmentation`, float64 (n, 2) in pixels, separate parts without holes; None for run lengths.
        area: of its box in square pixels, if the file states boxes: COCOeval sorts such a file by these; else None.
    """

    rings: Rings | None = field(default=None, compare=False)
    area: float | None = field(default=None, compare=False)


class Results:
    """The detected objects of one results file; created by `read_results`."""

    def __init__(self, path: Path, entries: dict[int, list[tuple[int, _Entry]]], index: Index) -> None:
        """Store the entries by picture id, each with its number in the file."""
        self.path = path
        self._entries = entries
        # pycocotools asks the first result whether the file states boxes
        self._has_boxes = any(number == 0 and _box(e) for of in entries.values() for number, e in of[:1])
        self._has_warned = False
        self._sizes = dict(zip(index.ids.tolist(), index.sizes.tolist(), strict=True))

    def of(self, image_id: int) -> list[ReadResult]:
        """Return the detected objects of a picture, in the order of the file.

        Raises:
            DataError: an outline is malformed.
        """
        height, width = self._sizes[image_id]
        shaped = ((e, self._shape(number, e, (height, width))) for number, e in self._entries.get(image_id, ()))
        return [
            ReadResult(image_id, int(e.category_id), e.score, run, outline, rings=rings, area=self._area(e))
            for e, (run, outline, rings) in shaped
        ]

    @property
    def without_outline(self) -> int:
        """Number of results with run lengths only; their outline can only follow the edges of pixels."""
        listed = (entry for entries in self._entries.values() for _, entry in entries)
        return sum(entry.outline == _NONE and bytes(entry.segmentation).lstrip()[:1] == b"{" for entry in listed)

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def _area(self, entry: _Entry) -> float | None:
        box = _box(entry) if self._has_boxes else []
        return box[2] * box[3] if box else None

    def _shape(self, number: int, entry: _Entry, size: tuple[int, int]) -> tuple[Run, Rings | None, Rings | None]:
        """Return run lengths; the polygon of `outline` or None; the rings of `segmentation` or None."""
        try:
            shape = _SEGMENTATION.decode(entry.segmentation) if entry.segmentation != _NONE else _rectangle(_box(entry))
        except msgspec.DecodeError as error:
            raise self._wrong(
                number, f"its segmentation is neither a list of rings nor run lengths ({brief(error, 150)})"
            ) from error
        if isinstance(shape, RunLengths):
            counts = shape.counts.encode() if isinstance(shape.counts, str) else compress_run(shape.counts, *size)
            if shape.size != size or not are_valid_runs([counts], np.array([size[0] * size[1]]))[0]:
                raise self._wrong(number, f"its run lengths do not fill the picture of {size[1]} x {size[0]} px")
            return {"size": list(size), "counts": counts}, self._polygon(number, entry), None
        rings = self._rings(number, self._with_area(number, shape))
        return encode(decode(ring_runs(rings, *size), *size)), None, rings

    def _polygon(self, number: int, entry: _Entry) -> Rings | None:
        """The key `outline`, added to run lengths by `write_results`."""
        if entry.outline == _NONE:
            return None
        try:
            return self._rings(number, _OUTLINE.decode(entry.outline))
        except msgspec.DecodeError as error:
            raise self._wrong(number, f"its outline is not a list of rings ({brief(error, 150)})") from error

    def _with_area(self, number: int, rings: list[list[float]]) -> list[list[float]]:
        """Leave out what pycocotools does not draw: rings of fewer than 3 points, a coordinate without a partner."""
        drawn = [ring[: len(ring) // 2 * 2] for ring in rings if len(ring) >= 6]
        if not drawn:
            raise self._wrong(number, "its segmentation has no ring of 3 points or more")
        if drawn != rings and not self._has_warned:
            self._has_warned = True
            log.warning(
                "%s: result %d: a ring of fewer than 3 points is left out, one with an odd number of coordinates drawn "
                "without the last, as pycocotools does; other results like it are not named",
                *(self.path, number),
            )
        return drawn

    def _rings(self, number: int, listed: list[list[float]]) -> Rings:
        rings = [np.array(ring).reshape(-1, 2) for ring in listed if len(ring) % 2 == 0 and len(ring) >= 6]
        if len(rings) != len(listed) or not all(np.isfinite(ring).all() for ring in rings):
            raise self._wrong(
                number, "a ring has fewer than 3 points, an odd number of coordinates, or NaN or infinity"
            )
        if any(is_too_long(ring) for ring in rings):
            raise self._wrong(
                number, "a ring reaches more than a million pixels beyond its picture or is too long to draw"
            )
        return rings

    def _wrong(self, number: int, why: str) -> DataError:
        return DataError(f"{self.path}: result {number}: {why}; write the file again.")


def _box(entry: _Entry) -> list[float]:
    """x, y, width, height of a result in pixels; [] without."""
    try:
        box = _BOX.decode(entry.bbox)[:4]
    except msgspec.DecodeError:
        return []
    return box if len(box) == 4 else []


def _rectangle(box: list[float]) -> list[list[float]]:
    """The corners of a box, in the order of pycocotools; a result without segmentation is its box."""
    if not box:
        return []
    x, y, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    return [[x, y, x, bottom, right, bottom, right, y]]


def read_results(path: Path, index: Index) -> Results:
    """Read a results file for the pictures and categories of `index`, matched by `Identity`.

    Raises:
        DataError: the file is missing, is not a results file, or names unknown pictures or categories.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name the file in it, e.g. {path}/predictions.coco.json.")
    try:
        listed = msgspec.json.decode(map_file(path), type=list[_Entry])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not a COCO results file ({brief(error, 150)}); expected is a list of "
            "objects with image_id, category_id, segmentation and score."
        ) from error
    identity, entries = Identity(index), defaultdict[int, list[tuple[int, _Entry]]](list)
    for number, entry in enumerate(listed):
        try:
            entry.image_id, entry.category_id = identity.of(entry)
        except LookupError as error:
            raise DataError(
                f"{path}: result {number}: {error} {index.source}; use the ids of that file, or the names of its "
                "pictures as predict.py does."
            ) from error
        if entry.segmentation == _NONE and not _box(entry):
            raise DataError(f"{path}: result {number}: it has neither segmentation nor bbox; write the file again.")
        if not isfinite(entry.score):
            raise DataError(f"{path}: result {number}: its score is {entry.score}; write the file again.")
        entries[int(entry.image_id)].append((number, entry))
    return Results(path, dict(entries), index)
