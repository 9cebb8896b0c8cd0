"""The annotations of a data set as memory-mapped arrays, shared by all processes.

`pycocotools.COCO` holds 2.4 million annotations as Python dicts: gigabytes, and again in each loader worker.
Here an annotation file is parsed once into an index file, and each process maps it; Python objects are built only on
demand. Index files are cached under a hash of the content of the annotation file.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rooftop.coco.arrays import Array, open_arena
from rooftop.coco.build import build_index
from rooftop.coco.columns import DRAWN, SCORED, UNJUDGED, Damaged, Rejected
from rooftop.coco.names import Names
from rooftop.coco.parse import Category, map_file
from rooftop.errors import DataError, brief
from rooftop.files import atomic_write
from rooftop.raster.rasterise import Run, draw, ring_runs, run_area

CACHE = Path("outputs/.index")
UNKNOWN = "unknown"  # name of a category whose crowds nobody judges, not even the objects in them
_FORMAT = b"rooftop index 2"  # increase the number when the arrays change


@dataclass(frozen=True, eq=False)
class CocoObject:
    """One annotation, with either `rings` or `rle`.

    Attributes:
        annotation_id: as in the file.
        category_id: as in the file.
        is_crowd: the outline covers a group of uncounted objects.
        area: as in the file, square pixels; NaN if missing.
        rings: float64 (n, 2), x and y in pixels of the picture, origin at its top left corner; or None.
        rle: run lengths {"size": [height, width], "counts": bytes}, or None.
        is_drawn: False for what covers no pixel and only `Index.scored` knows.
    """

    annotation_id: int
    category_id: int
    is_crowd: bool
    area: float
    rings: list[NDArray[np.float64]] | None
    rle: Run | None
    is_drawn: bool = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CocoObject) and self._plain() == other._plain()

    def __hash__(self) -> int:
        return hash(self.annotation_id)

    def _plain(self) -> tuple[object, ...]:
        """All fields as plain containers; an area of NaN as None, since NaN is not equal to itself."""
        area = None if np.isnan(self.area) else self.area
        rings = None if self.rings is None else [ring.tolist() for ring in self.rings]
        return self.annotation_id, self.category_id, self.is_crowd, area, rings, self.rle


class Index:
    """Pictures and annotations of one annotation file; created by `open_index`.

    Pickling stores the path only; the other process maps the same pages.

    Attributes:
        ids: int64 (N,), picture ids as in the file, in its order.
        sizes: int32 (N, 2), height and width in pixels.
        names: N file names, relative to the folder of the pictures, all inside it.
        categories: in the order of the file.
        rejected: annotations left out, with reasons.
        damaged: annotations used in part, with reasons.
    """

    def __init__(self, path: Path, source: Path) -> None:
        """Map the index file `path` of the annotation file `source`."""
        self.path, self.source = path, source
        self._arrays, meta = open_arena(path)
        self.ids: NDArray[np.int64] = self._arrays["ids"]
        self.sizes: NDArray[np.int32] = self._arrays["sizes"]
        self.names = Names(self._arrays["names"], self._arrays["name_first"])
        self.categories = tuple(msgspec.convert(meta["categories"], list[Category]))
        self.rejected = Rejected(meta["counts"], [tuple(pair) for pair in meta["listed"]], meta["boxed"])
        self.damaged = Damaged(meta["damaged"], [tuple(pair) for pair in meta["damaged_listed"]])

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[type["Index"], tuple[Path, Path]]:
        return Index, (self.path, self.source)

    @cached_property
    def annotation_count(self) -> int:
        """Number of annotations, without rejected ones."""
        return int(np.count_nonzero(self._arrays["use"] == DRAWN))

    @cached_property
    def scored_only(self) -> int:
        """Number of annotations that cover no pixel and only `scored` contains."""
        return int(np.count_nonzero(self._arrays["use"] == SCORED))

    @property
    def repeats_ids(self) -> bool:
        """Whether several annotations have one id."""
        return "scored" in self._arrays

    @cached_property
    def has_id_zero(self) -> bool:
        """Whether an annotation has the id 0."""
        return bool((self._arrays["id"] == 0).any())

    @property
    def annotation_ids(self) -> NDArray[np.int64]:
        """Ids of the annotations in the order of the file, int64 (A,), without rejected ones; maybe not unique."""
        return np.asarray(self._arrays["id"][self._arrays["use"] == DRAWN], np.int64)

    @property
    def last_annotation_id(self) -> int:
        """The largest id of an annotation, 0 if there is none."""
        return int(self._arrays["id"].max(initial=0))

    @cached_property
    def _category_list(self) -> list[int]:
        return [category.id for category in self.categories]

    @cached_property
    def _unknown(self) -> list[int]:
        return [k for k, category in enumerate(self.categories) if category.name == UNKNOWN]

    def channels(self, categories: Sequence[int | str] | None) -> list[tuple[int, ...]]:
        """Return the ids of each channel of the truth.

        Categories of one name share a channel, as in merged files. An id means this category alone; so does each
        mention of a name given several times.

        Args:
            categories: ids or names, one channel each; None: all names.

        Raises:
            DataError: there is no such category; the message suggests the nearest one.
        """
        alike: dict[str, list[int]] = {}
        for category in self.categories:
            alike.setdefault(category.name, []).append(category.id)
        if categories is None:
            return [tuple(ids) for ids in alike.values()]
        found = []
        for i, wanted in enumerate(categories):
            ids = alike.get(wanted, []) if isinstance(wanted, str) else []
            mention = list(categories[:i]).count(wanted)
            repeated = list(categories).count(wanted) > 1 and mention < len(ids)
            found.append((ids[mention],) if repeated else tuple(ids) or (self._category_id(wanted),))
        return found

    def category_ids(self, categories: Sequence[int | str] | None) -> list[int]:
        """Return the ids of categories given by id or by name, in the order given; None means all.

        Raises:
            DataError: there is no such category; the message suggests the nearest one.
        """
        if categories is None:
            return list(self._category_list)
        return [self._category_id(wanted) for wanted in categories]

    def _category_id(self, wanted: int | str) -> int:
        for category in self.categories:
            if wanted in (category.id, category.name):
                return category.id
        used = {self._category_list[kind] for kind in np.unique(self._arrays["kind"]).tolist()}
        offered = [c for c in self.categories if c.id in used] or self.categories
        known = {str(word): f"{brief(c.name)} ({c.id})" for c in offered for word in (c.name, c.id)}
        near = get_close_matches(str(wanted), known, 1, 0)
        remedy = f"did you mean {known[near[0]]}?" if near else "the file has no categories."
        raise DataError(f"{self.source}: no category {brief(repr(wanted))}; {remedy}")

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The arrays of the index file, read-only: `Columns` with offsets in place of counts, see `build_index`."""
        return self._arrays

    @property
    def picture_rows(self) -> NDArray[np.int64]:
        """The row of the picture of each entry of `arrays`, int64."""
        rows = np.empty(len(self._arrays["order"]), np.int64)
        rows[self._arrays["order"]] = np.repeat(np.arange(len(self)), np.diff(self._arrays["first"]))
        return rows

    def covers(self, k: int, i: int) -> bool:
        """Whether annotation `k` covers a pixel of its picture, `i`."""
        height, width = self.sizes[i].tolist()
        run = self._run(k, [height, width])
        runs = ring_runs(self._rings(k, k), height, width) if run is None else [run]
        return any(run_area(each) > 0 for each in runs)

    def numbers(self, i: int) -> Array:
        """Return the positions of `objects` of picture `i` among `annotation_ids`, from 0, in the order of the file."""
        found: Array = self._rank[self._rows(i, DRAWN)]
        return found

    @cached_property
    def _rank(self) -> Array:
        """Position of each annotation among those that are drawn."""
        rank: Array = np.cumsum(self._arrays["use"] == DRAWN) - 1
        return rank

    def objects(self, i: int) -> list[CocoObject]:
        """Return the annotations of picture `i` (its row, not its id), in the order of the file."""
        return self._of_use(i, DRAWN)

    def unjudged(self, i: int) -> list[CocoObject]:
        """Return the boxes of picture `i` in which an outline cannot be drawn, as crowds."""
        return self._of_use(i, UNJUDGED)

    def scored(self, i: int) -> list[CocoObject]:
        """Return the annotations of picture `i` as COCOeval sees them.

        An annotation outside its picture, or with run lengths of another size, counts as an object that nobody finds.
        Of several annotations with one id, the last stands for all.
        """
        a = self._arrays
        order, first = (a["scored"], a["scored_first"]) if "scored" in a else (a["order"], a["first"])
        return [self._object(int(k), i) for k in order[first[i] : first[i + 1]] if a["use"][k] in (DRAWN, SCORED)]

    def has_unjudged(self, i: int) -> bool:
        """Whether picture `i` has ground not judged: crowds, or boxes of outlines that cannot be drawn."""
        a = self._arrays
        return bool(a["crowd"][a["order"][slice(*a["first"][i : i + 2].tolist())]].any())

    def _of_use(self, i: int, use: int) -> list[CocoObject]:
        return [self._object(int(k), i) for k in self._rows(i, use)]

    def _rows(self, i: int, use: int) -> Array:
        a = self._arrays
        rows = a["order"][slice(*a["first"][i : i + 2].tolist())]
        found: Array = rows[a["use"][rows] == use]
        return found

    def _object(self, k: int, i: int) -> CocoObject:
        """Annotation `k` of picture `i`."""
        a = self._arrays
        rle = self._run(k, self.sizes[i].tolist())
        return CocoObject(
            int(a["id"][k]),
            self._category_list[a["kind"][k]],
            bool(a["crowd"][k]),
            float(a["area"][k]),
            self._rings(k, k) if rle is None else None,
            rle,
            bool(a["use"][k] != SCORED),
        )

    def _run(self, k: int, size: list[int]) -> Run | None:
        """The run lengths of annotation `k`, if it has any."""
        start, end = self._arrays["run_first"][k : int(k) + 2]
        return {"size": size, "counts": self._arrays["runs"][start:end].tobytes()} if end > start else None

    def _rings(self, first: int, last: int) -> list[NDArray[np.float64]]:
        """The rings of annotations `first` to `last`."""
        a = self._arrays
        start, end = a["ring_first"][first], a["ring_first"][int(last) + 1]
        points = a["point_first"][start : int(end) + 1].tolist()
        xy = a["xy"][points[0] : points[-1]].astype(np.float64)
        return [xy[p - points[0] : q - points[0]] for p, q in pairwise(points)]

    def truth(self, i: int, categories: Sequence[int | tuple[int, ...]]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Draw the annotations of picture `i`, as pycocotools does, bit for bit.

        Args:
            i: row of the picture.
            categories: ids of the categories, one channel each; a tuple of ids shares a channel.

        Returns:
            mask: uint8 (K, H, W), 1 = object, 0 = background.
            valid: bool (H, W), shared by all categories; False inside a crowd of these categories and outside their
                objects, since pixels of a crowd are not labelled one by one; also in the box of an outline that cannot
                be drawn, and in all of a crowd of the category `unknown`.
            Either may be non-contiguous, and `valid` may be read-only.
        """
        a, (height, width) = self._arrays, self.sizes[i].tolist()
        rows = a["order"][slice(*a["first"][i : i + 2].tolist())]
        kinds, crowd = a["kind"][rows], a["crowd"][rows]
        channels = [channel if isinstance(channel, tuple) else (channel,) for channel in categories]
        wanted = [[self._category_list.index(category) for category in channel] for channel in channels]
        masks = [
            self._draw(rows[(kinds[:, None] == channel).any(axis=1) & ~crowd], height, width) for channel in wanted
        ]
        mask = masks[0][None] if len(masks) == 1 else np.stack(masks)
        if not crowd.any():
            return mask, np.broadcast_to(np.True_, (height, width))
        crowds = self._draw(rows[crowd & np.isin(kinds, [*chain(*wanted)])], height, width)
        valid = (crowds == 0) | mask.any(axis=0)
        if self._unknown:
            valid &= self._draw(rows[crowd & np.isin(kinds, self._unknown)], height, width) == 0
        return mask, valid

    def _draw(self, rows: Array, height: int, width: int) -> NDArray[np.uint8]:
        """Draw the union of annotations, given by ascending numbers."""
        # nearly always the numbers are consecutive, and one look-up serves for all
        block = len(rows) and int(rows[-1]) - int(rows[0]) + 1 == len(rows)
        blocks = [(rows[0], rows[-1])] if block else [(k, k) for k in rows]
        runs = ring_runs([ring for first, last in blocks for ring in self._rings(first, last)], height, width)
        if len(self._arrays["runs"]):
            runs += [run for k in rows if (run := self._run(k, [height, width]))]
        return draw(runs, height, width)


def open_index(path: Path, *, cache: Path | None = None) -> Index:
    """Open a COCO annotation file; it is parsed the first time, later only its index file is mapped.

    Args:
        path: the annotation file.
        cache: folder of the index files, by default `outputs/.index`.

    Raises:
        DataError: the file cannot be used. Single annotations do not raise: see `Index.rejected`.
    """
    cache = CACHE if cache is None else cache
    try:
        target = cache / f"{content_key(path, cache)}.index"
        return _open_or_build(path, target)
    except OSError as error:
        raise DataError(
            f"{cache}: cannot store the index of {path} there ({error}); make the folder writable or choose another."
        ) from error


def _open_or_build(path: Path, target: Path) -> Index:
    """Open the index file `target` of the annotation file `path`; build it if it is missing or damaged."""
    try:
        return Index(target, path)
    except (FileNotFoundError, ValueError, KeyError):
        build_index(path, target)
        return Index(target, path)


def content_key(path: Path, cache: Path) -> str:
    """Hash the content of `path`; the hash is cached until path, size, times or inode of the file change."""
    with map_file(path) as text:
        state = path.stat()
        mark = (str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        note = cache / f"{_hash(repr(mark).encode())}.key"
        if note.is_file():
            return note.read_text()
        key = _hash(text)
    with atomic_write(note) as part:
        part.write_text(key)
    return key


def _hash(content: object) -> str:
    digest = hashlib.blake2b(_FORMAT, digest_size=16)
    digest.update(content)  # type: ignore[arg-type]
    return digest.hexdigest()
