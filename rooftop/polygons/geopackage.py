"""GeoPackage in the reference system of the source, with styles for QGIS: roofs, and squares to look at first.

The GDAL of rasterio writes no vector files; pyogrio does.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pyogrio.raw
import shapely

from rooftop.errors import RooftopError
from rooftop.files import atomic_write
from rooftop.polygons.check_first import ABOUT, CHECK_FIRST, Square
from rooftop.polygons.geojson import attributes
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof

LAYER = "roofs"
_FORM = {"VERSION": "1.2"}  # later ones make the GDAL of a QGIS that is some years old warn at each look
_DATE = "2000-01-01T00:00:00.000Z"  # of the contents; no clock, so that equal roofs give equal files
_CHUNK = 10_000  # roofs that are held at a time
_ADDRESS = {"!", ";"}  # after which pyogrio sees parts of an address
_KINDS = {"category": object}  # all other columns are numbers
_STYLE_FILES = {  # by layer, the default first
    LAYER: {
        "roofs": (Path(__file__).with_name("style.qml"), "roofs, filled by half"),
        "confidence": (Path(__file__).with_name("style_confidence.qml"), "colours from doubtful to sure"),
    },
    CHECK_FIRST: {
        "check_first": (Path(__file__).with_name("style_check_first.qml"), "outlines with their rank, by checked"),
    },
}
_STYLES = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME
)
"""  # as QGIS makes it


def write_geopackage(
    path: Path,
    roofs: Iterable[Roof],
    *,
    ground: Ground,
    categories: Sequence[str],
    about: Mapping[str, str] | None = None,
    squares: Sequence[Square] = (),
) -> None:
    """Write roofs with their attributes, atomically.

    Args:
        path: of the file; an old one is replaced.
        roofs: iterated once.
        ground: of a georeferenced source.
        categories: names by index.
        about: provenance, for the metadata of the layer.
        squares: to look at first, a second layer; empty: no such layer.

    Raises:
        RooftopError: the disk is full, or the folder is not writable.
    """
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE})
    with atomic_write(path) as part, plainly_named(part) as file:
        try:
            for i, chunk in enumerate(_chunks(roofs)):
                _append(file, chunk, (ground, categories, about or {}), append=i > 0)
            if squares:
                _add_squares(file, squares, ground)
            with closing(sqlite3.connect(file)) as database, database:
                _add_styles(database)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, sqlite3.Error) as error:
            raise RooftopError(f"{path}: cannot be written ({error}); is there space left on the disk?") from error


@contextmanager
def plainly_named(path: Path) -> Iterator[Path]:
    """Yield the file, or a link to it if pyogrio would take its folder's name for an address."""
    if not _ADDRESS & set(str(path.absolute())):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "link")
        link.symlink_to(path.parent.absolute())
        yield link / path.name


def _chunks(roofs: Iterable[Roof]) -> Iterator[list[Roof]]:
    """Yield at least one chunk: a file without roofs has its columns, too."""
    left = iter(roofs)
    yield list(islice(left, _CHUNK))
    while chunk := list(islice(left, _CHUNK)):
        yield chunk


def _append(
    path: Path, roofs: list[Roof], meaning: tuple[Ground, Sequence[str], Mapping[str, str]], *, append: bool
) -> None:
    ground, categories, about = meaning
    assert ground.georeference is not None
    rows = [attributes(roof, ground, categories) for roof in roofs]
    names = list(attributes(Roof(shapely.box(0, 0, 1, 1), 0, 0.0, 0.0, 0.0, 0.0), ground, categories))
    placed = shapely.transform([roof.polygon for roof in roofs], ground.georeference.to_map)
    pyogrio.raw.write(
        path,
        geometry=np.array(shapely.to_wkb(placed), dtype=object).reshape(len(roofs)),
        field_data=[np.array([row[name] for row in rows], dtype=_KINDS.get(name, np.float64)) for name in names],
        fields=names,
        layer=LAYER,
        driver="GPKG",
        geometry_type="Polygon",
        crs=ground.georeference.crs,
        append=append,
        dataset_options=None if append else _FORM,
        layer_options=None if append or not about else {"DESCRIPTION": sentence(about)},
        layer_metadata=None if append or not about else dict(about),
    )


def _add_squares(path: Path, squares: Sequence[Square], ground: Ground) -> None:
    """Add the layer of squares to look at first; a person sets `checked` of those whose roofs are right now."""
    assert ground.georeference is not None
    placed = shapely.transform([square.polygon for square in squares], ground.georeference.to_map)
    columns = {
        "rank": np.arange(1, len(squares) + 1, dtype=np.int32),
        "reason": np.array([square.reason for square in squares], dtype=object),
        "checked": np.zeros(len(squares), bool),
        "area_m2": np.array([round(square.area, 2) for square in squares]),
    }
    pyogrio.raw.write(
        path,
        geometry=np.array(shapely.to_wkb(placed), dtype=object),
        field_data=[*columns.values()],
        fields=[*columns],
        layer=CHECK_FIRST,
        driver="GPKG",
        geometry_type="Polygon",
        crs=ground.georeference.crs,
        layer_options={"DESCRIPTION": ABOUT},
    )


def sentence(about: Mapping[str, str]) -> str:
    """Return a provenance as text."""
    return "; ".join(f"{name}: {value}" for name, value in about.items())


def _add_styles(database: sqlite3.Connection) -> None:
    """Store the styles in the file, the first of a layer as default, as QGIS under "save style in database"."""
    geometry = dict(database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall())
    database.execute(_STYLES)
    for layer in (name for name in _STYLE_FILES if name in geometry):
        for name, (file, description) in _STYLE_FILES[layer].items():
            database.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner, update_time) "
                "VALUES ('', '', ?, ?, ?, ?, '', ?, ?, '', ?)",
                (layer, geometry[layer], name, file.read_text(encoding="utf-8"), name == layer, description, _DATE),
            )
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?, 0)",
        (_DATE,),
    )
