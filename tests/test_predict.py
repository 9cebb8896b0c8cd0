import json

import numpy as np
import pytest
from PIL import Image

from rooftop.raster.picture import read_mask


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, size in (("a.jpg", (48, 80)), ("b.png", (33, 51)), ("c.tif", (65, 97))):
        Image.fromarray(rng.integers(0, 255, (*size, 3)).astype(np.uint8)).save(folder / name)
    return folder


def test_folder_gives_masks_overlays_sheet_and_summary(run_script, trained, pictures, tmp_path):
    code, text = run_script("predict", f"run={trained}", f"source={pictures}", f"hydra.run.dir={tmp_path}/out")
    assert code == 0, text
    for stem, size in (("a", (48, 80)), ("b", (33, 51)), ("c", (65, 97))):
        assert read_mask(tmp_path / "out" / "masks" / f"{stem}.png").shape == size
        with Image.open(tmp_path / "out" / "overlays" / f"{stem}.png") as image:
            assert (image.height, image.width) == size
    assert (tmp_path / "out" / "contact_sheet.png").is_file()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    for row, stem in zip(summary["pictures"], "abc", strict=True):
        mask = read_mask(tmp_path / "out" / "masks" / f"{stem}.png")
        assert row["roof_share"] == pytest.approx(mask.mean())
        assert row["roof_pixels"] == mask.sum()
        assert row["roofs"] >= (mask.sum() > 0)


def test_one_damaged_picture_is_listed_and_the_others_predicted(run_script, trained, pictures, tmp_path):
    (pictures / "b.png").write_bytes((pictures / "b.png").read_bytes()[:200])
    code, text = run_script("predict", f"run={trained}", f"source={pictures}", f"hydra.run.dir={tmp_path}/out")
    assert code == 0, text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(summary["pictures"]) == 2
    assert "b.png: truncated or damaged" in summary["skipped"][0]["why"]
    assert "b.png" in text


def test_threshold_decides(run_script, trained, pictures, tmp_path):
    shares = []
    for threshold in (0.001, 0.999):
        out = tmp_path / f"out{threshold}"
        source = f"source={pictures}/a.jpg"
        assert run_script("predict", f"run={trained}", source, f"threshold={threshold}", f"hydra.run.dir={out}")[0] == 0
        shares.append(json.loads((out / "summary.json").read_text())["roof_share"])
    assert shares == [1.0, 0.0]


def test_values_count_as_what_they_mean(run_script, trained, pictures, tmp_path):
    """`no` is off, and a folder may be named 2024."""
    pictures.rename(tmp_path / "2024")
    card = json.loads((trained / "card.json").read_text())
    (trained / "card.json").write_text(json.dumps({**card, "gsd": 0.3}))
    asked = (f"run={trained}", "source=2024", "gsd=2", "rescale=no")
    code, text = run_script("predict", *asked, f"hydra.run.dir={tmp_path}/out")
    assert code == 0, text
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["pictures"]
    assert [row["scaled_by"] for row in rows] == [None] * 3


@pytest.mark.parametrize(
    ("source", "said"),
    [("nowhere", "source=nowhere: no such picture"), ("photos/*.bmp", "no such picture"), ("empty", "no picture")],
)
def test_nothing_to_predict_is_one_sentence(run_script, trained, pictures, tmp_path, source, said):
    (tmp_path / "empty").mkdir()
    code, text = run_script("predict", f"run={trained}", f"source={source}")
    assert code == 2
    assert said in text
    assert len(text.strip().splitlines()) == 1


def test_run_without_card_is_one_sentence(run_script, pictures, tmp_path):
    (tmp_path / "norun").mkdir()
    code, text = run_script("predict", "run=norun", f"source={pictures}")
    assert code == 2
    assert "has no card.json; name a folder that train.py finished" in text


def test_pictures_that_would_overwrite_one_another_are_refused(run_script, trained, pictures):
    Image.new("RGB", (80, 48)).save(pictures / "a.png")
    code, text = run_script("predict", f"run={trained}", f"source={pictures}")
    assert code == 2
    assert "would write the same files" in text
