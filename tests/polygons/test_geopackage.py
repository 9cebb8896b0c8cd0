import pyogrio
import pytest
from shapely import box

from rooftop.errors import RooftopError
from rooftop.polygons.geopackage import write_geopackage
from rooftop.polygons.ground import Ground
from rooftop.polygons.roofs import Roof

ROOFS = [Roof(box(0, 0, 9, 5), 0, 0.9, 45.0, 28.0, 0.0)]


@pytest.mark.parametrize("name", ["e!f", "o;p/q", "a!b/c!d", "q?x#1", "l" * 248])
def test_any_name_holds_its_roofs(tmp_path, utm, name):
    path = tmp_path / f"{name}.gpkg"
    write_geopackage(path, ROOFS, ground=Ground(utm, 0.5), categories=("roof",))
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    plain = path.rename(tmp_path / "plain.gpkg")  # pyogrio would not find it
    assert pyogrio.read_info(plain, layer="roofs")["features"] == 1


@pytest.mark.parametrize("error", [pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError])
def test_a_full_disk_is_one_sentence(tmp_path, utm, monkeypatch, error):
    def full(*args, **kwargs):
        raise error("Failed to commit transaction")

    monkeypatch.setattr(pyogrio.raw, "write", full)
    with pytest.raises(RooftopError, match=r"r\.gpkg: cannot be written \(Failed to commit"):
        write_geopackage(tmp_path / "r.gpkg", ROOFS, ground=Ground(utm, 0.5), categories=("roof",))
    assert not [*tmp_path.iterdir()]
