"""Output files of a prediction, and the rows of `summary.json`. Vector formats: `rooftop.polygons.formats`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from rooftop.coco import Result, write_results
from rooftop.errors import ConfigError
from rooftop.inference.area import Part
from rooftop.inference.check_first import Candidates, Check, candidates, on_one_map
from rooftop.inference.job import Job
from rooftop.inference.sources import Source
from rooftop.polygons.check_first import Square
from rooftop.polygons.formats import FORMATS, convert
from rooftop.polygons.geojson import write_geojson
from rooftop.polygons.geopackage import write_geopackage
from rooftop.polygons.ground import Ground
from rooftop.polygons.merge import Merged, Sheet
from rooftop.polygons.roofs import Layers, Roof, Shaping, Spool, find_roofs
from rooftop.polygons.webmap import write_map
from rooftop.raster.rasterise import MOST, polygon_run, rasterise, rings
from rooftop.raster.region import Region
from rooftop.run import Run
from rooftop.version import __version__

SPOOLS = ".roofs"  # folder of the roofs of each source, deleted at the end
PictureRoofs = tuple[str, tuple[int, int], Iterable[Roof]]
"""File name of a picture, its (height, width) in pixels, its roofs."""


@dataclass(frozen=True)
class Outputs:
    """Names, categories and settings of the output files of one prediction.

    Attributes:
        folder: output folder.
        single: one source, so its files need no name of their own.
        categories: names of the K categories.
        targets: names of the T targets of each category, roof first.
        threshold: lowest probability of a roof pixel.
        shaping: how probabilities become polygons.
        probability: write the probability of a scene.
        formats: of the outlines, keys of `FORMATS`.
        about: provenance of the roofs, text by name.
        check: squares to look at first; None: none, or no file for them.
    """

    folder: Path
    single: bool
    categories: tuple[str, ...]
    targets: tuple[str, ...]
    threshold: float
    shaping: Shaping
    probability: bool
    formats: tuple[str, ...]
    about: Mapping[str, str]
    check: Check | None

    @classmethod
    def of(cls, job: Job, run: Run, folder: Path, *, single: bool) -> "Outputs":
        """Outputs of a job with a run; `folder` is that of the first process.

        Raises:
            ConfigError: the threshold on the card is no probability.
        """
        card = run.card
        threshold = card.threshold if job.threshold is None else job.threshold
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold={threshold} on the run's card must be above 0 and below 1; set threshold=.")
        return cls(
            folder=folder,
            single=single,
            categories=tuple(card.categories),
            targets=tuple(card.targets),
            threshold=threshold,
            shaping=job.shaping.with_likeness(card.likeness),
            probability=job.probability,
            formats=job.formats,
            about=_provenance(run, threshold),
            check=job.check if job.check and job.check.count and "gpkg" in job.formats else None,
        )

    def path(self, file: str, stem: str) -> Path:
        """Path of an output file.

        Args:
            file: general name, e.g. `roofs.geojson`.
            stem: of the source.

        Returns:
            `roofs.geojson` for a single source, else `roofs/<stem>.geojson`; masks and overlays always by stem.
        """
        name, _, suffix = file.partition(".")
        if self.single and name not in ("masks", "overlays"):
            return self.folder / file
        return self.folder / name / f"{stem}.{suffix}"

    def roofs(self, layers: Layers, ground: Ground, inside: Region | None = None) -> Iterator[Roof]:
        """Find the roofs of a source, those of a region."""
        found = find_roofs(layers, threshold=self.threshold, shaping=self.shaping, ground=ground)
        yield from found if inside is None else (roof for roof in found if inside.holds(roof.polygon))

    def find_roofs(self, layers: Layers, stem: str, ground: Ground, inside: Region | None = None) -> Spool:
        """Find the roofs of a source and store them on disk, at constant memory."""
        return Spool(self.folder / SPOOLS / f"{stem}.jsonl", self.roofs(layers, ground, inside))

    def candidates(
        self,
        layers: Layers,
        ground: Ground,
        inside: Region | None = None,
    ) -> Candidates | None:
        """Measure squares to look at first; None: not wanted, or no place on the map. See `check_first.candidates`."""
        if self.check is None or ground.georeference is None:
            return None
        about: dict[str, Any] = {"threshold": self.threshold, "size": self.check.size, "inside": inside}
        return candidates(layers, ground.georeference, **about)

    def squares(self, found: Candidates | None, ground: Ground) -> list[Square]:
        """Choose squares to look at first; `ground` is that of their pixel frame."""
        return found.first(self.check, ground) if found and self.check else []


def _provenance(run: Run, threshold: float) -> dict[str, str]:
    """What made the roofs, and when: the day, so that a prediction resumed on it gives the same files."""
    about = {
        "software": f"rooftop {__version__}",
        "model": run.folder.absolute().name,
        "trained": run.card.created,
        "threshold": f"{threshold:g}",
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
    return about | ({"licence": run.card.licence} if run.card.licence else {})


@dataclass(frozen=True)
class Finished:
    """A source with all its files written.

    Attributes:
        row: its row in the summary.
        roofs: read as often as needed.
        picture: uint8 (h, w, 3), of a large source at lower resolution.
        mask: uint8 (h, w), 1 = roof, on `picture`.
        ground: of the pixel frame of the roofs.
        frame: (height, width) in pixels of that frame.
        candidates: squares to look at first, if measured.
    """

    row: dict[str, Any]
    roofs: Spool
    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    ground: Ground
    frame: tuple[int, int]
    candidates: Candidates | None = None

    def in_source(self) -> "PictureRoofs":
        """File name, size and roofs in the pixel frame of the source, of which a window alone may be predicted."""
        column, row, *_ = self.row.get("window", (0, 0))
        roofs = (replace(roof, polygon=_moved(roof.polygon, column, row)) for roof in self.roofs)
        return Path(self.row["picture"]).name, (self.row["height"], self.row["width"]), roofs

    def without_pictures(self) -> "Finished":
        """Drop the pictures, to keep the memory of many sources small."""
        nothing = np.zeros((0, 0), np.uint8)
        return replace(self, picture=nothing, mask=nothing)


def _moved(polygon: Polygon, right: int, down: int) -> Polygon:
    if not (right or down):
        return polygon
    return shapely.transform(polygon, lambda corners: np.add(corners, (right, down)))


@dataclass(frozen=True)
class Outlines:
    """The roofs of one source, as vector formats need them.

    Attributes:
        stem: of the source.
        size: (height, width) in pixels.
        picture: uint8 (h, w, 3), of a large source at lower resolution.
        ground: size of a pixel on the ground, and place on the map.
        roofs: iterated once per format.
        squares: to look at first.
    """

    stem: str
    size: tuple[int, int]
    picture: NDArray[np.uint8]
    ground: Ground
    roofs: Iterable[Roof]
    squares: Sequence[Square] = ()


def write_outlines(outlines: Outlines, outputs: Outputs) -> None:
    """Write the roofs of one source in every format, and a web map.

    Without a place on the map there is GeoJSON in pixels alone, whatever the formats.
    """
    place = outlines.ground.georeference

    def path_of(file: str) -> Path:
        return outputs.path(file, outlines.stem)

    _write_formats(outlines.roofs, outlines.squares, outlines.ground, outputs, path_of)
    if outputs.single or place is not None:
        scene = (outlines.stem, *outlines.size, outlines.ground)
        path = outputs.path("map.html", outlines.stem)
        more: dict[str, Any] = {"categories": outputs.categories, "squares": outlines.squares}
        write_map(path, outlines.roofs, outlines.picture, scene=scene, **more)


def _write_formats(
    roofs: Iterable[Roof],
    squares: Sequence[Square],
    ground: Ground,
    outputs: Outputs,
    path_of: Callable[[str], Path],
) -> None:
    """Write roofs, iterated once per format; `path_of` gives the path of a file such as `roofs.gpkg`.

    The GeoPackage contains the squares, too.
    """
    place, names = ground.georeference, outputs.formats
    about: dict[str, Any] = {"ground": ground, "categories": outputs.categories, "about": outputs.about}
    if "geojson" in names or place is None:
        write_geojson(path_of("roofs.geojson"), roofs, **about)
    others = [name for name in names if name not in ("gpkg", "geojson")]
    if place is None or not ("gpkg" in names or others):
        return
    kept = path_of("roofs.gpkg")
    geopackage = kept if "gpkg" in names else outputs.folder / SPOOLS / kept.relative_to(outputs.folder)
    write_geopackage(geopackage, roofs, squares=squares, **about)
    for name in others:
        convert(geopackage, path_of(f"roofs{FORMATS[name].suffix}"), name, place, outputs.about)


def write_merged(finished: Iterable[Finished], outputs: Outputs) -> dict[str, int]:
    """Write the roofs of all sheets on the map as one layer, if there are two or more.

    Returns:
        Numbers for the summary: sheets, roofs, how many of these were joined across borders, and squares to look at
        first, if any; empty: none written.
    """
    places = [(one, one.ground.georeference) for one in finished]
    sheets = [Sheet(one.roofs, one.frame, place) for one, place in places if place]
    if len(sheets) < 2:
        return {}
    merged = Merged(sheets)
    parts = [
        replace(one.candidates, shapes=merged.placed(one.candidates.shapes, sheet))
        for one, sheet in zip((one for one, place in places if place), sheets, strict=True)
        if one.candidates
    ]
    squares = outputs.squares(on_one_map(parts) if parts else None, merged.ground)
    _write_formats(merged, squares, merged.ground, outputs, lambda file: outputs.folder / file)
    pieces = sum(len(one.roofs) for one, place in places if place)
    numbers = {"sheets": len(sheets), "roofs": pieces - merged.absorbed, "joined": merged.joined}
    return numbers | check_first_row(squares)


def countable(height: int, width: int) -> bool:
    """Report whether the run lengths of COCO can number the pixels of a scene: at most 2**32."""
    return height * width <= MOST


def write_coco(path: Path, found: Iterable[PictureRoofs], categories: Sequence[str]) -> None:
    """Write the roofs of all sources as COCO results; picture ids count from 1, with the file names beside them.

    Scenes beyond `countable` are left out; the summary lists them.
    """
    write_results(path, _results(found, categories))


def _results(found: Iterable[PictureRoofs], categories: Sequence[str]) -> Iterator[Result]:
    for number, (name, (height, width), roofs) in enumerate(found, 1):
        if countable(height, width):
            for roof in roofs:
                run, outline = polygon_run(roof.polygon, height, width), rings(roof.polygon)
                names = {"picture": name, "category": categories[roof.category]}
                yield Result(number, roof.category + 1, round(roof.confidence, 4), run, outline, **names)


def drawn(roofs: Iterable[Roof], scene: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw roofs on a smaller raster.

    Args:
        roofs: in the pixel frame of the scene.
        scene: (height, width) of the scene in pixels.
        size: (height, width) of the result in pixels.

    Returns:
        Mask uint8 (height, width), 1 = roof.
    """
    mask = np.zeros(size, np.uint8)
    scale = size[1] / scene[1], size[0] / scene[0]  # each side is rounded by itself
    for roof in roofs:
        small = shapely.transform(roof.polygon, lambda corners: corners * scale)
        left, top = np.maximum(np.floor(small.bounds[:2]), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(small.bounds[2:]), (size[1], size[0])).astype(int).tolist()
        if right > left and bottom > top:
            moved = shapely.transform(small, lambda corners, corner=(left, top): np.subtract(corners, corner))
            mask[top:bottom, left:right] |= rasterise([moved], bottom - top, right - left)
    return mask


