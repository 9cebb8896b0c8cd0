"""GeoPackage in the reference system of the source, with a style for QGIS.

The GDAL of rasterio writes no vector files; pyogrio does.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pyogrio.raw
import shapely

from rooftop.errors import RooftopError
from rooftop.files import atomic_write
from rooftop.polygons.geojson import attributes
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof

_LAYER = "roofs"
_FORM = {"VERSION": "1.2"}  # later ones make the GDAL of a QGIS that is some years old warn at each look
_DATE = "2000-01-01T00:00:00.000Z"  # of the contents; no clock, so that equal roofs give equal files
_CHUNK = 10_000  # roofs that are held at a time
_ADDRESS = {"!", ";"}  # after which pyogrio sees parts of an address
_KINDS = {"category": object}  # all other columns are numbers
_STYLE = Path(__file__).with_name("style.qml")
_STYLES = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME
)
"""  # as QGIS makes it


def write_geopackage(path: Path, roofs: Iterable[Roof], *, ground: Ground, categories: Sequence[str]) -> None:
    """Write roofs with their attributes, atomically.

    Args:
        path: of the file; an old one is replaced.
        roofs: iterated once.
        ground: of a georeferenced source.
        categories: names by index.

    Raises:
        RooftopError: the disk is full, or the folder is not writable.
    """
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE})
    with atomic_write(path) as part, _plainly_named(part) as file:
        try:
            for i, chunk in enumerate(_chunks(roofs)):
                _append(file, chunk, (ground, categories), append=i > 0)
            with closing(sqlite3.connect(file)) as database, database:
                _add_style(database)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, sqlite3.Error) as error:
            raise RooftopError(f"{path}: cannot be written ({error}); is there space left on the disk?") from error


@contextmanager
def _plainly_named(path: Path) -> Iterator[Path]:
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


def _append(path: Path, roofs: list[Roof], meaning: tuple[Ground, Sequence[str]], *, append: bool) -> None:
    ground, categories = meaning
    assert ground.georeference is not None
    rows = [attributes(roof, ground, categories) for roof in roofs]
    names = list(attributes(Roof(shapely.box(0, 0, 1, 1), 0, 0.0, 0.0, 0.0, 0.0), ground, categories))
    placed = shapely.transform([roof.polygon for roof in roofs], ground.georeference.to_map)
    pyogrio.raw.write(
        path,
        geometry=np.array(shapely.to_wkb(placed), dtype=object).reshape(len(roofs)),
        field_data=[np.array([row[name] for row in rows], dtype=_KINDS.get(name, np.float64)) for name in names],
        fields=names,
        layer=_LAYER,
        driver="GPKG",
        geometry_type="Polygon",
        crs=ground.georeference.crs,
        append=append,
        dataset_options=None if append else _FORM,
    )


def _add_style(database: sqlite3.Connection) -> None:
    """Store the style in the file, as QGIS does under "save style in database"."""
    (geometry,) = database.execute("SELECT column_name FROM gpkg_geometry_columns").fetchone()
    database.execute(_STYLES)
    database.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
        "styleQML, styleSLD, useAsDefault, description, owner, update_time) "
        "VALUES ('', '', ?, ?, 'roofs', ?, '', 1, 'roofs, filled by half', '', ?)",
        (_LAYER, geometry, _STYLE.read_text(encoding="utf-8"), _DATE),
    )
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?, 0)",
        (_DATE,),
    )
