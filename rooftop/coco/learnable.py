"""What can be learned from an annotation file: counted by category, and told in one sentence if it is nothing.

A set can be full of annotations and teach nothing. CVAT marks every mask of its brush and of SAM as `iscrowd`, which
nobody judges; Roboflow and labelme write categories without annotations; other tools write outlines from 0 to 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftop.coco.arrays import Array
from rooftop.coco.columns import DRAWN, Rejected
from rooftop.coco.index import UNKNOWN, Index
from rooftop.coco.parse import Category
from rooftop.errors import DataError, first_names

CROWD_REMEDY = "if they are single roofs, as those of CVAT's brush, check_data.py with fix=FOLDER crowds=roofs says so"
NORMALISED_REMEDY = "multiply x by the width and y by the height of the picture, since COCO counts in pixels"
_SLACK = 0.01  # outlines from 0 to 1 may be so much larger


@dataclass(frozen=True)
class Lesson:
    """The annotations of one category.

    Attributes:
        category: id and name.
        total: number of annotations.
        crowds: number of those marked `iscrowd`.
        normalised: number of the others whose outlines lie between 0 and 1, see `is_normalised`.
        is_learnable: one of the rest covers a pixel.
    """

    category: Category
    total: int
    crowds: int
    normalised: int
    is_learnable: bool

    @property
    def counted(self) -> str:
        """Name and number of annotations, for a list."""
        return f"{self.category.name} ({self.total:,})"


def lessons(index: Index, pictures: NDArray[np.int64] | None = None) -> list[Lesson]:
    """Count the annotations of each category, in the order of the file.

    Args:
        index: of the annotations.
        pictures: rows of the pictures to look at, None for all.
    """
    kind, crowd, picture = index.arrays["kind"], index.arrays["crowd"], index.picture_rows
    among = index.arrays["use"] == DRAWN
    if pictures is not None:
        wanted = np.zeros(len(index), np.bool_)
        wanted[pictures] = True
        among &= wanted[picture]
    single = among & ~crowd
    normalised = single & _normalised(index, picture)
    kinds = len(index.categories)
    total, crowds, outside = (
        np.bincount(kind[flags], minlength=kinds).tolist() for flags in (among, among & crowd, normalised)
    )
    rest = single & ~normalised
    return [
        Lesson(category, total[k], crowds[k], outside[k], _covers(index, np.flatnonzero(rest & (kind == k)), picture))
        for k, category in enumerate(index.categories)
    ]


def _covers(index: Index, numbers: Array, picture: Array) -> bool:
    """Whether one of the annotations covers a pixel; nearly always the first does."""
    return any(index.covers(k, int(picture[k])) for k in numbers.tolist())


def _normalised(index: Index, picture: Array) -> NDArray[np.bool_]:
    """Whether all rings of an annotation have coordinates from 0 to 1: bool (A,)."""
    xy, first, rings = (index.arrays[name] for name in ("xy", "point_first", "ring_first"))
    found = np.zeros(len(rings) - 1, np.bool_)
    starts, filled = first[:-1], np.diff(first) > 0
    if not filled.any():
        return found
    owner = np.repeat(np.arange(len(found)), np.diff(rings))[filled]
    low, high = (extreme.reduceat(xy, starts[filled]) for extreme in (np.minimum, np.maximum))
    small, corner = is_normalised(low, high, index.sizes[picture[owner]])
    rings_of, small_of = (np.bincount(each, minlength=len(found)) for each in (owner, owner[small]))
    found = (rings_of > 0) & (small_of == rings_of)
    at_corner = np.bincount(owner[corner], minlength=len(found)) > 0
    certain: NDArray[np.bool_] = found & ~at_corner
    return found if certain.any() else certain


def is_normalised(
    low: NDArray[np.float64], high: NDArray[np.float64], size: NDArray[np.integer]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether outlines lie between 0 and 1 in a larger picture, as those of tools that write shares of its size.

    Args:
        low: smallest x and y, float (n, 2).
        high: largest x and y, float (n, 2).
        size: height and width of the pictures in pixels, int (n, 2).

    Returns:
        bool (n,); and bool (n,), those that touch the corner: a roof cut off by the picture may be so small there.
    """
    shares = (low >= -_SLACK).all(axis=-1) & (high <= 1 + _SLACK).all(axis=-1)
    inside = np.asarray(shares & (size > 2).any(axis=-1))
    return inside, np.asarray(inside & (low <= 0).all(axis=-1))


