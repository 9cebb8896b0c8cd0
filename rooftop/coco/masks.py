"""Draw annotations into mask files, one for each picture; in parallel, and resumed after an interruption."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from rooftop.coco.index import Index
from rooftop.errors import DataError, RooftopError, brief
from rooftop.files import clear_leftovers, read_json, visible, write_json
from rooftop.processes import end_with_parent
from rooftop.raster.picture import write_mask

STAMP = ".masks.json"
_BATCH = 256  # masks of one task of a process, at most


@dataclass(frozen=True)
class MaskReport:
    """Number of masks of a split; the folder holds `made + kept`.

    Attributes:
        made: masks written by this run.
        kept: masks of the same annotations, written by an earlier run.
        left: pictures without a mask, beyond `limit`.
    """

    made: int
    kept: int
    left: int


@dataclass(frozen=True)
class MaskFolder:
    """The masks of one split: `<folder>/<image stem>.png`, 8-bit, 255 = object of the categories, 0 = background.

    A hidden file, the stamp, records annotations and categories. If these change, the masks are made again.

    Attributes:
        index: the annotations.
        categories: ids of the categories to draw.
        folder: of the masks.
    """

    index: Index
    categories: Sequence[int]
    folder: Path

    @cached_property
    def stems(self) -> list[str]:
        """The stem of each picture, in the order of the index.

        Raises:
            DataError: two pictures have the same stem, so one mask would overwrite the other.
        """
        first: dict[str, str] = {}
        for name in self.index.names:
            other = first.setdefault(PurePosixPath(name).stem, name)
            if other is not name:
                raise DataError(
                    f"{self.index.source}: {brief(other)} and {brief(name)} would have the same mask file; rename "
                    "one of them."
                )
        return list(first)

    def make(
        self, limit: int | None = None, *, processes: int = 1, progress: Callable[[int, int], None] | None = None
    ) -> MaskReport:
        """Make the missing masks.

        Args:
            limit: only the first pictures of the file, None for all.
            processes: number of parallel processes.
            progress: called with (masks done, masks to do) after each batch.

        Raises:
            DataError: two pictures of the same stem, or png files of another origin in the folder.
            RooftopError: no space left on the disk.
        """
        self._clear_others()
        present = set(self._masks())
        rows = [i for i, stem in enumerate(self.stems[:limit]) if stem not in present]
        done = 0
        for count in self._draw(rows, processes):
            done += count
            if progress:
                progress(done, len(rows))
        kept = sum(stem in present for stem in self.stems)
        return MaskReport(done, kept, len(self.index) - kept - done)

    def check(self) -> None:
        """Check that the masks were made from these annotations; a folder without a stamp passes.

        Raises:
            DataError: the masks were made from other annotations or categories.
        """
        path = self.folder / STAMP
        if path.is_file() and self._read(path) != self._stamp:
            raise DataError(
                f"{self.folder}: these masks were made from other annotations or categories than those of "
                f"{self.index.source}; make them again with make_masks.py."
            )

    @property
    def _stamp(self) -> dict[str, object]:
        return {"annotations": self.index.path.stem, "categories": list(self.categories)}

    def _masks(self) -> dict[str, Path]:
        """Return the present masks by stem."""
        return {path.stem: path for path in visible(self.folder) if path.suffix == ".png"}

    def _clear_others(self) -> None:
        """Remove leftovers of a killed run and masks of other annotations, then write the stamp of these."""
        path = self.folder / STAMP
        self.folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(self.folder)
        if path.is_file() and self._read(path) == self._stamp:
            return
        old = self._masks()
        if old and not path.is_file():
            raise DataError(f"{self.folder} contains png files of another origin; choose another folder.")
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
        """Make masks in batches; yields the size of each finished batch."""
        size = max(
            1, min(_BATCH, len(rows) // (4 * processes))
        )  # small, so that all processes end at about the same time
        batches = [[(i, self.stems[i]) for i in rows[start : start + size]] for start in range(0, len(rows), size)]
        draw = partial(_draw_batch, self.index, self.categories, self.folder)
        if processes <= 1 or len(batches) <= 1:
            yield from map(draw, batches)
            return
        with ProcessPoolExecutor(min(processes, len(batches)), None, end_with_parent, (os.getpid(),)) as pool:
            yield from pool.map(draw, batches)


def _draw_batch(index: Index, categories: Sequence[int], folder: Path, batch: Sequence[tuple[int, str]]) -> int:
    """Make the masks of a batch of (row, stem); a module function, since a process pool must pickle it."""
    for i, stem in batch:
        mask, _ = index.truth(i, categories)
        write_mask(folder / f"{stem}.png", mask.max(axis=0))
    return len(batch)
