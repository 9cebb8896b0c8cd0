"""More targets than the roof: from annotations through windows, augmentation and resizing to batches."""

import json

import albumentations
import numpy as np
import pytest
from shapely import box

from rooftop.data import RoofDataModule
from rooftop.data.sampling import Key
from rooftop.errors import ConfigError, DataError
from rooftop.raster.picture import write_mask
from rooftop.raster.rasterise import number
from rooftop.raster.targets import TARGETS

ROOFS = ((4, 4, 30, 28), (30, 4, 52, 28), (60, 30, 76, 44))  # left, top, right, bottom; the first two touch


def annotate(root, kinds=(100, 100, 100)):
    """Give each picture the same roofs, of the given categories."""
    for split in ("train", "test"):
        path = root / "annotations" / f"{split}.json"
        coco = json.loads(path.read_text())
        coco["categories"] = [{"id": 100, "name": "building"}, {"id": 7, "name": "shed"}]
        coco["annotations"] = [
            {
                "id": len(ROOFS) * image["id"] + i,
                "image_id": image["id"],
                "category_id": kind,
                "segmentation": [[x, y, right, y, right, below, x, below]],
                "iscrowd": 0,
            }
            for image in coco["images"]
            for i, (kind, (x, y, right, below)) in enumerate(zip(kinds, ROOFS, strict=True))
        ]
        path.write_text(json.dumps(coco))


def drawn(name, roofs=ROOFS):
    return TARGETS[name](number([box(*roof) for roof in roofs], 48, 80))


@pytest.fixture
def module(tiny, data_config):
    """A data module of the roofs above, with overrides."""

    def make(operations=None, kinds=(100, 100, 100), **changes):
        annotate(tiny, kinds)
        return RoofDataModule(data_config(tiny, **changes), operations=operations)

    return make


def test_each_target_is_a_channel_and_roof_comes_first(module):
    data = module(targets=["roof", "core", "edge"])
    mask = data.dataset("test")[0]["mask"]
    assert np.array_equal(mask, [drawn("roof"), drawn("core"), drawn("edge")])
    assert (data.targets, data.categories, data.classes) == (("roof", "core", "edge"), ("building",), 3)


def test_categories_stay_together_within_a_target(module):
    data = module(kinds=(100, 7, 100), categories=["building", "shed"], targets=["roof", "edge"])
    mask = data.dataset("test")[0]["mask"]
    building, shed = (ROOFS[0], ROOFS[2]), (ROOFS[1],)
    assert np.array_equal(mask, [drawn(name, roofs) for name in ("roof", "edge") for roofs in (building, shed)])
    assert data.classes == 4


def test_gaps_leave_the_other_targets_alone(module):
    mask = module(targets=["roof", "core"], gaps=True).dataset("train")[0]["mask"]
    assert np.array_equal(mask[0], drawn("roof") * (np.arange(80) != 29))
    assert np.array_equal(mask[1], drawn("core"))


def test_masks_on_disk_give_the_roof_and_annotations_the_rest(module, tmp_path):
    for split in ("train", "test"):
        for x in range(5):
            for y in range(2) if split == "train" else (9,):
                write_mask(tmp_path / "masks" / split / f"18_{x}_{y}.png", drawn("roof"))
    mask = module(targets=["roof", "core"], masks=str(tmp_path / "masks")).dataset("train")[0]["mask"]
    assert np.array_equal(mask, [drawn("roof"), drawn("core")])


def test_turning_and_flipping_takes_all_channels_along(module):
    flip = {"flip": albumentations.HorizontalFlip(p=1)}
    mask = module(flip, targets=["roof", "core"]).dataset("train")[Key(0, epoch=0)]["mask"]
    assert np.array_equal(mask, np.stack([drawn("roof"), drawn("core")])[..., ::-1])


@pytest.mark.parametrize("scale", [0.75, 1.4, 2.0])
def test_windows_cut_all_channels_alike(module, scale):
    window = {"size": [20, 32], "gsd": [0.5 * scale, 0.5 * scale]}
    data = module(window=window, gsd=0.5, targets=["roof", "core", "edge"])
    share = np.zeros(3)
    for draw in range(30):
        roof, core, edge = data.dataset("train")[Key(0, epoch=0, draw=draw)]["mask"]
        assert roof.shape == (20, 32)
        assert not (core & ~roof & 1).any()
        share += [roof.mean(), core.mean(), edge.mean()]
    expected = [drawn(name)[4:44].mean() for name in ("roof", "core", "edge")]
    assert share / 30 == pytest.approx(expected, rel=0.5)


def test_a_mix_unites_categories_target_by_target(module):
    part = {
        "images": "images/train",
        "annotations": "annotations/train.json",
        "masks": None,
        "match": None,
        "skip": [],
        "gsd": 0.5,
        "weight": 1,
    }
    data = module(kinds=(100, 7, 100), categories=None, mix={"all": part}, train=None, targets=["roof", "core"])
    mask = data.dataset("train")[0]["mask"]
    assert np.array_equal(mask, [drawn("roof"), drawn("core")])


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["roof", "egde"], "data.targets: there is no target egde: did you mean edge?"),
        (["core"], r"data.targets=\['core'\]: name roof first and nothing twice."),
        (["roof", "roof"], "name roof first and nothing twice"),
        ([], "name roof first"),
    ],
)
def test_wrong_targets_are_one_sentence(module, targets, said):
    with pytest.raises(ConfigError, match=said):
        module(targets=targets)


def test_mask_pictures_cannot_tell_roofs_apart(module, tiny):
    (tiny / "masks").mkdir()
    masks = {"images": "images/train", "annotations": None, "masks": "masks"}
    data = module(train=masks, targets=["roof", "core"])
    with pytest.raises(DataError, match=r"do not separate one roof from the next.*data.targets=\[roof\]"):
        data.dataset("train")
