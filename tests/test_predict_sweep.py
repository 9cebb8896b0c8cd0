"""A job a file, through the real script."""

import csv
import shutil

import pytest


@pytest.fixture
def city(tiny, tmp_path):
    """Three pictures with difficult names, one of them broken."""
    folder = tmp_path / "city"
    folder.mkdir()
    for name, path in zip(("a b.png", "c,d.png", "e.png"), sorted((tiny / "images" / "test").iterdir()), strict=False):
        shutil.copy(path, folder / name)
    (folder / "c,d.png").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("no picture")
    return folder


def table(path):
    """Rows of a csv file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_sweep_over_files_is_a_job_a_file_and_a_failed_one_stops_no_other(run_script, trained, city, tmp_path):
    sweep = ("predict", "-m", f"run={trained}", f"source=glob({city}/*.png)", f"hydra.sweep.dir={tmp_path}/sweep")
    code, text = run_script(*sweep)
    assert code == 1
    assert "c,d.png: not a picture that can be read" in text
    assert "Traceback" not in text
    rows = table(tmp_path / "sweep" / "sweep.csv")
    assert [row["source"] for row in rows] == [str(city / name) for name in ("a b.png", "c,d.png", "e.png")]
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert [row["roofs"] != "" for row in rows] == [True, False, True]
    assert (tmp_path / "sweep" / "2" / "masks" / "e.png").is_file()
    shutil.copy(city / "e.png", city / "c,d.png")
    code, text = run_script(*sweep)
    assert code == 0, text
    assert text.count("is done already") == 2
    assert [row["status"] for row in table(tmp_path / "sweep" / "sweep.csv")] == ["done"] * 3
    (city / "a b.png").unlink()  # all numbers change
    code, text = run_script(*sweep)
    assert code == 0, text
    assert text.count("is done already") == 2
    shutil.copy(city / "e.png", city / "b.png")
    code, text = run_script(*sweep)
    assert code == 0, text
    assert text.count("is done already") == 2
    found = {row["source"] for row in table(tmp_path / "sweep" / "sweep.csv")}
    assert found == {str(city / name) for name in ("a b.png", "b.png", "c,d.png", "e.png")}


@pytest.mark.slow
def test_jobs_of_one_scene_at_the_same_time_do_not_clash(run_script, trained, made, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    import rasterio
    from rasterio import Affine

    profile = {"driver": "GTiff", "count": 3, "height": 300, "width": 400, "dtype": "uint8", "crs": "EPSG:32645"}
    town = tmp_path / "town.tif"
    with rasterio.open(town, "w", transform=Affine(0.5, 0, 4e5, 0, -0.5, 3.06e6), **profile):
        pass
    code, text = run_script(
        *("predict", "-m", f"run={trained}", f"source={town}", "threshold=0.4,0.5,0.6", "window=64", "overlap=16"),
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"hydra.sweep.dir={tmp_path}/sweep"),
    )
    assert code == 0, text
    assert [row["status"] for row in table(tmp_path / "sweep" / "sweep.csv")] == ["done"] * 3
    assert not [*(tmp_path / "outputs" / ".unfinished").iterdir()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-m", "source=glob(city/*.bmp)"), "source=glob(city/*.bmp): no file matches"),
        (("-m", "source=glob(city/["), "source=glob(city/["),
        (("source=glob(city/*.png)",), "several values need a sweep: add -m"),
        (("source=a.png,b.png",), "several values need a sweep: add -m"),
    ],
)
def test_wrong_sweeps_are_one_sentence(run_script, city, tmp_path, arguments, said):
    code, text = run_script("predict", *arguments)
    assert code == 2
    assert said in text
    assert len(text.strip().splitlines()) == 1
    assert not (tmp_path / "outputs").exists()