def summary_row(
    source: Source, size: Sequence[int], *, ground: Ground, pixels: tuple[int, int], roofs: Spool
) -> dict[str, Any]:
    """Row of `summary.json` for any source.

    Args:
        source: path.
        size: height and width in pixels.
        ground: size of a pixel on the ground.
        pixels: number of roof pixels, and of pixels with data.
        roofs: found in the source.
    """
    return {
        "picture": source.path,
        "height": size[0],
        "width": size[1],
        "metres_per_pixel": ground.gsd,
        "roofs": len(roofs),
        f"roof_{ground.unit}2": round(sum(roof.area for roof in roofs), 1),
        "roof_pixels": pixels[0],
        "valid_pixels": pixels[1],
        "roof_share": pixels[0] / max(pixels[1], 1),
    }


def part_row(part: Part | None) -> dict[str, Any]:
    """The window that was predicted, [column, row, width, height] in pixels of the source, if not all of it."""
    if part is None:
        return {}
    return {"window": [part.window.column, part.window.row, part.window.width, part.window.height]}


def check_first_row(squares: Sequence[Square]) -> dict[str, int]:
    """The number of squares to look at first, if any were written."""
    return {"check_first": len(squares)} if squares else {}


def scaled_by(factor: float | None) -> float | None:
    """Scale of the network's input, to three digits; None: not scaled."""
    return factor and round(factor, 3)
