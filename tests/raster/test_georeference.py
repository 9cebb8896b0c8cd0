import math

import numpy as np
import pytest
from pyproj import CRS
from rasterio import Affine
from shapely import Polygon, box

from rooftop.raster.georeference import Georeference


def place(affine, code):
    return Georeference(affine, CRS.from_user_input(code).to_wkt())


def test_a_rotated_affine_is_applied_as_rasterio_does():
    affine = Affine.translation(400_000, 3_060_000) * Affine.rotation(30) * Affine.scale(0.5, -0.4)
    points = np.array([(0, 0), (13.5, 7), (2, 90)])
    expected = [affine * tuple(point) for point in points]
    assert np.allclose(place(affine, "EPSG:32645").to_map(points), expected, atol=1e-6)


def test_a_web_map_pixel_is_smaller_on_the_ground_than_on_the_map():
    web = place(Affine(0.6, 0, 9_519_620, 0, -0.6, 3_203_475), "EPSG:3857")
    latitude = web.to_lonlat(np.array([(500.0, 300.0)]))[0, 1]
    assert web.metres_per_pixel(600, 1000) == pytest.approx(0.6 * math.cos(math.radians(latitude)), rel=4e-3)


def test_degrees_become_metres():
    degrees = place(Affine(1e-5, 0, 85.5, 0, -1e-5, 27.6), "EPSG:4326")
    assert degrees.metres_per_pixel(10, 20) == pytest.approx(math.sqrt(1.108 * 0.987), rel=1e-3)


MOON = """PROJCS["moon",GEOGCS["moon",DATUM["moon",SPHEROID["moon",1737400,0]],PRIMEM["Reference_Meridian",0],
UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],UNIT["metre",1]]"""


@pytest.mark.parametrize(
    ("crs", "affine"),
    [
        ('LOCAL_CS["site grid",UNIT["metre",1]]', Affine(0.3, 0, 0, 0, -0.3, 0)),
        (MOON, Affine(0.3, 0, 0, 0, -0.3, 0)),
        ("EPSG:32645", Affine(0.3, 0, 1e12, 0, -0.3, 1e12)),
        ("EPSG:32645", Affine(0, 0, 4e5, 0, 0, 3e6)),
    ],
    ids=["site grid", "moon", "beyond the map", "pixels without size"],
)
def test_what_lies_nowhere_on_the_earth_has_no_metres(crs, affine):
    with pytest.raises(ValueError, match=r"."):
        place(affine, crs).metres_per_pixel(80, 110)


def test_measures_on_the_ground_with_a_courtyard():
    utm = place(Affine(0.5, 0, 500_000, 0, -0.5, 3_060_000), "EPSG:32645")
    roof = Polygon(box(0, 0, 40, 20).exterior, [box(10, 5, 20, 15).exterior])
    area, perimeter = utm.measure(roof)
    assert area == pytest.approx((40 * 20 - 100) * 0.25 / 0.9996**2, rel=1e-4)
    assert perimeter == pytest.approx(120 * 0.5 / 0.9996, rel=1e-4)
    assert utm.measure(Polygon(box(0, 0, 40, 20).exterior.reverse()))[0] > 0


def test_areas_across_the_antimeridian_are_small():
    fiji = place(Affine(0.3, 0, 800_000, 0, -0.3, 8_100_000), "EPSG:32760")
    longitude = fiji.to_lonlat(np.column_stack([np.arange(200_000.0), np.zeros(200_000)]))[:, 0]
    shift = int(np.argmax(longitude < 0))
    assert shift > 0
    area, _ = fiji.measure(box(shift - 50, 0, shift + 50, 40))
    assert area == pytest.approx(100 * 40 * 0.09, rel=5e-3)


def test_names():
    assert place(Affine.identity(), "EPSG:32645").name == "EPSG:32645"
    assert "unknown" in place(Affine.identity(), "+proj=tmerc +lat_0=3 +lon_0=85.1 +datum=WGS84").name


def test_north_up_begins_at_its_corner_and_goes_down():
    found = Georeference.north_up(32645, (400_000.0, 3_060_000.0), 0.3)
    assert found.name == "EPSG:32645"
    assert np.allclose(found.to_map(np.array([(0.0, 0.0), (10.0, 20.0)])), [(400_000, 3_060_000), (400_003, 3_059_994)])
    assert found.metres_per_pixel(100, 60) == pytest.approx(0.3, rel=1e-3)
