"""Labels that lie shifted against the picture, as after a bad georeference or when drawn on another orthophoto.

The outlines are moved over the picture by every offset of up to `REACH` pixels. At the right one they lie on edges
that run along them, so the score, the mean strength of edges across the outline, has a peak there (chamfer matching:
H. G. Barrow et al., IJCAI 1977; shifts of this kind between maps and pictures: N. Girard et al., ACCV 2018). The
strength across a direction n is the root of n'Jn, with the structure tensor J of the picture (W. Förstner and E. Gülch,
1987) at a single pixel, divided by the usual strength nearby: an edge in the shade counts as much as one in the sun.

A single roof fits its neighbour, a shadow or a kerb as well as its own eaves. So roofs are pooled: those of the whole
split, of a place, of a picture, in this order, and a peak counts only if they agree on it (`common_offset`). Outlines
of a shifted split or place are moved before its places and pictures are judged, as `fix` would move them.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from rooftop.audit.pictures import fingerprint
from rooftop.coco import CocoObject, Index, picture_path
from rooftop.coco.arrays import open_arena, write_arena
from rooftop.errors import DataError
from rooftop.processes import end_with_parent
from rooftop.raster.polygonise import polygonise_labels
from rooftop.raster.rasterise import decode, encode, number
from rooftop.raster.reading import Reading

MOST = 5000  # pictures of a split to compare: about a minute on two cores
_DIGITS = 2  # decimals of a pixel of moved outlines
_BATCH = 32  # pictures in a file of the cache
_FORMAT = 2  # of the cache; increase it with every change of the scores

# Decision. Settled on 19 places with 15,000 roofs, moved by 0 to 10 pixels (benchmarks/results_data.md).
LEAST = 0.85  # pixels, length of a reported offset; unshifted labels of many roofs lie up to 0.8 off: walls seen aslant
ROOFS = 5  # fewer are no evidence
AGREED = 2  # pixels along x and y, at most, between the peak and that of each half of the roofs
EVIDENCE = 5.0  # standard errors of the roofs' gain + standard deviations of the score; unshifted places: 4.2 at most
ALONE = 6.0  # the same, of a single picture: one of thousands
RIVAL = 0.85  # of the peak: the highest score elsewhere
ELSEWHERE = 4.0  # pixels from the peak
VOTES = 3 / 4  # of the pictures with a peak of their own: at least so many have it near the common one
NEAR = 2.0  # pixels
CLEAR = 0.75  # as RIVAL, of a picture that votes
VOTERS = 3  # fewer do not decide

# Edges and outlines
REACH = 15  # pixels, largest offset scored along x and y
DIRECTIONS = 8  # of outlines, in half a turn
NEARBY = 31  # pixels, side of the square over which edge strengths are normalised
STRONGEST = 4.0  # times the usual strength nearby; a stronger edge counts as much
FAINT = 1.0  # grey levels a pixel, added to the usual strength: flat ground has no edges
STEP = 2.0  # pixels between points on an outline
POINTS = 2000  # on the outlines of a picture, at most; of more, every second, third ...
ALONG = 0.75  # pixels, tolerance that turns the stairs of traced outlines into straight edges
BLUR = 3  # offsets, side of the square over which scores are averaged: outlines are drawn by hand
SHORT = 2.0  # pixels; shorter edges have no clear direction
CUT = 1.5  # pixels from the border of the picture; an edge along it is a cut, no wall
BLOCK = 512  # pixels, side of the parts in which large pictures are searched

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Scores of the outlines of a picture, or of several, at each offset.

    Attributes:
        roofs: number of roofs.
        total: float32 (2 REACH + 1, 2 REACH + 1), sum of the roofs' scores; rows are dy, columns dx of the outlines.
        half: the same, of every second roof.
        spread: the same, sum of the squares of (score at the offset - score at no offset) of each roof.
    """

    roofs: int
    total: Map
    half: Map
    spread: Map


