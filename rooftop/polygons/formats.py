"""Vector formats of roofs: the table of all, and the conversion from a GeoPackage as a stream, at bounded memory.

`roofs.geojson` and `roofs.gpkg` have writers of their own. GDAL turns the GeoPackage into the others through Arrow
batches: none needs all roofs in memory, but FlatGeobuf and PMTiles, which sort them: some hundred bytes a roof. A new
format is one line.
"""

import difflib
import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyogrio.raw

from rooftop.errors import ConfigError, RooftopError
from rooftop.files import temporary_folder
from rooftop.polygons.geopackage import LAYER, plainly_named, sentence
from rooftop.raster.georeference import Georeference

log = logging.getLogger(__name__)
_BATCH = 10_000  # roofs


@dataclass(frozen=True)
class Format:
    """A vector format.

    Attributes:
        driver: GDAL's name; empty: written without GDAL.
        suffix: of the file.
        lacks: what it cannot hold, for people; empty: nothing.
        columns: of the GeoPackage, in SQL.
        dataset: options of GDAL.
        layer: options of GDAL.
        has_system: holds a reference system.
        may_be_empty: can be a file without roofs.
    """

    driver: str
    suffix: str
    lacks: str = ""
    columns: str = "*"
    dataset: Mapping[str, str] = field(default_factory=dict)
    layer: Mapping[str, str] = field(default_factory=dict)
    has_system: bool = True
    may_be_empty: bool = True


_SHORT = "geom, category, confidence, area_m2, perimeter_m AS perimeter, orientation AS orient"
_ZOOMS = {"NAME": "roofs", "MINZOOM": "11", "MAXZOOM": "16"}
FORMATS: Mapping[str, Format] = {
    "gpkg": Format("GPKG", ".gpkg"),
    "geojson": Format("", ".geojson", "other reference systems than WGS 84"),
    "fgb": Format("FlatGeobuf", ".fgb"),
    "parquet": Format("", ".parquet"),
    "shp": Format(
        "ESRI Shapefile",
        ".shp",
        "names of more than 10 letters (perimeter, orient), more than 2 GB",
        columns=_SHORT,
        layer={"DBF_DATE_LAST_UPDATE": "2000-01-01", "ENCODING": "UTF-8"},  # no clock: equal roofs, equal files
    ),
    "dxf": Format("DXF", ".dxf", "attributes, reference system", columns="geom", has_system=False),
    "pmtiles": Format(
        "PMTiles",
        ".pmtiles",
        "exact corners: tiles of zoom 11 to 16 for web maps",
        dataset=_ZOOMS,
        may_be_empty=False,
    ),
}
"""By the names in `formats=`."""


def check_formats(names: Sequence[str]) -> None:
    """Check that all formats are known and can be written here.

    Raises:
        ConfigError: one is unknown, or the GDAL of pyogrio, or pyarrow, is missing for it.
    """
    drivers = pyogrio.list_drivers(write=True)
    for name in names:
        if name not in FORMATS:
            near = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0)[0]
            raise ConfigError(f"formats: no format {name}; the nearest is {near}; there are {', '.join(FORMATS)}.")
        driver = FORMATS[name].driver
        if driver and driver not in drivers:
            raise ConfigError(
                f"formats: {name} cannot be written, since the GDAL of pyogrio here lacks its driver {driver}; leave "
                "it out, or pip install --force-reinstall pyogrio."
            )
        if name == "parquet" and importlib.util.find_spec("pyarrow") is None:
            raise ConfigError("formats: parquet (GeoParquet) needs pyarrow: pip install -e '.[parquet]'.")


def convert(geopackage: Path, path: Path, name: str, place: Georeference, about: Mapping[str, str]) -> None:
    """Write the roofs of a GeoPackage in another format, atomically; of a Shapefile, its parts one after the other.

    Args:
        geopackage: with the layer of roofs.
        path: of the file.
        name: key of `FORMATS`.
        place: georeference of the roofs.
        about: provenance, for formats that hold text.

    Raises:
        RooftopError: the disk is full, or the format cannot hold so many roofs.
    """
    form = FORMATS[name]
    if not form.may_be_empty and not pyogrio.read_info(geopackage, layer=LAYER)["features"]:
        log.warning("%s: not written, since %s cannot hold no roofs", path, name)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path.parent) as folder, plainly_named(geopackage) as source, plainly_named(folder) as plain:
        made = plain / f"{LAYER}{form.suffix}"
        try:
            _write_parquet(source, made, place, about) if name == "parquet" else _stream(source, made, form, about)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
            raise RooftopError(f"{path}: cannot be written ({error}); is there space left on the disk?") from error
        parts = sorted(folder.iterdir(), key=lambda part: part.suffix == form.suffix)  # the file itself comes last
        for part in parts:
            part.replace(path.with_name(path.stem + part.suffix))


def _stream(source: Path, made: Path, form: Format, about: Mapping[str, str]) -> None:
    described = {"FlatGeobuf": "layer", "PMTiles": "dataset"}.get(form.driver)
    text = {"DESCRIPTION": sentence(about)} if about else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # DXF holds none
        with pyogrio.raw.open_arrow(
            source, sql=f"SELECT {form.columns} FROM {LAYER}", use_pyarrow=False, batch_size=_BATCH
        ) as (meta, stream):
            pyogrio.raw.write_arrow(
                stream,
                made,
                driver=form.driver,
                layer="entities" if form.driver == "DXF" else LAYER,
                geometry_type="Polygon",
                geometry_name=meta["geometry_name"],
                crs=meta["crs"] if form.has_system else None,
                dataset_options={**form.dataset, **(text if described == "dataset" else {})},
                layer_options={**form.layer, **(text if described == "layer" else {})},
            )


def _write_parquet(source: Path, made: Path, place: Georeference, about: Mapping[str, str]) -> None:
    """Write GeoParquet 1.1, a batch of roofs as a row group."""
    import pyarrow as pa  # late: an extra
    import pyarrow.parquet as pq

    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": place.projjson}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    with pyogrio.raw.open_arrow(source, layer=LAYER, use_pyarrow=True, batch_size=_BATCH) as (meta, reader):
        fields: list[Any] = [
            pa.field("geometry", pa.binary()) if each.name == meta["geometry_name"] else pa.field(each.name, each.type)
            for each in reader.schema
        ]
        schema = pa.schema(fields, metadata={"geo": json.dumps(geo), **about})
        with pq.ParquetWriter(made, schema, compression="zstd") as file:
            for batch in reader:
                columns = [array.cast(each.type) for array, each in zip(batch.columns, schema, strict=True)]
                file.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
