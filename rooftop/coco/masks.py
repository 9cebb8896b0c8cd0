"""Annotations to mask pictures, one a picture: in parallel, stopped and gone on with at any time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from rooftop.coco.index import Index
from rooftop.errors import DataError, RooftopError
from rooftop.files import read_json, write_json
from rooftop.raster.picture import write_mask

STAMP = ".masks.json"
_BATCH = 256  # masks at most for one task of a process


@dataclass(frozen=True)
class MaskReport:
    """What became of the pictures of a split.

    made: masks written now. kept: masks that were there already, of the same annotations. left: pictures beyond
    `limit`.
    """

    made: int
    kept: int
    left: int


@dataclass(frozen=True)
class MaskFolder:
    """The masks of one split: `<folder>/<image stem>.png`, 8-bit, 255 where an object of the categories lies.

    A hidden file in the folder says of which annotations and categories the masks are, so that they are made again when
    these change.
    """

    index: Index
    categories: Sequence[int]
    folder: Path

    @cached_property
    def stems(self) -> list[str]:
        """The stem of each picture, in the order of the index.

        Raises:
            DataError: two pictures have the same, so that one mask would overwrite the other.
        """
        first: dict[str, str] = {}
        for name in self.index.names:
            other = first.setdefault(PurePosixPath(name).stem, name)
            if other is not name:
                raise DataError(
                    f"{self.index.source}: {other} and {name} would have the same mask; rename one of them."
                )
        return list(first)

    def make(
        self, limit: int | None = None, *, processes: int = 1, progress: Callable[[int, int], None] | None = None
    ) -> MaskReport:
        """Make the masks that are missing.

        Args:
            limit: number of pictures, the first of the file; None means all.
            processes: that work at the same time.
            progress: is told (masks done, masks to do) now and then.

        Raises:
            DataError: two pictures of the same stem; masks in the folder that are not ours.
            RooftopError: no space left on the disk.
        """
        stems = self.stems[:limit]
        self._clear_others(stems)
        present = {path.stem for path in self.folder.glob("*.png")}
        rows = [i for i, stem in enumerate(stems) if stem not in present]
        done = 0
        for count in self._draw(rows, processes):
            done += count
            if progress:
                progress(done, len(rows))
        return MaskReport(done, len(stems) - len(rows), len(self.index) - len(stems))

    def check(self) -> None:
        """Make sure that masks made by `make` are those of these annotations; of others, nothing is known.

        Raises:
            DataError: the annotations or the categories have changed since.
        """
        path = self.folder / STAMP
        if path.is_file() and self._read(path) != self._stamp:
            raise DataError(
                f"{self.folder}: these masks were made of other annotations or categories than those of "
                f"{self.index.source}; make them again with make_masks.py."
            )

    @property
    def _stamp(self) -> dict[str, object]:
        return {"annotations": self.index.path.stem, "categories": list(self.categories)}

    def _clear_others(self, stems: Sequence[str]) -> None:
        """Remove masks of other annotations, and say of which the ones to come are."""
        path = self.folder / STAMP
        if path.is_file() and self._read(path) == self._stamp:
            return
        old = {file.stem: file for file in self.folder.glob("*.png")}
        if old and not path.is_file():
            raise DataError(f"{self.folder} holds pictures that are not of this program; choose another folder.")
        for file in old.values():
            file.unlink()
        write_json(path, self._stamp)

    @staticmethod
    def _read(path: Path) -> object:
        try:
            return read_json(path)
        except RooftopError:
            return None

    def _draw(self, rows: Sequence[int], processes: int) -> Iterator[int]:
        """Make masks, batch by batch; yields the size of each."""
        size = max(1, min(_BATCH, len(rows) // (4 * processes)))  # so that no process waits long for the last one
        batches = [[(i, self.stems[i]) for i in rows[start : start + size]] for start in range(0, len(rows), size)]
        draw = partial(_draw_batch, self.index, self.categories, self.folder)
        if processes <= 1 or len(batches) <= 1:
            yield from map(draw, batches)
            return
        with ProcessPoolExecutor(min(processes, len(batches))) as pool:
            yield from pool.map(draw, batches)


def _draw_batch(index: Index, categories: Sequence[int], folder: Path, batch: Sequence[tuple[int, str]]) -> int:
    """Make the masks of some pictures, given by row and stem; a function, so that it can go to another process."""
    for i, stem in batch:
        mask, _ = index.truth(i, categories)
        write_mask(folder / f"{stem}.png", mask.max(axis=0))
    return len(batch)