def picture_scores(picture: NDArray[np.uint8], objects: Sequence[CocoObject]) -> Scores:
    """Score the outlines of a picture at each offset.

    Args:
        picture: uint8 (H, W, C).
        objects: of the picture; those not judged (`iscrowd`) are left out.
    """
    height, width = picture.shape[:2]
    points, direction, owner = outline_points(objects, height, width)
    roofs, roof = np.unique(owner, return_inverse=True)
    scores = np.zeros((len(roofs), 2 * REACH + 1, 2 * REACH + 1), np.float32)
    for top in range(0, height + 1, BLOCK):
        for left in range(0, width + 1, BLOCK):
            low = np.array([left, top])
            here = ((points >= low) & (points < low + BLOCK)).all(axis=1)
            if here.any():
                _add_block(scores, picture, (left, top), points[here], direction[here], roof[here])
    scores = uniform_filter(scores, (1, BLUR, BLUR), mode="nearest")
    gain = scores - scores[:, REACH : REACH + 1, REACH : REACH + 1]
    return Scores(len(scores), scores.sum(0), scores[::2].sum(0), np.square(gain).sum(0))


def _add_block(
    scores: Map,
    picture: NDArray[np.uint8],
    corner: tuple[int, int],
    points: NDArray[np.int64],
    direction: NDArray[np.int64],
    roof: NDArray[np.int64],
) -> None:
    """Add the points of a block to the scores of their roofs; `corner` is its left and top in the picture."""
    margin = REACH + NEARBY // 2 + 2
    left, top = (max(0, edge - margin) for edge in corner)
    part = picture[top : corner[1] + BLOCK + margin, left : corner[0] + BLOCK + margin]
    around = np.lib.stride_tricks.sliding_window_view(edge_strength(part, REACH), scores.shape[1:], axis=(1, 2))
    x, y = (points - (left, top)).T
    first = np.flatnonzero(np.diff(roof, prepend=-1))
    for start, end in zip(first, [*first[1:], len(roof)], strict=True):
        chosen = slice(start, end)
        scores[roof[start]] += around[direction[chosen], y[chosen], x[chosen]].sum(axis=0)


def edge_strength(picture: NDArray[np.uint8], margin: int = 0) -> Map:
    """Return the strength of edges across each direction: float32 (DIRECTIONS, H + 1, W + 1) and the margin, mean 0.

    The value at row y, column x belongs to the corner of four pixels at (x, y) in the pixel frame, as outlines do.

    Args:
        picture: uint8 (H, W, C).
        margin: pixels added on each side, with the mean strength.
    """
    height, width = (length + 1 for length in picture.shape[:2])
    xx, xy, yy = np.zeros((3, height, width), np.float32)
    for k in range(picture.shape[2]):  # one by one: little memory is several times faster
        band: Map = np.pad(picture[..., k].astype(np.float32), 2, mode="edge")
        for _ in range(2):  # binomial filter along both axes: [1 2 1] / 4
            band = (band[1:] + band[:-1]) * np.float32(0.5)
            band = (band[:, 1:] + band[:, :-1]) * np.float32(0.5)
        across, down = np.diff(band, axis=1), np.diff(band, axis=0)
        gx, gy = (across[1:] + across[:-1]) / 2, (down[:, 1:] + down[:, :-1]) / 2
        xx += gx * gx
        xy += gx * gy
        yy += gy * gy
    usual = uniform_filter(np.sqrt((xx + yy) / 2), NEARBY, mode="nearest") + FAINT
    mean, half, cross = ((xx + yy) / 2 / usual**2, (xx - yy) / 2 / usual**2, xy / usual**2)
    padded = np.zeros((DIRECTIONS, height + 2 * margin, width + 2 * margin), np.float32)
    strength = padded[:, margin : margin + height, margin : margin + width]
    for k in range(DIRECTIONS):  # n'Jn by the double angle
        double = 2 * np.pi * k / DIRECTIONS
        squared = mean + np.float32(np.cos(double)) * half + np.float32(np.sin(double)) * cross
        np.sqrt(np.clip(squared, 0, STRONGEST**2), out=strength[k])
    strength -= strength.mean()
    return padded


