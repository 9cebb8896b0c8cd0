"""Which picture and category of an annotation file a result means: by name where it has one, else by id.

Results files of COCO: objects found, with scores; the counterpart of `write_results`.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import msgspec
import numpy as np

from rooftop.coco.columns import are_valid_runs, compress_run, is_too_long
from rooftop.coco.index import Index
from rooftop.coco.parse import Id, RunLengths
from rooftop.coco.write import Result, Rings
from rooftop.errors import DataError
from rooftop.raster.rasterise import Run, decode, encode, ring_runs


class Named(Protocol):
    """A result.

    picture, category: names of a file and a category, where the ids are not those of the annotations: `predict.py` has
    never seen them and counts from 1.
    """

    image_id: int
    category_id: int
    picture: Any
    category: Any


class Identity:
    """Ids of an annotation file for results that may have been numbered without it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._pictures, self._categories = set(index.ids.tolist()), set(index.category_ids(None))

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        """Ids by the last part of the file's name, which is all that a picture's name says without its folder."""
        found: dict[str, list[int]] = defaultdict(list)
        for name, number in zip(self._index.names, self._index.ids.tolist(), strict=True):
            found[PurePosixPath(name).name].append(number)
        return found

    def of(self, result: Named) -> tuple[int, int]:
        """Picture id and category id.

        Raises:
            LookupError: the annotations have no such picture or category, or two; its text says so, up to the file.
        """
        return self._picture(result), self._category(result)

    def _picture(self, result: Named) -> int:
        if not result.picture:
            return _known(result.image_id, self._pictures, f"image_id {result.image_id} is no picture of")
        found = self._by_name.get(str(result.picture), [])
        if len(found) != 1:
            what = f"{len(found)} pictures" if found else "no picture"
            raise LookupError(f"{result.picture} is the name of {what} of")
        return found[0]

    def _category(self, result: Named) -> int:
        """Where there is one category, it is the one that is meant, whatever it is called: roof, building, house."""
        if not result.picture:
            return _known(result.category_id, self._categories, f"category_id {result.category_id} is no category of")
        named = [known.id for known in self._index.categories if known.name == result.category]
        found = named or ([*self._categories] if len(self._categories) == 1 else [])
        if not found:
            raise LookupError(f"{result.category} is no category of")
        return found[0]


def _known(number: int, there: set[int], unless: str) -> int:
    if number not in there:
        raise LookupError(unless)
    return number


_NONE = msgspec.Raw(b"null")


class _Entry(msgspec.Struct, gc=False):
    """A found object as the file lists it; its outline stays unparsed text until it is asked for."""

    image_id: Id
    category_id: Id
    segmentation: msgspec.Raw
    score: float
    outline: msgspec.Raw = _NONE
    picture: Any = None
    category: Any = None


@dataclass(frozen=True)
class ReadResult(Result):
    """A found object as a file has it. rings: as `segmentation` has them, each a part of its own, or None."""

    rings: Rings | None = field(default=None, compare=False)


_SEGMENTATION = msgspec.json.Decoder(list[list[float]] | RunLengths)
_OUTLINE = msgspec.json.Decoder(list[list[float]])


class Results:
    """The found objects of one results file; made by `read_results`."""

    def __init__(self, path: Path, entries: dict[int, list[tuple[int, _Entry]]], index: Index) -> None:
        """Keep the entries by picture, each with its number in the file."""
        self.path = path
        self._entries = entries
        self._sizes = dict(zip(index.ids.tolist(), index.sizes.tolist(), strict=True))

    def of(self, image_id: int) -> list[ReadResult]:
        """What was found in a picture, in the order of the file.

        Raises:
            DataError: an outline is not what the format says.
        """
        height, width = self._sizes[image_id]
        shaped = ((e, self._shape(number, e, (height, width))) for number, e in self._entries.get(image_id, ()))
        return [
            ReadResult(image_id, e.category_id, e.score, run, outline, rings=rings)
            for e, (run, outline, rings) in shaped
        ]

    @property
    def without_outline(self) -> int:
        """How many are run lengths and nothing else, whose outline can only be that of their pixels."""
        listed = (entry for entries in self._entries.values() for _, entry in entries)
        return sum(entry.outline == _NONE and bytes(entry.segmentation).lstrip()[:1] == b"{" for entry in listed)

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def _shape(self, number: int, entry: _Entry, size: tuple[int, int]) -> tuple[Run, Rings | None, Rings | None]:
        """Run lengths, the polygon, and rings of their own; the latter two where there are any."""
        try:
            said = _SEGMENTATION.decode(entry.segmentation)
        except msgspec.DecodeError as error:
            raise self._wrong(number, f"its segmentation is neither rings nor run lengths ({error})") from error
        if isinstance(said, RunLengths):
            counts = said.counts.encode() if isinstance(said.counts, str) else compress_run(said.counts, *size)
            if said.size != size or not are_valid_runs([counts], np.array([size[0] * size[1]]))[0]:
                raise self._wrong(number, f"its run lengths do not fill the picture of {size[1]} x {size[0]} px")
            return {"size": list(size), "counts": counts}, self._polygon(number, entry), None
        rings = self._rings(number, said)
        return encode(decode(ring_runs(rings, *size), *size)), None, rings

    def _polygon(self, number: int, entry: _Entry) -> Rings | None:
        """What `write_results` puts beside run lengths."""
        if entry.outline == _NONE:
            return None
        try:
            return self._rings(number, _OUTLINE.decode(entry.outline))
        except msgspec.DecodeError as error:
            raise self._wrong(number, f"its outline is no list of rings ({error})") from error

    def _rings(self, number: int, listed: list[list[float]]) -> Rings:
        rings = [np.array(ring).reshape(-1, 2) for ring in listed if len(ring) % 2 == 0 and len(ring) >= 6]
        if len(rings) != len(listed) or not all(np.isfinite(ring).all() for ring in rings):
            raise self._wrong(number, "a ring has fewer than three corners, or half a corner, or no number")
        if any(is_too_long(ring) for ring in rings):
            raise self._wrong(number, "a ring reaches a million pixels and more beyond its picture")
        return rings

    def _wrong(self, number: int, why: str) -> DataError:
        return DataError(f"{self.path}: result {number}: {why}; write the file again.")


def read_results(path: Path, index: Index) -> Results:
    """Read a results file, to be laid over the annotations of `index`; see `Identity` for what lies where.

    Raises:
        DataError: the file is missing, is no results file, or names pictures or categories that `index` has not.
    """
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=list[_Entry])
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder; name the file in it, e.g. {path}/predictions.coco.json.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: no COCO results ({error}); expected is a list of objects with image_id, category_id, "
            "segmentation and score."
        ) from error
    identity, entries = Identity(index), defaultdict[int, list[tuple[int, _Entry]]](list)
    for number, entry in enumerate(listed):
        try:
            entry.image_id, entry.category_id = identity.of(entry)
        except LookupError as error:
            raise DataError(
                f"{path}: result {number}: {error} {index.source}; results have to use its ids, or the names of its "
                "pictures, as those of predict.py do."
            ) from error
        if not isfinite(entry.score):
            raise DataError(f"{path}: result {number}: its score is {entry.score}; write the file again.")
        entries[entry.image_id].append((number, entry))
    return Results(path, dict(entries), index)
