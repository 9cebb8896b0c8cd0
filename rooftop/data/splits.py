"""Cut a validation split off the training pictures by place, with neighbours on the same side.

Tiles of one town look alike and share buildings at their edges; with a random cut, the validation score would
reward memorised pictures. Names of slippy tiles (`z_x_y`) and of tiles from make_tiles.py (`raster_row_column`)
contain the place; other names are read by a pattern (`data.place`).
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import product
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from rooftop.errors import DataError

TILE = re.compile(r"(?:^|_)(\d{1,2})_(\d+)_(\d+)$")  # zoom, column, row of a slippy tile
CUT = r"^(.+)_(0\d{5})_(0\d{5})$"  # raster, row, column, as make_tiles.py names tiles; slippy tiles begin with no 0
MANY = 5  # from so many separate places on, whole places are drawn; below, a strip is cut off

Tile = tuple[int, int, int]
Indices = NDArray[np.int64]


def split_by_place(names: Sequence[str], share: float, pattern: str | None = None) -> tuple[Indices, Indices]:
    """Cut `share` of the pictures off as validation, by place.

    Args:
        names: file names.
        share: of the pictures, in (0, 1).
        pattern: regular expression on the stem; its first group (or the whole match) is the place. None: slippy
        tiles are grouped by neighbourhood, tiles of make_tiles.py by raster; with fewer than `MANY` places, or if
        whole places miss `share` by far, a strip is cut off. A name without location is a place of its own, see
        `has_location`.

    Returns:
        Indices of training and of validation pictures, ascending; both are non-empty and depend on names alone.

    Raises:
        DataError: fewer than two places, or a name does not match the pattern.
    """
    stems = [PurePath(name).stem for name in names]
    tiles = None if pattern else _tiles(stems)
    places = _neighbourhoods(tiles) if tiles else _places(stems, pattern, otherwise=CUT)
    few = not pattern and len(set(places)) < MANY
    chosen = _strip_of_each(stems, tiles, share) if few else None
    if chosen is None:
        chosen = _whole_places(places, share)
        strip = None if pattern or is_near(chosen.mean(), share) else _strip_of_each(stems, tiles, share)
        chosen = chosen if strip is None else strip  # one place is larger than all the others together
    if not chosen.any() or chosen.all():
        raise DataError(
            f"{len(names)} pictures from {len(set(places))} place(s) cannot be split by place; "
            "name a validation split (data.val) or a finer data.place."
        )
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def is_near(found: float, share: float) -> bool:
    """Report whether a cut has about the wanted size."""
    return share / 2 <= found <= 2 * share


def has_location(names: Sequence[str]) -> NDArray[np.bool_]:
    """Report for each name whether `split_by_place` finds a location in it: bool (len(names),)."""
    stems = [PurePath(name).stem for name in names]
    if _tiles(stems):
        return np.ones(len(stems), dtype=bool)
    return np.array([re.search(CUT, stem) is not None for stem in stems], dtype=bool)


def cells_of(names: Sequence[str]) -> list[tuple[str, int, int] | None]:
    """Read the grid cells of slippy tiles out of their names, if all names are slippy tiles.

    Returns:
        (prefix, column, row) of each name, columns counted eastwards, rows southwards; None for each if one name is
        no slippy tile.
    """
    stems = [PurePath(name).stem for name in names]
    found = [None if re.search(CUT, stem) else TILE.search(stem) for stem in stems]
    if not all(found):
        return [None] * len(stems)
    return [(stem[: tile.end(1)], int(tile[2]), int(tile[3])) for stem, tile in zip(stems, found, strict=True) if tile]


def places_of(names: Sequence[str], pattern: str | None = None) -> list[str]:
    """Return the place of each picture; a name without location is a place of its own.

    Args:
        names: file names.
        pattern: as in `split_by_place`. None: touching slippy tiles, or the raster of make_tiles.py.
    """
    stems = [PurePath(name).stem for name in names]
    tiles = None if pattern else _tiles(stems)
    if tiles:
        return _neighbourhoods(tiles)
    return [
        stem if place is None else place for stem, place in zip(stems, _matches(stems, pattern or CUT), strict=True)
    ]


def share_place(earlier: Sequence[str], later: Sequence[str], pattern: str | None = None) -> NDArray[np.bool_]:
    """Report for each picture whether it shares a place with others.

    Args:
        earlier: file names.
        later: file names to report on.
        pattern: as in `split_by_place`. None: a slippy tile shares its place with touching tiles, corners included,
            and with overlapping tiles of other zooms; any other picture with pictures of the same stem.

    Returns:
        bool (len(later),).
    """
    stems = [PurePath(name).stem for name in (*earlier, *later)]
    tiles = None if pattern else _tiles(stems)
    if tiles is None:
        places = _places(stems, pattern)
        taken = set(places[: len(earlier)])
        return np.array([place in taken for place in places[len(earlier) :]], dtype=bool)
    near = {tile for z, x, y in tiles[: len(earlier)] for tile in _around(z, x, y)}
    return np.array([tile in near for tile in tiles[len(earlier) :]], dtype=bool)


def _around(z: int, x: int, y: int) -> set[Tile]:
    """Yield a tile and its eight neighbours."""
    return {(z, x + dx, y + dy) for dx, dy in product((-1, 0, 1), repeat=2)}


def _places(stems: Sequence[str], pattern: str | None, *, otherwise: str = "^$") -> list[str]:
    """Return the place of each stem: the match of `pattern`, or without one the match of `otherwise` or the stem."""
    places = _matches(stems, pattern or otherwise)
    unfit = [stem for stem, place in zip(stems, places, strict=True) if place is None]
    if unfit and pattern:
        raise DataError(
            f"data.place={pattern} does not fit {len(unfit):,} of {len(stems):,} file names (without suffix), such as "
            f"{', '.join(unfit[:3])}; correct it, or do without (data.place=null)."
        )
    return [stem if place is None else place for stem, place in zip(stems, places, strict=True)]


def _matches(stems: Sequence[str], pattern: str) -> list[str | None]:
    """Return the first group of `pattern` in each stem, or the whole match; None without one."""
    found = [re.search(pattern, stem) for stem in stems]
    return [fit and (fit.group(1) if fit.groups() else fit.group(0)) for fit in found]


def _tiles(stems: Sequence[str]) -> list[Tile] | None:
    """Return all tiles as (zoom, column, row) of the coarsest zoom among them, or None if one name is no tile.

    A tile lies inside its parent: several zooms of the same ground share a place.
    """
    found = [None if re.search(CUT, stem) else TILE.search(stem) for stem in stems]
    tiles = [(int(m[1]), int(m[2]), int(m[3])) for m in found if m]
    if not tiles or len(tiles) < len(stems):
        return None
    coarsest = min(zoom for zoom, _, _ in tiles)
    return [(coarsest, x >> (zoom - coarsest), y >> (zoom - coarsest)) for zoom, x, y in tiles]


def _neighbourhoods(tiles: Sequence[Tile]) -> list[str]:
    """Group touching tiles, corners included, into places, named by their first tile."""
    left, named = set(tiles), dict[Tile, str]()
    for seed in sorted(left):
        if seed not in left:
            continue
        left.discard(seed)
        reached = [seed]
        while reached:
            z, x, y = reached.pop()
            named[z, x, y] = "_".join(map(str, seed))
            near = _around(z, x, y) & left
            left -= near
            reached += near
    return [named[tile] for tile in tiles]


def _strip(tiles: Sequence[Tile], share: float) -> NDArray[np.bool_]:
    """Cut a strip off one of the four sides: the strip nearest to `share`, then the shortest cut."""
    xy = np.array([tile[1:] for tile in tiles])
    options = []
    for axis, side in product((0, 1), (1, -1)):
        line = xy[:, axis] * side
        for edge in np.unique(line)[1:]:
            chosen = line >= edge
            cut = np.count_nonzero(line == edge)
            options.append((abs(chosen.mean() - share), cut, axis, -side, edge, chosen))
    if not options:
        return np.zeros(len(tiles), dtype=bool)
    return np.asarray(min(options, key=lambda option: option[:4])[-1])


def _strip_of_each(stems: Sequence[str], tiles: Sequence[Tile] | None, share: float) -> NDArray[np.bool_] | None:
    """Cut a strip of slippy tiles, or of each raster of make_tiles.py; None for other names."""
    if tiles:
        return _strip(tiles, share)
    cuts = [re.search(CUT, stem) for stem in stems]
    rasters = np.array([cut[1] if cut else "" for cut in cuts])
    if not all(cuts):
        return None
    chosen = np.zeros(len(stems), dtype=bool)
    for raster in np.unique(rasters):
        own = np.flatnonzero(rasters == raster)
        chosen[own] = _strip([(0, int(cut[3]), int(cut[2])) for i in own if (cut := cuts[i])], share)
    return chosen


def _whole_places(places: Sequence[str], share: float) -> NDArray[np.bool_]:
    """Draw whole places in the order of a hash of their names; skip places leading away from `share`."""
    names, place_of, sizes = np.unique(np.asarray(places), return_inverse=True, return_counts=True)
    order = np.array(sorted(range(len(names)), key=lambda i: hashlib.sha256(str(names[i]).encode()).digest()))
    drawn, lacking = list[int](), share * len(places)
    for place in order.tolist():
        if sizes[place] <= 2 * lacking and len(drawn) < len(names) - 1:
            drawn.append(place)
            lacking -= sizes[place]
    return np.isin(place_of, drawn or [int(order[np.argmin(sizes[order])])])