def outline_points(
    objects: Sequence[CocoObject], height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return points on the outlines of the objects of a picture, in the order of the objects.

    Returns:
        Points int64 (n, 2), x and y at corners of pixels, inside the picture; direction of the outline's normal int64
        (n,), 0 to DIRECTIONS - 1; number of the object int64 (n,).
    """
    rings = list(_rings(objects, height, width))
    owner = [i for i, _ in rings]
    lines = [shapely.LineString(np.concatenate([ring, ring[:1]])) for _, ring in rings]
    corners, line = shapely.get_coordinates(shapely.simplify(lines, ALONG), return_index=True)
    start, vector = corners[:-1], np.diff(corners, axis=0)
    limit = np.array([width, height])
    at_low, at_high = (np.abs(corners) < CUT), (np.abs(corners - limit) < CUT)
    cut = ((at_low[:-1] & at_low[1:]) | (at_high[:-1] & at_high[1:])).any(axis=1)
    length = np.hypot(*vector.T)
    used = (line[:-1] == line[1:]) & ~cut & (length > SHORT)
    start, vector, length = start[used], vector[used], length[used]
    number = np.asarray(owner, np.int64)[line[:-1][used]]
    count = np.maximum(1, np.rint(length / STEP)).astype(np.int64)
    edge = np.repeat(np.arange(len(count)), count)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[edge]
    points = np.rint(start[edge] + share[:, None] * vector[edge]).astype(np.int64)
    angle = np.arctan2(vector[edge, 0], -vector[edge, 1])  # of the normal
    direction = np.rint(angle / np.pi * DIRECTIONS).astype(np.int64) % DIRECTIONS
    kept = ((points >= 0) & (points <= limit)).all(axis=1)
    kept &= np.arange(len(points)) % (1 + len(points) // POINTS) == 0
    return points[kept], direction[kept], number[edge][kept]


def _rings(objects: Sequence[CocoObject], height: int, width: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the number of an object and one of its rings; those of run lengths have steps of a pixel."""
    judged = [i for i, thing in enumerate(objects) if not thing.is_crowd]
    for i in judged:
        for ring in objects[i].rings or ():
            yield i, ring
    runs = [i for i in judged if objects[i].rings is None]
    if runs:
        numbers = number([objects[i] for i in runs], height, width)
        for label, polygon in sorted(polygonise_labels(numbers), key=lambda pair: pair[0]):
            for ring in (polygon.exterior, *polygon.interiors):
                yield runs[label - 1], np.asarray(ring.coords)[:-1]


@dataclass(frozen=True)
class Offset:
    """An offset on which the roofs of several pictures, or of one, agree.

    Attributes:
        move: dx, dy in pixels to add to the outlines, right and down.
        evidence: see `EVIDENCE`.
        roofs: number of roofs compared.
    """

    move: tuple[float, float]
    evidence: float
    roofs: int


def common_offset(parts: Sequence[Scores]) -> Offset | None:
    """Find the offset by which the labels of some pictures are shifted; None without clear evidence.

    The peak of the summed scores must be far enough from no offset, at the same place for both halves of the roofs,
    above every score elsewhere, and above the score at no offset by `EVIDENCE`. This is the sum of the gain in standard
    errors of the roofs' gains, by which many roofs show a shift of a pixel, and the gain in standard deviations of the
    score elsewhere, by which a few roofs show a larger one. Most pictures with a clear peak must have it there, too.
    """
    roofs = sum(part.roofs for part in parts)
    if roofs < ROOFS:
        return None
    total, half = (np.sum([getattr(part, name) for part in parts], axis=0, dtype=float) for name in ("total", "half"))
    top, left = peak = _highest(total)
    if min(peak) < 1 or max(peak) > 2 * REACH - 1:
        return None
    move = (
        left - REACH + _vertex(total[top, left - 1 : left + 2]),
        top - REACH + _vertex(total[top - 1 : top + 2, left]),
    )
    if np.hypot(*move) < LEAST or any(_apart(_highest(each), peak) > AGREED for each in (half, total - half)):
        return None
    elsewhere = total[_distance(peak) > ELSEWHERE]
    gain, usual = total[peak] - total[REACH, REACH], elsewhere.mean()
    if elsewhere.max() - usual > RIVAL * (total[peak] - usual):
        return None
    error = np.sqrt(sum(float(part.spread[peak]) for part in parts))
    evidence = float(gain / error + gain / elsewhere.std())
    if evidence < (EVIDENCE if len(parts) > 1 else ALONE) or not _is_common(parts, peak):
        return None
    return Offset(move, evidence, roofs)


def _is_common(parts: Sequence[Scores], peak: tuple[int, int]) -> bool:
    """Report whether most pictures with a clear peak of their own have it near the common one."""
    votes = []
    for part in parts if len(parts) > 1 else ():
        own = _highest(part.total)
        elsewhere = part.total[_distance(own) > ELSEWHERE]
        usual = elsewhere.mean()
        if part.roofs >= ROOFS and elsewhere.max() - usual <= CLEAR * (part.total[own] - usual):
            votes.append(_apart(own, peak) <= NEAR)
    return len(votes) < VOTERS or float(np.mean(votes)) >= VOTES


def _highest(scores: NDArray[np.floating]) -> tuple[int, int]:
    row, column = divmod(int(scores.argmax()), scores.shape[1])
    return row, column


def _apart(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Distance of two offsets in pixels: the greater one along x or y."""
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]))


def _distance(peak: tuple[int, int]) -> NDArray[np.float64]:
    """Distance in pixels of each offset from a peak."""
    rows, columns = np.indices((2 * REACH + 1, 2 * REACH + 1))
    return np.hypot(rows - peak[0], columns - peak[1])


def _vertex(three: NDArray[np.float64]) -> float:
    """Highest point of the parabola through three scores, the middle one the highest: -0.5 to 0.5."""
    before, here, after = three.tolist()
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def moved(thing: CocoObject, move: tuple[float, float], height: int, width: int) -> CocoObject:
    """Move an object; run lengths move by whole pixels and end at the border of the picture, rings do not.

    Args:
        thing: object with rings or run lengths.
        move: dx, dy in pixels.
        height: of the picture in pixels.
        width: of the picture in pixels.
    """
    if thing.rle is None:
        return replace(thing, rings=[np.round(ring + np.asarray(move), _DIGITS) for ring in thing.rings or ()])
    dx, dy = (round(part) for part in move)
    mask = np.pad(decode([thing.rle], height, width), ((max(dy, 0), max(-dy, 0)), (max(dx, 0), max(-dx, 0))))
    return replace(thing, rle=encode(mask[max(-dy, 0) :, max(-dx, 0) :][:height, :width]))


@dataclass(frozen=True)
class Shift:
    """Pictures whose labels are shifted alike.

    Attributes:
        level: "split", "place" or "picture".
        place: name of the place.
        rows: of the pictures in the index.
        offset: found, on top of those of wider levels.
    """

    level: str
    place: str
    rows: tuple[int, ...]
    offset: Offset


@dataclass(frozen=True)
class Shifts:
    """Result of the comparison of a split's labels with the edges in its pictures.

    Attributes:
        found: shifts of the split, of places and of single pictures, in this order; the later ones hold.
        moves: float64 (N, 2), dx and dy in pixels to be added to the outlines of each picture; 0 without a shift.
        compared: number of pictures compared.
        sampled: number of pictures chosen for it; some may be unreadable.
        labelled: number of pictures with annotations.
    """

    found: list[Shift]
    moves: NDArray[np.float64]
    compared: int
    sampled: int
    labelled: int

    def by_row(self) -> dict[int, tuple[float, float]]:
        """Return dx and dy of the pictures with shifted labels, by row."""
        return {row: (dx, dy) for row, (dx, dy) in enumerate(self.moves.tolist()) if dx or dy}

    def named(self) -> list[Shift]:
        """Return the shifts with the pictures that they hold for, without those that are right or shifted otherwise."""
        owner = {row: i for i, shift in enumerate(self.found) for row in shift.rows if self.moves[row].any()}
        rows = defaultdict[int, list[int]](list)
        for row, i in owner.items():
            rows[i].append(row)
        return [replace(self.found[i], rows=tuple(sorted(rows[i]))) for i in sorted(rows)]


@dataclass(frozen=True)
class Labels:
    """Pictures of a split and their annotations.

    Attributes:
        index: of the annotations.
        images: folder of the pictures.
        reading: how picture files are read.
        categories: ids to look at.
    """

    index: Index
    images: Path
    reading: Reading
    categories: frozenset[int]

    def scores(self, row: int, move: tuple[float, float]) -> Scores:
        """Score a picture with its outlines moved; without roofs if it cannot be read."""
        height, width = size = tuple(self.index.sizes[row].tolist())
        objects = [thing for thing in self.index.objects(row) if thing.category_id in self.categories]
        if any(move):
            objects = [moved(thing, move, height, width) for thing in objects]
        try:
            picture = self.reading.picture(picture_path(self.images, self.index.names[row]))
        except DataError:
            objects = []
        if not objects or picture.shape[:2] != size:
            return picture_scores(np.zeros((1, 1, 3), np.uint8), [])
        return picture_scores(picture, objects)


def find_shifts(
    labels: Labels,
    store: Path,
    *,
    places: Sequence[str] | None = None,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Shifts:
    """Find shifted labels: of the whole split, of places, of pictures.

    The shift of a split or a place holds for all its pictures, also for those left out of the `sample`.

    Args:
        labels: pictures and annotations.
        store: folder of the cache.
        places: the place of each picture; None: every picture is its own.
        processes: number of parallel processes.
        progress: called with the number of pictures done.
    """
    labelled, rows = sample(labels.index)
    moves = np.zeros((len(labels.index), 2))
    compare = partial(_compare, labels, store, processes=processes)
    scores = compare(rows, moves, progress=progress)
    compared = sum(part.roofs > 0 for part in scores.values())
    found: list[Shift] = []
    for level, groups in _levels(places, len(moves)).items():
        shifted: list[int] = []
        for place, members in groups.items():
            chosen = [row for row in members if row in scores]
            if offset := common_offset([scores[row] for row in chosen]):
                moves[members] = np.round(moves[members] + offset.move, 1) + 0.0
                found.append(Shift(level, place, tuple(members), offset))
                shifted += chosen
        if level != "picture":
            scores |= compare(shifted, moves)  # as `fix` leaves them
    moves[np.hypot(*moves.T) < LEAST] = 0  # pictures that are right in a shifted place
    return Shifts(found, moves, compared, len(rows), labelled)


def sample(index: Index) -> tuple[int, list[int]]:
    """Return the number of pictures with annotations, and the rows of at most `MOST` of them, evenly over the file."""
    labelled = np.flatnonzero(np.diff(index.arrays["first"]))
    return len(labelled), labelled[:: max(1, -(-len(labelled) // MOST))].tolist()


def _levels(places: Sequence[str] | None, count: int) -> dict[str, dict[str, list[int]]]:
    """Group the rows of `count` pictures: all, those of a place, one by one; a group is in its widest level only."""
    by_place = defaultdict[str, list[int]](list)
    for row, place in enumerate(places or ()):
        by_place[place].append(row)
    middle = {place: rows for place, rows in by_place.items() if 1 < len(rows) < count}
    return {"split": {"": list(range(count))}, "place": middle, "picture": {str(row): [row] for row in range(count)}}


def _compare(
    labels: Labels,
    store: Path,
    rows: Sequence[int],
    moves: NDArray[np.float64],
    *,
    processes: int,
    progress: Callable[[int], None] | None = None,
) -> dict[int, Scores]:
    """Score pictures, in parallel and from the cache, with the outlines moved: {row: scores}."""
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    work = partial(_cached_batch, labels, store)
    arguments = batches, [moves[batch].tolist() for batch in batches]
    found: dict[int, Scores] = {}
    with ProcessPoolExecutor(max(1, min(processes, len(batches))), None, end_with_parent, (os.getpid(),)) as pool:
        results = pool.map(work, *arguments) if processes > 1 else map(work, *arguments)
        for batch, scores in zip(batches, results, strict=True):
            found.update(zip(batch, scores, strict=True))
            if progress:
                progress(len(batch))
    return found


def _cached_batch(
    labels: Labels, store: Path, rows: Sequence[int], moves: Sequence[tuple[float, float]]
) -> list[Scores]:
    """Scores of a batch, from the cache if pictures and annotations are unchanged."""
    pictures = fingerprint(labels.images, labels.reading, [labels.index.names[row] for row in rows])
    key = repr((_FORMAT, labels.index.path.stem, pictures, list(rows), list(moves), sorted(labels.categories)))
    path = store / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.shifts"
    names = ("total", "half", "spread")
    try:
        columns, roofs = open_arena(path)
    except (OSError, ValueError):
        scores = [labels.scores(row, (x, y)) for row, (x, y) in zip(rows, moves, strict=True)]
        columns = {name: np.stack([getattr(part, name) for part in scores]) for name in names}
        roofs = [part.roofs for part in scores]
        write_arena(path, {name: [column] for name, column in columns.items()}, roofs)
    return [Scores(n, *(np.array(columns[name][i]) for name in names)) for i, n in enumerate(roofs)]
