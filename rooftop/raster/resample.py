"""A raster at another ground sampling distance, resampled on reading at constant memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as Xml

import rasterio.shutil
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from rooftop.errors import SourceError
from rooftop.raster.scene import open_bands

_MOST = 30  # by which a raster is scaled at most; what is beyond was given in other units


@contextmanager
def resampled(path: str, gsd: float | None, crs: str | None = None) -> Iterator[str]:
    """Yield a path to open at `gsd` metres per pixel; the path itself if `gsd` is None.

    Pixels become squares on the ground. The reference system stays, and so do pixels without data, marked by a
    value, transparency or a mask. Finer rasters are averaged, coarser ones interpolated (cubic).

    Args:
        path: of the raster.
        gsd: metres per pixel to resample to; None: as it is.
        crs: reference system of a raster without one, e.g. "EPSG:32645".

    Raises:
        SourceError: the raster cannot be read, has no georeference, or contains colour indices: their mean would be
            the index of another colour.
    """
    if gsd is None:
        yield path
        return
    with open_bands(path, crs=crs) as scene:
        if scene.georeference is None or scene.gsd is None:
            reason = scene.placement.warning or "has no reference system and corners; leave gsd out"
            raise SourceError(f"{path}: gsd={gsd} means nothing without a place on the map: it {reason}.")
        if scene.form.has_palette:
            raise SourceError(
                f"{path}: has a palette, whose colours cannot be resampled; make colours of it, e.g. "
                "gdal_translate -expand rgb IN.tif OUT.tif, or leave gsd out."
            )
        affine, system = scene.georeference.affine, scene.georeference.crs
        scale = gsd / scene.gsd
        if not 1 / _MOST <= scale <= _MOST:
            raise SourceError(
                f"{path}: has {scene.gsd:.3g} m a pixel; gsd={gsd} would scale it by more than {_MOST}: say metres."
            )
        wide, high = scene.georeference.pixel_sides(scene.height, scene.width)
        oblong = scene.georeference.is_oblong(scene.height, scene.width)
        across, down = (gsd / wide, gsd / high) if oblong else (scale, scale)
        height, width = max(1, round(scene.height / down)), max(1, round(scene.width / across))
        has_mask = scene.form.has_mask
    grid = affine * Affine.scale(across, down)
    method = Resampling.average if scale > 1 else Resampling.cubic
    with tempfile.TemporaryDirectory() as folder, rasterio.open(path) as source:
        target = Path(folder, f"{Path(path).stem}.vrt")
        placed = {"src_crs": system, "src_transform": affine}
        shape = placed | {"crs": system, "transform": grid, "width": width, "height": height, "resampling": method}
        with WarpedVRT(source, add_alpha=has_mask, **shape) as warped:
            rasterio.shutil.copy(warped, target, driver="VRT")
        yield str(_with_mask(target) if has_mask else target)


def _with_mask(path: Path) -> Path:
    """Turn the last band of a warped VRT back into a mask; returns the VRT under the same name."""
    warped = Xml.parse(path).getroot()
    outer = Xml.Element("VRTDataset", {key: warped.attrib[key] for key in ("rasterXSize", "rasterYSize")})
    outer.extend(part for name in ("SRS", "GeoTransform") if (part := warped.find(name)) is not None)
    *bands, mask = warped.findall("VRTRasterBand")
    for band in bands:
        copied = Xml.SubElement(outer, "VRTRasterBand", {key: band.attrib[key] for key in ("dataType", "band")})
        copied.extend(part for name in ("NoDataValue", "ColorInterp") if (part := band.find(name)) is not None)
        _from(path, band, copied)
    around = Xml.SubElement(outer, "MaskBand")
    _from(path, mask, Xml.SubElement(around, "VRTRasterBand", dataType="Byte"))
    (path.parent / "masked").mkdir()
    Xml.ElementTree(outer).write(path.parent / "masked" / path.name)
    return path.parent / "masked" / path.name


def _from(path: Path, band: Xml.Element, copied: Xml.Element) -> None:
    source = Xml.SubElement(copied, "SimpleSource")
    Xml.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(path.absolute())
    Xml.SubElement(source, "SourceBand").text = band.attrib["band"]
