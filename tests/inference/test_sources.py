import shutil

import numpy as np
import pytest
import rasterio
from PIL import Image

from rooftop.errors import DataError, SourceError
from rooftop.inference.sources import find_sources

PLACE = {"crs": "EPSG:32645", "transform": rasterio.Affine(0.3, 0, 4e5, 0, -0.3, 3.06e6)}


@pytest.fixture
def folder(tmp_path, raster, picture):
    """A scene, a picture that is a tif too, a jpg, and a text."""
    inside = tmp_path / "sources"
    inside.mkdir()
    shutil.move(raster(picture), inside / "city.tif")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(inside / "plain.tif")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(inside / "photo.jpg")
    (inside / "notes.txt").write_text("no picture")
    return inside


def test_a_place_on_the_map_makes_a_scene(folder):
    assert [(source.stem, source.scene) for source in find_sources(str(folder))] == [
        ("city", True),
        ("photo", False),
        ("plain", False),
    ]


def test_a_world_file_makes_a_scene_but_not_one_that_counts_pixels(folder):
    (folder / "photo.jgw").write_text("0.3\n0\n0\n-0.3\n400000.15\n3059999.85\n")
    (folder / "plain.tfw").write_text("1\n0\n0\n-1\n0.5\n19.5\n")
    assert [source.scene for source in find_sources(str(folder))] == [True, True, False]


def test_more_than_8_bits_make_a_scene(raster, picture, tmp_path):
    path = raster(picture.astype(np.uint16), crs=None)
    assert find_sources(path)[0].scene


def test_a_picture_too_large_for_one_pass_is_a_scene(folder, monkeypatch):
    assert not find_sources(f"{folder}/photo.jpg")[0].scene
    monkeypatch.setattr("rooftop.raster.scene.WHOLE", 20 * 30 - 1)
    assert find_sources(f"{folder}/photo.jpg")[0].scene


def test_a_glob_a_file_and_an_address(folder):
    assert [source.stem for source in find_sources(f"{folder}/p*.*")] == ["photo", "plain"]
    assert [source.path for source in find_sources(f"{folder}/photo.jpg")] == [f"{folder}/photo.jpg"]
    (remote,) = find_sources("https://example.org/a/city.tif")
    assert (remote.stem, remote.scene) == ("city", True)


def test_a_path_that_looks_like_an_address_is_a_path(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "vsi_town")
    assert [source.scene for source in find_sources(f"{tmp_path}/vsi_town")] == [True, False, False]
    assert len(find_sources(f"{tmp_path}/vsi_town/p*.*")) == 2
    shutil.copy(folder / "photo.jpg", tmp_path / "at:noon.jpg")
    monkeypatch.chdir(tmp_path)
    for source in ("at:noon.jpg", "at:*.jpg"):
        assert [(found.stem, found.scene) for found in find_sources(source)] == [("at:noon", False)]


def test_a_part_of_a_file_is_predicted_as_gdal_names_it(find, town, tmp_path):
    path = tmp_path / "two.gpkg"
    profile = {"driver": "GPKG", "count": 3, "height": 80, "width": 110, "dtype": "uint8", **PLACE}
    for table in ("t1", "t2"):
        with rasterio.open(path, "w", raster_table=table, append_subdataset="YES", **profile) as dataset:
            dataset.write(town)
    with pytest.raises(SourceError, match=r"two\.gpkg: holds no picture of its own; name one of its parts: .*:t1"):
        find(path)
    assert find(f"GPKG:{path}:t1")["roofs"] == 12
    assert (tmp_path / "out" / "masks" / "two-gpkg-t1.png").exists()
    with pytest.raises(SourceError, match=r"GPKG:.*:t9: cannot be read"):
        find(f"GPKG:{path}:t9")


def test_nothing_there_is_one_sentence(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere\*: no such picture, folder or pattern"):
        find_sources(f"{tmp_path}/nowhere*")
    with pytest.raises(DataError, match="no picture"):
        find_sources(str(tmp_path))


def test_sources_of_one_name_are_refused(folder):
    shutil.copy(folder / "photo.jpg", folder / "city.jpg")
    with pytest.raises(SourceError, match="would write the same files"):
        find_sources(str(folder))


def test_what_a_folder_holds_besides_is_told(folder, caplog):
    caplog.set_level("INFO")
    before = {found.stem for found in find_sources(str(folder))}
    assert "skips" not in caplog.text
    shutil.copy(folder / "photo.jpg", folder / "other.webp")
    (folder / "north").mkdir()
    assert {found.stem for found in find_sources(str(folder))} == before
    assert "skips 1 folders and 1 pictures of other formats" in caplog.text
