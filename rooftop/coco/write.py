"""Annotations and results as COCO json, streamed: memory does not grow with the file.

`read(write(c)) == c`: what `open_index` reads out of a file written here is what was handed over.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rooftop.coco.index import CocoObject, Index
from rooftop.coco.parse import Category
from rooftop.files import atomic_write
from rooftop.raster.rasterise import Run, encode, rasterise

Rings = Sequence[NDArray[np.float64]]
_DIGITS = 2  # of a pixel that outlines keep


@dataclass(frozen=True)
class Picture:
    """A picture with its annotations.

    name: of the file, relative to the folder of the pictures, `/` between parts. height, width: in pixels.
    """

    id: int
    name: str
    height: int
    width: int
    objects: Sequence[CocoObject]


@dataclass(frozen=True)
class Result:
    """A found object.

    score: in [0, 1]. rle: run lengths of the size of the picture; they keep holes. outline: rings of its polygon, if it
    is one, float64 (n, 2) in pixels without the first corner again, outer ring first, then holes. picture, category:
    where the ids are of no annotation file, the names by which `read_results` finds those of one.
    """

    image_id: int
    category_id: int
    score: float
    rle: Run
    outline: Rings | None = field(default=None, compare=False)
    picture: str = ""
    category: str = ""


def pictures(index: Index) -> Iterator[Picture]:
    """Every picture of an index with its annotations, one after the other."""
    for i, (height, width) in enumerate(index.sizes.tolist()):
        yield Picture(int(index.ids[i]), index.names[i], height, width, index.objects(i))


def measured(thing: CocoObject, height: int, width: int) -> CocoObject:
    """The same object with the area it covers, in pixels of a picture of `height` x `width`.

    pycocotools refuses to evaluate annotations without an area.
    """
    return replace(thing, area=float(coco.area(encode(rasterise([thing], height, width)))))


def write_annotations(path: Path, content: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write a data set, whole or not at all.

    The bounding box is computed from the outline. An area of NaN is left out; see `measured`.

    Args:
        path: of the json.
        content: pictures, each asked for once, so that a generator serves.
        categories: at least those that the annotations use.
    """
    entries: list[dict[str, Any]] = []
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(b'{\n"categories": ' + msgspec.json.encode(list(categories)) + b',\n"annotations": [\n')
        _write_items(file, _annotations(content, entries))
        # last, since they are known only when all annotations went by
        file.write(b'\n],\n"images": [\n')
        _write_items(file, entries)
        file.write(b"\n]\n}\n")


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write found objects as pycocotools' `loadRes` reads them, whole or not at all; a generator serves.

    It wants run lengths, which keep holes but are stairs of pixels; the outline goes beside them, as a key of its own.
    """
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(b"[\n")
        _write_items(file, (_result(result) for result in results))
        file.write(b"\n]\n")


def _write_items(file: IO[bytes], items: Iterable[dict[str, Any]]) -> None:
    """Write JSON objects, one a line, with commas between them."""
    for i, item in enumerate(items):
        file.write((b",\n" if i else b"") + msgspec.json.encode(item))


def _annotations(content: Iterable[Picture], entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each annotation as the file has it; the entries of the pictures are gathered on the way."""
    for picture in content:
        size = {"width": picture.width, "height": picture.height}
        entries.append({"id": picture.id, "file_name": picture.name, **size})
        for thing in picture.objects:
            yield _annotation(thing, picture.id)


def _annotation(thing: CocoObject, picture: int) -> dict[str, Any]:
    """One annotation as the file has it."""
    segmentation = _as_text(thing.rle) if thing.rle else [ring.ravel().tolist() for ring in thing.rings or ()]
    fields = {
        "id": thing.annotation_id,
        "image_id": picture,
        "category_id": thing.category_id,
        "segmentation": segmentation,
        "bbox": _box(thing),
        "iscrowd": int(thing.is_crowd),
    }
    return fields if np.isnan(thing.area) else fields | {"area": thing.area}


def _box(thing: CocoObject) -> list[float]:
    """Bounding box: x, y, width, height in pixels."""
    if thing.rle:
        box: list[float] = coco.toBbox(thing.rle).tolist()
        return box
    points = np.concatenate(thing.rings or [np.zeros((1, 2))])
    low = points.min(axis=0)
    return [*low.tolist(), *(points.max(axis=0) - low).tolist()]


def _result(result: Result) -> dict[str, Any]:
    """One result as the file has it."""
    fields = {
        "image_id": result.image_id,
        "category_id": result.category_id,
        "segmentation": _as_text(result.rle),
        "score": result.score,
    }
    fields |= {name: text for name in ("picture", "category") if (text := getattr(result, name))}
    if result.outline is None:
        return fields
    return fields | {"outline": [ring.round(_DIGITS).ravel().tolist() for ring in result.outline]}


def _as_text(rle: Run) -> Run:
    """Run lengths with the bytes as text, since JSON has no bytes."""
    return {"size": rle["size"], "counts": rle["counts"].decode()}
