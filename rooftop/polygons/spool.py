"""Roofs on disk, one a line, so that each writer reads them for itself and none of them fills the memory."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import shapely

from rooftop.files import atomic_write
from rooftop.polygons.roofs import Roof


class Spool:
    """Roofs, written once and read as often as needed; equal to the last bit."""

    def __init__(self, path: Path, roofs: Iterable[Roof]) -> None:
        self._path, self._count = path, 0
        with atomic_write(path) as part, part.open("w", encoding="ascii") as file:
            for roof in roofs:
                numbers = [roof.category, roof.confidence, roof.area, roof.perimeter, roof.orientation]
                file.write(json.dumps([shapely.to_wkb(roof.polygon, hex=True), *numbers]) + "\n")
                self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Roof]:
        with self._path.open(encoding="ascii") as file:
            for line in file:
                outline, *numbers = json.loads(line)
                yield Roof(shapely.from_wkb(outline), *numbers)
