"""GeoTIFFs and footprints to pictures and annotations, tile by tile, at constant memory.

8-bit grey or colours become png tiles, anything else GeoTIFFs with the same bands and type.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from rooftop.coco import UNKNOWN, Category, CocoObject, Picture, measured, rounded, write_annotations
from rooftop.errors import DataError, SourceError
from rooftop.files import temporary_folder, visible
from rooftop.raster.picture import matching, write_png
from rooftop.raster.placement import Placement
from rooftop.raster.polygonise import polygonise
from rooftop.raster.rasterise import encode, rasterise
from rooftop.raster.region import Region
from rooftop.raster.resample import resampled
from rooftop.raster.scene import Scene, open_bands, open_scene
from rooftop.raster.windows import Window
from rooftop.raster.write import write_tile
from rooftop.tiling.grid import Claims, is_claimed, split_of, strips, windows
from rooftop.tiling.shelf import Shelf
from rooftop.vector.footprints import Footprints, read_footprints
from rooftop.vector.layers import Layer

log = logging.getLogger(__name__)
CATEGORY = Category(100, "building")
OUTSIDE = Category(200, UNKNOWN)
_WITHOUT_DATA = "tile without data"
_TOO_LITTLE = "building of which too little lies inside"
_OUTSIDE = "tile outside the area"
_LEAST = 0.05  # share of a tile inside the area; a sliver teaches nothing


def building(shape: Polygon, window: Window) -> list[CocoObject]:
    """Return a building of a tile as annotations without ids: a ring, or run lengths if it has a court.

    There are several, or none, if it has necks or is a sliver narrower than the precision of the file.
    """
    parts = [shape] if shape.interiors else rounded(shape)
    if len(parts) == 1:
        return [_annotation(parts[0], shape.area, window)]
    return [_annotation(part, part.area, window) for part in parts]


def _annotation(shape: Polygon, area: float, window: Window) -> CocoObject:
    if shape.interiors:
        run = encode(rasterise([shape], window.height, window.width))
        return measured(CocoObject(0, CATEGORY.id, False, 0.0, None, run), window.height, window.width)
    ring = np.asarray(shape.exterior.coords)[:-1]
    return CocoObject(0, CATEGORY.id, False, round(float(area), 2), [ring], None)


def unknown(number: int, valid: NDArray[np.bool_]) -> CocoObject:
    """Turn the ground without data of a tile, bool (h, w), into a crowd: neither learned nor scored."""
    run = encode(np.asarray(~valid, np.uint8))
    return measured(CocoObject(number, CATEGORY.id, True, 0.0, None, run), *valid.shape)


def outside(numbers: Iterator[int], judged: NDArray[np.bool_]) -> list[CocoObject]:
    """Turn the ground of a tile that is not judged, bool (h, w), into two crowds.

    The first is for all readers of COCO, which judge the objects in a crowd; the second leaves out these, too: see
    `Index.truth`. Without it the parts of roofs outside would be learned, and no ground beside them.
    """
    crowd = unknown(next(numbers), judged)
    return [crowd, replace(crowd, annotation_id=next(numbers), category_id=OUTSIDE.id)]


def known_ground(valid: NDArray[np.bool_]) -> BaseGeometry:
    """Return the outline of the ground with data of a tile, bool (h, w), in its frame."""
    height, width = valid.shape
    return shapely.box(0, 0, width, height) if valid.all() else shapely.union_all(polygonise(valid.view(np.uint8)))


SUFFIXES = (".tif", ".tiff", ".vrt")


def find_rasters(source: str) -> list[Path]:
    """Find the rasters of `source`: a file, a folder of GeoTIFFs, or a glob; sorted.

    Raises:
        SourceError: none was found.
    """
    path = Path(source)
    if path.is_dir():
        found = [file for file in visible(path) if file.suffix.lower() in SUFFIXES]
    else:
        found = [path] if path.is_file() else matching(source, SUFFIXES)
    if not found:
        raise SourceError(f"source={source}: no such raster, folder of {', '.join(SUFFIXES)}, or pattern.")
    return sorted(found)


def _require_placed(placement: Placement, path: Path) -> None:
    if placement.georeference is None:
        reason = placement.warning or "has no reference system and corners"
        raise SourceError(f"{path}: no footprint can be laid on it: it {reason}.")
    if placement.warning:
        log.warning("%s: %s", path, placement.warning)


Cut = tuple[NDArray[np.bool_], Callable[[Path], None]]
"""Where a tile has data, bool (h, w), and what writes it, whole or not at all."""


@dataclass(frozen=True)
class Raster:
    """An open raster. suffix: of its tiles. cut: reads one."""

    scene: Scene
    suffix: str
    cut: Callable[[Window], Cut]


@contextmanager
def open_raster(path: str, crs: str | None = None) -> Iterator[Raster]:
    """Open a raster to cut it; crs: reference system of one without.

    Raises:
        SourceError: missing, corrupt, or of complex numbers.
    """
    with open_bands(path, crs=crs) as scene:
        if not scene.form.is_rgb:
            yield Raster(scene, ".tif", lambda window: _bands(scene, window))
            return
    with open_scene(path, crs=crs) as scene:
        yield Raster(scene, ".png", lambda window: _colours(scene, window))


def _colours(scene: Scene, window: Window) -> Cut:
    picture, valid = scene.read(window)
    return valid, lambda path: write_png(path, picture)


def _bands(scene: Scene, window: Window) -> Cut:
    values, known = scene.values(window)
    valid = known & np.isfinite(values).all(axis=0)
    return valid, lambda path: write_tile(path, scene, window, values=values, known=known)


@dataclass(frozen=True)
class Tiling:
    """Settings of the tiles.

    size, overlap: of tiles, in pixels. gsd: metres per pixel to resample to, None = as it is. crs: reference system
    of rasters without one, e.g. "EPSG:32645". min_valid: least share of a tile with data. min_area: least area of a
    building inside a tile, in square pixels. shares: of the ground, by split, in order.
    """

    size: int
    overlap: int
    gsd: float | None
    crs: str | None
    min_valid: float
    min_area: float
    shares: Mapping[str, float]


@dataclass
class Tiles:
    """The work: rasters and the footprints on them, cut into `<folder>/images/<split>` and `<folder>/annotations`.

    Attributes:
        sources: rasters.
        layer: of the footprints.
        folder: of the tiles.
        tiling: settings.
        area: polygons of the ground that is judged; None: all.
        made: tiles and buildings, by split.
        left_out: tiles and buildings, by reason.
        features: names of those left out, by reason; a feature on several rasters counts once.
        channels: the least number of bands of a raster, without transparency.
        is_rgb: all tiles are 8-bit pictures.
        gsds: metres per pixel of each raster, as it is cut.
    """

    sources: Sequence[Path]
    layer: Layer
    folder: Path
    tiling: Tiling
    area: Layer | None = None
    made: dict[str, Counter[str]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    features: dict[str, set[Any]] = field(default_factory=dict)
    channels: int = 0
    is_rgb: bool = True
    gsds: list[float] = field(default_factory=list)
    _shelves: dict[Path, Shelf] = field(default_factory=dict)
    _claims: Claims = field(default_factory=Claims)
    _others: dict[Path, dict[str, list[Polygon]]] = field(default_factory=dict)
    _regions: dict[Path, Region] = field(default_factory=dict)
    _aside: Path = Path()

    def write(self, progress: Callable[[str], None] | None = None) -> None:
        """Cut all rasters; the folder changes only once all is done.

        Args:
            progress: called with the split of each written tile.

        Raises:
            DataError: two rasters have the same name, footprints cannot be read, or nothing is left to write.
            SourceError: a raster cannot be read or is not georeferenced.
        """
        stems = Counter(path.stem for path in self.sources)
        if twice := [stem for stem, number in stems.items() if number > 1]:
            raise DataError(f"two rasters are named {twice[0]}; rename one, since tiles are named after them.")
        possible = self._possible()
        self._require_overlap()
        self._require_tiles(dict.fromkeys(self.tiling.shares, 0) | possible)
        categories = [CATEGORY, OUTSIDE] if self.area else [CATEGORY]
        with self._put_aside():
            for split in self.tiling.shares:
                self.made[split] = Counter()
                found = self._pictures(split, progress)
                write_annotations(self._aside / "annotations" / f"{split}.json", found, categories)
            self._require_tiles({split: counts["tiles"] for split, counts in self.made.items()})
            self._publish()

    def _possible(self) -> Counter[str]:
        """How many tiles lie in each split, whether they have data or not."""
        found: Counter[str] = Counter()
        for path in self.sources:
            with open_bands(str(path), crs=self.tiling.crs) as scene:
                _require_placed(scene.placement, path)
            with self._resampled(path) as (name, crs), open_bands(name, crs=crs) as scene:
                found.update(split for _, split in self._owned(scene, path) if split)
        return found

    def _require_overlap(self) -> None:
        if self.area and all(region.shape.is_empty for region in self._regions.values()):
            raise DataError(
                f"{self.area.path}: this area lies on no raster of source={self.sources[0]}; give the area of that "
                "ground, or correct its reference system."
            )

    @contextmanager
    def _resampled(self, path: Path) -> Iterator[tuple[str, str | None]]:
        """A raster to open at the wanted metres per pixel, and the reference system that it lacks."""
        gsd, crs = self.tiling.gsd, self.tiling.crs
        with resampled(str(path), gsd, crs) as name:
            yield name, crs if gsd is None else None  # what is resampled has one

    def _require_tiles(self, number: Mapping[str, int]) -> None:
        if empty := [split for split, tiles in number.items() if not tiles]:
            left = {split: share for split, share in self.tiling.shares.items() if split not in empty}
            shares = {split: round(left.get(split, 0) / (sum(left.values()) or 1), 3) for split in self.tiling.shares}
            listed = ", ".join(f"{split}: {share}" for split, share in shares.items())
            without = f", or do without: 'shares={{{listed}}}'" if "train" in left else ""
            where = f"{self.sources[0]}" + (f" and {len(self.sources) - 1} more" if len(self.sources) > 1 else "")
            if self.left_out[_WITHOUT_DATA]:
                without = f", or lower min_valid={self.tiling.min_valid}, the data that a tile needs{without}"
            raise DataError(f"{where}: no tile for {', '.join(empty)}; make tiles smaller{without}.")

    def _pictures(self, split: str, progress: Callable[[str], None] | None) -> Iterator[Picture]:
        """The tiles of a split, written as they come."""
        numbers = count(1)
        ids = count(1)
        for path in self.sources:
            with self._resampled(path) as (name, crs), open_raster(name, crs) as raster:
                channels = raster.scene.channels - int(raster.suffix == ".tif" and raster.scene.form.has_alpha)
                self.channels = min(self.channels or channels, channels)
                self.is_rgb &= raster.suffix == ".png"
                for window, shelf in self._windows(raster.scene, path, split):
                    valid, write = raster.cut(window)
                    inside = self._inside(path, window)
                    judged = valid & inside
                    if judged.sum() < self.tiling.min_valid * inside.sum():
                        self.left_out[_WITHOUT_DATA] += 1
                        continue
                    file = f"{path.stem}_{window.row:06d}_{window.column:06d}{raster.suffix}"
                    write(self._aside / "images" / split / file)
                    roofs = self._judged(self._cut(shelf, window, valid), path, window)
                    objects = [replace(thing, annotation_id=next(numbers)) for thing in self._drawn(roofs, window)]
                    self.made[split].update({"tiles": 1, "buildings": len(objects)})
                    if not inside.all():
                        objects += outside(numbers, judged)
                    elif not valid.all() and raster.suffix == ".png":  # a GeoTIFF says itself where it has no data
                        objects.append(unknown(next(numbers), valid))
                    if progress:
                        progress(split)
                    yield Picture(next(ids), file, window.height, window.width, objects)

    def _windows(self, scene: Scene, path: Path, split: str) -> Iterator[tuple[Window, Shelf]]:
        """The tiles of a split on one raster, with the footprints of the raster."""
        is_first = split == next(iter(self.tiling.shares))
        if self.area and self._regions[path].shape.is_empty:
            if is_first:
                self.left_out[_OUTSIDE] += len([*self._owned(scene, path)])
            return
        shelf = self._shelves.get(path) or self._filled(scene, path)
        for window, owner in self._owned(scene, path):
            if self.area and self._inside(path, window).mean() < _LEAST:
                if is_first:
                    self.left_out[_OUTSIDE] += 1
            elif owner == split and is_claimed(window, split, self._others[path]):
                self.left_out["tile on ground that another raster has claimed for another split"] += 1
            elif owner == split:
                yield window, shelf
            elif owner is None and is_first:
                self.left_out["tile across the border of two splits"] += 1

    def _owned(self, scene: Scene, path: Path) -> Iterator[tuple[Window, str | None]]:
        """All tiles of a raster, each with its split; None = it lies across a border."""
        size, overlap = self.tiling.size, self.tiling.overlap
        strip, is_along_rows = self._strips(scene, path), scene.height > scene.width
        for window in windows(scene.height, scene.width, size=size, overlap=overlap):
            yield window, split_of(window, strip, is_along_rows=is_along_rows)

    @contextmanager
    def _put_aside(self) -> Iterator[None]:
        """Keep footprints and tiles in a hidden folder for as long as tiles are cut; an error removes it."""
        with temporary_folder(self.folder) as folder:
            try:
                self._aside = folder
                yield
            finally:
                while self._shelves:
                    self._shelves.popitem()[1].close()

    def _publish(self) -> None:
        """Move pictures, then annotations, to their place; files of the same name are replaced."""
        for part in ("images", "annotations"):
            for path in sorted(path for path in (self._aside / part).rglob("*") if path.is_file()):
                target = self.folder / path.relative_to(self._aside)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)

    def _filled(self, scene: Scene, path: Path) -> Shelf:
        """The footprints on a raster, read once for all splits."""
        assert scene.georeference is not None  # see _possible
        shape = scene.height, scene.width
        self.gsds.append(scene.gsd or 0.0)
        self._others[path] = self._claims.share_out(scene.georeference, shape, self._strips(scene, path))
        shelf = self._shelves[path] = Shelf(self._aside / f"{len(self._shelves)}.shelf", shape, cell=self.tiling.size)
        for found in read_footprints(self.layer, scene.georeference, shape):
            shelf.add(self._touching(path, found))
            for reason, names in found.left_out.items():
                self.features.setdefault(reason, set()).update(names)
        return shelf

    def _strips(self, scene: Scene, path: Path) -> dict[str, tuple[int, int]]:
        """First pixel and end of each split along the longer side of a raster, or of the area on it."""
        tiling, length = self.tiling, max(scene.height, scene.width)
        stride = tiling.size - tiling.overlap
        first, end = 0, length
        if self.area:
            bounds = self._region(scene, path).shape.bounds
            low, high = bounds[1::2] if scene.height > scene.width else bounds[::2]
            if not np.isfinite(low):  # nothing of the area
                return {}
            first = min(int(max(low, 0) // stride) * stride, max(length - tiling.size, 0))
            end = min(int(np.ceil(high / stride)) * stride + tiling.overlap, length)
        shares = strips(end - first, stride, tiling.shares)
        return {split: (first + start, first + stop) for split, (start, stop) in shares.items()}

    # --- area ---

    def _region(self, scene: Scene, path: Path) -> Region:
        """The area on a raster, in its pixel frame."""
        if path not in self._regions:
            assert self.area is not None
            assert scene.georeference is not None  # see _possible
            polygons: list[Polygon] = []
            for found in read_footprints(self.area, scene.georeference, (scene.height, scene.width)):
                polygons += found.polygons
                for reason, names in found.left_out.items():
                    self.features.setdefault(f"area: {reason}", set()).update(names)
            self._regions[path] = Region(shapely.union_all(polygons))
        return self._regions[path]

    def _inside(self, path: Path, window: Window) -> NDArray[np.bool_]:
        """Where a tile lies inside the area, bool (h, w)."""
        if self.area is None:
            return np.ones((window.height, window.width), bool)
        return self._regions[path].mask(window)

    def _touching(self, path: Path, found: Footprints) -> Sequence[Polygon]:
        """Those of some buildings that touch the area, as a whole."""
        if self.area is None or not found.polygons:
            return found.polygons
        is_touching = shapely.intersects(self._regions[path].shape, found.polygons)
        outside = [name for name, touches in zip(found.names, is_touching, strict=True) if not touches]
        if outside:
            self.features.setdefault("building outside the area", set()).update(outside)
        return [polygon for polygon, touches in zip(found.polygons, is_touching, strict=True) if touches]

    def _judged(self, parts: Iterable[Polygon], path: Path, window: Window) -> Iterator[Polygon]:
        """Those of some parts of buildings in a tile that touch the area in it; others belong to the next tile."""
        inside = self._regions[path].within(window) if self.area else None
        yield from (part for part in parts if inside is None or shapely.intersects(part, inside))

    def _drawn(self, shapes: Iterable[Polygon], window: Window) -> Iterator[CocoObject]:
        """Annotations without ids of the parts of footprints in a tile; of equal ones the first."""
        seen: set[bytes] = set()
        for shape in shapes:
            things = building(shape, window)
            if not things:
                self.left_out[_TOO_LITTLE] += 1
            for thing in things:
                outline = thing.rle["counts"] if thing.rle else b"".join(ring.tobytes() for ring in thing.rings or ())
                if outline in seen:
                    self.left_out["building drawn twice"] += 1
                else:
                    yield thing
                seen.add(outline)

    def _cut(self, shelf: Shelf, window: Window, valid: NDArray[np.bool_]) -> Iterator[Polygon]:
        """The parts of footprints inside a tile and on ground with data, in its own frame."""
        corner = window.column, window.row
        frame = shapely.transform(known_ground(valid), lambda points: points + corner)
        for shape in shelf.near(window):
            for part in shapely.get_parts(shapely.intersection(shape, frame)):
                if part.geom_type != "Polygon":
                    continue
                if part.area < self.tiling.min_area:
                    self.left_out[_TOO_LITTLE] += 1
                    continue
                yield shapely.transform(part, lambda points: points - corner)