def choose_channels(
    index: Index, categories: Sequence[int | str] | None, prefer: Sequence[str] = ()
) -> list[tuple[int, ...]]:
    """Choose the channels of the truth.

    Args:
        index: of the annotations.
        categories: ids or names; None: all that can be learned.
        prefer: names to take instead of None, such as those of a run; a single one only if the file has it, since one
            category may have another name in every file.

    Returns:
        The ids of each channel; categories of one name share it. If nothing can be learned, all but `unknown`.

    Raises:
        DataError: there is no such category.
    """
    if len(prefer) > 1 or any(category.name in prefer for category in index.categories):
        categories = categories or prefer
    if categories is not None:
        return index.channels(categories)
    known = {lesson.category.id for lesson in lessons(index) if lesson.is_learnable}
    channels = index.channels(None)
    if found := [channel for channel in channels if not known.isdisjoint(channel)]:
        return found
    unknown = {category.id for category in index.categories if category.name == UNKNOWN}
    return [channel for channel in channels if unknown.isdisjoint(channel)] or channels


def require_learnable(index: Index, channels: Sequence[tuple[int, ...]], *, named: bool = False) -> None:
    """Check that something can be learned: of one channel, or of every channel if a person `named` them.

    Raises:
        DataError: there is nothing to learn; the message counts the reasons.
    """
    found = {lesson.category.id: lesson for lesson in lessons(index)}
    poor = [channel for channel in channels if not any(found[i].is_learnable for i in channel)]
    if len(poor) < len(channels) and not (named and poor):
        return
    asked = [found[i] for channel in poor for i in channel]
    others = [lesson for lesson in found.values() if lesson.is_learnable]
    what = f"data.categories names {first_names([each.category.name for each in asked])}: " if named and found else ""
    instead = f"choose {first_names([each.counted for each in others])}" if others else ""
    raise DataError(f"{index.source}: {what}{why_nothing(asked, index.rejected, instead)}.")


def require_annotations(index: Index, categories: Sequence[int | str] | None) -> None:
    """Check that each named category has an annotation, learnable or not, if others have some.

    Raises:
        DataError: a category has none; the message offers others.
    """
    used = {lesson.category.id for lesson in lessons(index) if lesson.total}
    empty = [channel for channel in index.channels(categories) if used.isdisjoint(channel)]
    if categories is not None and used and empty:
        require_learnable(index, empty, named=True)


def why_nothing(parts: Sequence[Lesson], rejected: Rejected, instead: str = "") -> str:
    """Tell in a clause why nothing can be learned, and the remedy.

    Args:
        parts: of the categories in question.
        rejected: annotations left out of the index.
        instead: a remedy that always helps; empty: there is none.
    """
    reasons = sorted(_reasons(parts, rejected), reverse=True)
    if not reasons:
        return f"not one annotation, so there is nothing to learn; {instead or 'export it again'}"
    total = sum(count for count, _, _ in reasons)
    remedies = [reasons[0][2], *([instead] if instead else [])]
    return (
        f"not one of {total:,} annotations can be learned: {', '.join(text for _, text, _ in reasons)}; "
        f"{', or '.join(remedies)}"
    )


def _reasons(parts: Sequence[Lesson], rejected: Rejected) -> Iterator[tuple[int, str, str]]:
    """Yield number of annotations, reason and remedy; for categories without a learnable annotation."""
    crowds, normalised = sum(part.crowds for part in parts), sum(part.normalised for part in parts)
    if crowds:
        yield crowds, f"{crowds:,} marked iscrowd", CROWD_REMEDY
    if normalised:
        yield normalised, f"{normalised:,} with coordinates from 0 to 1", NORMALISED_REMEDY
    if blank := sum(part.total for part in parts) - crowds - normalised:
        yield blank, f"{blank:,} without a pixel", "draw them again, or correct width and height of the pictures"
    if len(rejected):
        yield len(rejected), str(rejected), "correct them, or export them again"
