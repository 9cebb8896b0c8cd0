"""From files on disk to batches, and each wrong input in one sentence."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from rooftop.data import RoofDataModule
from rooftop.data.dataset import collate
from rooftop.data.sampling import Key
from rooftop.errors import ConfigError, DataError
from rooftop.raster.picture import write_mask


def config(root, **changes):
    coco = lambda split: {"images": f"images/{split}", "annotations": f"annotations/{split}.json", "masks": None}  # noqa: E731
    return {
        "name": "tiny",
        "root": str(root),
        "train": coco("train"),
        "val": None,
        "test": coco("test"),
        "val_share": 0.2,
        "place": None,
        "categories": ["building"],
        "masks": None,
        "gsd": 0.5,
        "mean": [0.4, 0.4, 0.4],
        "std": [0.2, 0.2, 0.2],
        "size": None,
        "mix": None,
        "window": None,
        "draws": None,
        "targets": ["roof"],
        "gaps": False,
        "batch_size": 2,
        "workers": 0,
        "cache": str(root / ".index"),
        **changes,
    }


def edit(root, change, split="train"):
    path = root / "annotations" / f"{split}.json"
    coco = json.loads(path.read_text())
    change(coco)
    path.write_text(json.dumps(coco))


def test_samples_have_the_agreed_form(tiny):
    sample = RoofDataModule(config(tiny)).dataset("test")[0]
    assert (sample["picture"].dtype, sample["picture"].shape) == (np.uint8, (48, 80, 3))
    assert (sample["mask"].dtype, sample["mask"].shape) == (np.uint8, (1, 48, 80))
    assert (sample["valid"].dtype, sample["valid"].shape) == (bool, (48, 80))
    bright = sample["picture"].mean(-1) > 178
    assert (bright == sample["mask"][0]).mean() > 0.99


def test_batches_travel_as_bytes_and_are_normalised_on_arrival(tiny):
    data = RoofDataModule(config(tiny))
    batch = next(iter(data.val_dataloader()))
    assert {name: tensor.dtype for name, tensor in batch.items()} == {
        "picture": torch.uint8,
        "mask": torch.uint8,
        "valid": torch.bool,
        "index": torch.int64,
    }
    image = data.on_after_batch_transfer(batch, 0)["image"]
    assert (image.dtype, image.shape) == (torch.float32, (2, 3, 48, 80))
    dataset = data.dataset("val")
    assert torch.equal(image[:1], dataset.normalised(dataset[int(batch["index"][0])]))


def test_train_and_val_share_no_picture_and_test_counts_all(tiny):
    data = RoofDataModule(config(tiny))
    train, val = set(data.dataset("train").names), set(data.dataset("val").names)
    assert not train & val
    assert len(train | val) == 10
    assert sum(len(batch["index"]) for batch in data.test_dataloader()) == 5


def test_masks_on_disk_give_the_same_tensors(tiny, tmp_path, run_script):
    code, text = run_script("make_masks", f"data.root={tiny}", "processes=1", f"hydra.run.dir={tmp_path}/masks")
    assert code == 0, text
    drawn, stored = RoofDataModule(config(tiny)), RoofDataModule(config(tiny, masks=str(tmp_path / "masks")))
    for split in ("train", "val", "test"):
        for i in range(len(drawn.dataset(split))):
            for name in ("picture", "mask", "valid"):
                np.testing.assert_array_equal(drawn.dataset(split)[i][name], stored.dataset(split)[i][name])


def test_crowd_is_not_valid_and_pictures_without_annotation_count_as_empty(tiny):
    def change(coco):
        first, second = (image["id"] for image in coco["images"][:2])
        coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] not in (first, second)]
        ring = [10.0, 5.0, 40.0, 5.0, 40.0, 25.0, 10.0, 25.0]
        coco["annotations"].append(
            {"id": 999, "image_id": second, "category_id": 100, "segmentation": [ring], "iscrowd": 1}
            | {"area": 600.0, "bbox": [10.0, 5.0, 30.0, 20.0]}
        )

    edit(tiny, change, "test")
    dataset = RoofDataModule(config(tiny)).dataset("test")
    empty, crowd = dataset[0], dataset[1]
    assert len(dataset) == 5
    assert not empty["mask"].any()
    assert empty["valid"].all()
    assert not crowd["mask"].any()
    assert not crowd["valid"][5:25, 10:40].any()
    assert crowd["valid"].sum() == 48 * 80 - 20 * 30


def test_stray_rings_and_undrawable_outlines_are_told(tiny, caplog):
    def change(coco):
        coco["annotations"][0]["segmentation"].append([1, 1, 2, 2])
        coco["annotations"][1] |= {"segmentation": [[]], "bbox": [1, 1, 9, 9]}

    edit(tiny, change, "test")
    RoofDataModule(config(tiny)).dataset("test")
    assert "1 annotation left out: 1 with fewer than 3 points; 1 of them not judged inside their box (" in caplog.text
    assert "1 annotation used in part: 1 with a ring of fewer than 3 points, left out (" in caplog.text


def test_a_key_that_does_not_count_is_invalid_throughout(tiny):
    assert not RoofDataModule(config(tiny)).dataset("test")[Key(1, None, counts=False)]["valid"].any()


def test_training_resizes_both_and_evaluation_only_the_picture(tiny):
    data = RoofDataModule(config(tiny, size=[32, 64]))
    trained, evaluated = data.dataset("train")[Key(0, 0)], data.dataset("test")[0]
    assert trained["picture"].shape[:2] == trained["mask"].shape[1:] == (32, 64)
    assert evaluated["picture"].shape[:2] == (32, 64)
    assert evaluated["mask"].shape[1:] == (48, 80)


def test_collate_fills_smaller_pictures_with_what_does_not_count():
    def sample(height, width):
        return {
            "picture": np.ones((height, width, 3), np.uint8),
            "mask": np.ones((1, height, width), np.uint8),
            "valid": np.ones((height, width), bool),
            "index": 0,
        }

    batch = collate([sample(48, 80), sample(32, 90)], fill=np.array([7, 8, 9], np.uint8))
    assert batch["picture"].shape == (2, 48, 90, 3)
    assert batch["picture"][1, 47, 89].tolist() == batch["picture"][0, 0, 89].tolist() == [7, 8, 9]
    assert batch["picture"][1, 31, 89].tolist() == [1, 1, 1]
    assert batch["valid"][0, :, 80:].sum() == 0
    assert batch["valid"][1, 32:].sum() == 0
    assert int(batch["valid"].sum()) == 48 * 80 + 32 * 90


def test_workers_do_not_change_a_batch(tiny):
    flips = {"flip": __import__("albumentations").HorizontalFlip(p=0.5)}
    alone = RoofDataModule(config(tiny), operations=flips, seed=3)
    helped = RoofDataModule(config(tiny, workers=2), operations=flips, seed=3)
    for one, other in zip(alone.train_dataloader(), helped.train_dataloader(), strict=True):
        assert torch.equal(one["picture"], other["picture"])
        assert torch.equal(one["mask"], other["mask"])


@pytest.fixture
def folders(tmp_path):
    """Pictures beside masks, paired by name."""
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 80, 3)).astype(np.uint8)).save(tmp_path / "images" / f"{name}.jpg")
        write_mask(tmp_path / "masks" / f"{name}.png", (rng.random((48, 80)) > 0.5).astype(np.uint8))
    return tmp_path


def masks(root):
    return config(root, train={"images": "images", "annotations": None, "masks": "masks"}, test=None, categories=None)


def test_mask_folders_are_paired_by_name(folders, caplog):
    write_mask(folders / "masks" / "zzz.png", np.zeros((48, 80), np.uint8))
    data = RoofDataModule(masks(folders))
    assert sorted(data.dataset("train").names + data.dataset("val").names) == ["a.jpg", "b.jpg", "c.jpg"]
    assert "1 masks without picture are left out: zzz" in caplog.text


def test_names_that_tell_no_place_are_told_of_where_validation_is_cut_out(folders, caplog):
    RoofDataModule(masks(folders)).dataset("val")
    assert "3 of 3 file names carry no location (a.jpg, ...)" in caplog.text
    caplog.clear()
    RoofDataModule({**masks(folders), "place": "(.)"}).dataset("val")
    assert "carry no location" not in caplog.text


def test_removed_mask_is_named_and_shifts_no_pair(folders):
    (folders / "masks" / "b.png").unlink()
    with pytest.raises(DataError, match=r"no mask for b\.jpg"):
        RoofDataModule(masks(folders)).dataset("train")


def test_mask_of_another_size_is_named(folders):
    write_mask(folders / "masks" / "a.png", np.zeros((80, 48), np.uint8))
    data = RoofDataModule(masks(folders))
    with pytest.raises(DataError, match=r"a\.png: 48 x 80 px, but its picture has 80 x 48"):
        [data.dataset(split)[i] for split in ("train", "val") for i in range(len(data.dataset(split)))]


def test_entry_without_file_is_named(tiny):
    (tiny / "images" / "train" / "18_2_1.png").unlink()
    with pytest.raises(DataError, match=r"no file for 18_2_1\.png"):
        RoofDataModule(config(tiny)).dataset("train")


def test_accents_may_be_characters_of_their_own_as_a_mac_writes_them(folders, tiny):
    composed, apart = "d\u00e4cher", "da\u0308cher"
    (folders / "images" / "b.jpg").rename(folders / "images" / f"{apart}.jpg")
    (folders / "masks" / "b.png").rename(folders / "masks" / f"{composed}.png")
    source = RoofDataModule(masks(folders)).dataset("train").source
    assert (apart, composed) in [(path.stem, mask.stem) for path, mask in zip(source.paths, source.masks, strict=True)]

    picture, annotations = tiny / "images" / "train" / "18_2_1.png", tiny / "annotations" / "train.json"
    picture.rename(picture.with_name(f"{apart}.png"))
    annotations.write_text(annotations.read_text().replace("18_2_1.png", f"{composed}.png"))
    with pytest.raises(DataError, match=r"no file for d\u00e4cher\.png; rename the files.*convmv --nfc"):
        RoofDataModule(config(tiny)).dataset("train")


def test_file_without_entry_is_counted_and_listed(tiny, caplog):
    Image.new("RGB", (80, 48)).save(tiny / "images" / "train" / "extra.png")
    RoofDataModule(config(tiny)).dataset("train")
    assert "1 pictures have no entry and are left out: extra.png" in caplog.text


def test_picture_of_another_size_than_its_entry_is_named(tiny):
    Image.new("RGB", (48, 80)).save(tiny / "images" / "test" / "18_0_9.png")
    with pytest.raises(
        DataError,
        match=r"18_0_9\.png: 48 x 80 px, but the annotations say 80 x 48; rotate its pixels if it has an EXIF",
    ):
        RoofDataModule(config(tiny)).dataset("test")[0]


def test_bad_annotations_are_counted_and_listed_and_the_rest_kept(tiny, caplog):
    def change(coco):
        coco["annotations"][0]["segmentation"] = [[1.0, 2.0, 3.0, 4.0]]
        coco["annotations"][1]["segmentation"] = [[500.0, 500.0, 520.0, 500.0, 520.0, 520.0]]

    edit(tiny, change)
    data = RoofDataModule(config(tiny))
    data.dataset("train")
    assert "2 annotations left out" in caplog.text
    assert "1: " in caplog.text
    assert "2: " in caplog.text


def test_unknown_category_names_the_nearest(tiny):
    with pytest.raises(DataError, match="building"):
        RoofDataModule(config(tiny, categories=["bulding"])).dataset("train")


def test_split_that_is_not_there_names_those_that_are(tiny):
    with pytest.raises(ConfigError, match=r"tiny has no test split; choose one of train"):
        RoofDataModule(config(tiny, test=None)).dataset("test")
    with pytest.raises(ConfigError, match=r"split=tset: there is no such split"):
        RoofDataModule(config(tiny)).dataset("tset")


def with_shed(coco):
    coco["categories"].append({"id": 7, "name": "shed"})
    coco["annotations"][1]["category_id"] = 7


def test_several_categories_give_one_channel_each(tiny):
    edit(tiny, with_shed)
    data = RoofDataModule(config(tiny, categories=["building", 7], test=None))
    assert data.categories == ("building", "shed")
    masks = {name: data.dataset(s)[i]["mask"] for s in ("train", "val") for i, name in enumerate(data.dataset(s).names)}
    assert masks["18_0_0.png"].shape == (2, 48, 80)
    assert masks["18_0_0.png"].any(axis=(1, 2)).tolist() == [True, True]
    assert masks["18_0_1.png"].any(axis=(1, 2)).tolist() == [True, False]


def test_channels_follow_the_names_of_the_training_split(tiny):
    def reordered(coco):
        coco["categories"] = [{"id": 3, "name": "tower"}, {"id": 7, "name": "shed"}, *coco["categories"]]

    edit(tiny, with_shed)
    edit(tiny, reordered, split="test")
    data = RoofDataModule(config(tiny, categories=None))
    assert data.categories == ("building", "shed")
    test = data.dataset("test")
    assert test.source.categories == ("building", "shed")
    assert test[0]["mask"].any(axis=(1, 2)).tolist() == [True, False]


def test_a_split_without_a_category_of_the_training_is_refused(tiny):
    edit(tiny, with_shed)
    with pytest.raises(DataError, match="no category 'shed'"):
        RoofDataModule(config(tiny, categories=None)).dataset("test")


def test_no_validation_is_cut_out_of_a_mix(tiny):
    part = {"images": "images/train", "annotations": "annotations/train.json", "masks": None, "match": None, "skip": []}
    module = RoofDataModule(config(tiny, mix={"own": {**part, "gsd": 0.5, "weight": 1}}))
    with pytest.raises(ConfigError, match=r"is a mix \(data.mix\), and no validation split is cut from a mix"):
        module.dataset("val")


def test_a_validation_of_another_size_than_asked_for_is_told(folders, caplog):
    RoofDataModule(masks(folders) | {"val_share": 0.02}).dataset("val")
    assert "val gets" in caplog.text
    assert "instead of 2 %" in caplog.text


def test_a_training_split_without_any_roof_is_refused(tiny):
    edit(tiny, lambda coco: coco.update(annotations=[]))
    with pytest.raises(DataError, match="not one annotation, so there is nothing to learn"):
        RoofDataModule(config(tiny)).dataset("train")


def test_a_training_split_of_crowds_alone_is_refused(tiny):
    edit(tiny, lambda coco: [item.update(iscrowd=1) for item in coco["annotations"]])
    with pytest.raises(DataError, match="annotations can be learned: .* marked iscrowd; .*fix=FOLDER crowds=roofs"):
        RoofDataModule(config(tiny)).dataset("train")


def test_crowds_among_roofs_are_told_with_their_number(tiny, caplog):
    edit(tiny, lambda coco: coco["annotations"][0].update(iscrowd=1))
    data = RoofDataModule(config(tiny))
    data.setup("fit")
    assert caplog.text.count("annotations are marked iscrowd and not judged; if they are single roofs") == 1


def test_a_category_without_annotations_is_left_out_and_told(tiny, caplog):
    for split in ("train", "test"):
        edit(tiny, lambda coco: coco["categories"].insert(0, {"id": 0, "name": "buildings"}), split=split)
    data = RoofDataModule(config(tiny, categories=None))
    assert data.categories == ("building",)
    assert data.classes == 1
    assert data.dataset("test").source.categories == ("building",)
    assert "categories without an annotation to learn are left out: buildings (0)" in caplog.text
    with pytest.raises(DataError, match=r"names buildings: not one annotation.*choose building \("):
        RoofDataModule(config(tiny, categories=["buildings"])).dataset("train")


def test_categories_of_one_name_are_learned_as_one(tiny, caplog):
    def merged(coco):
        coco["categories"].append({"id": 7, "name": "building"})
        coco["annotations"][1]["category_id"] = 7

    whole = RoofDataModule(config(tiny)).dataset("train")
    masks = [whole[i]["mask"] for i in range(len(whole))]
    edit(tiny, merged)
    data = RoofDataModule(config(tiny, categories=["building"]))
    again = data.dataset("train")
    assert data.categories == ("building",)
    assert all(np.array_equal(again[i]["mask"], mask) for i, mask in enumerate(masks))
    assert "categories of one name are learned as one: building" in caplog.text


def test_roofs_on_validation_pictures_alone_are_refused(tiny):
    data = RoofDataModule(config(tiny))
    mine = set(data.dataset("train").names)

    def emptied(coco):
        ids = {item["id"] for item in coco["images"] if item["file_name"] in mine}
        coco["annotations"] = [item for item in coco["annotations"] if item["image_id"] not in ids]

    edit(tiny, emptied)
    with pytest.raises(DataError, match="nothing to learn lies on the 8 pictures left for training; name others"):
        RoofDataModule(config(tiny)).dataset("train")


def test_a_test_split_without_a_roof_is_told(tiny, caplog):
    edit(tiny, lambda coco: coco.update(annotations=[]), split="test")
    RoofDataModule(config(tiny)).setup("test")
    assert "test: not one annotation of building that can be judged" in caplog.text


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_picture_listed_twice_is_refused(tiny, split):
    def twice(coco):
        first = coco["images"][0]
        coco["images"] += [{**first, "id": 901}, {**first, "id": 902, "file_name": "./" + first["file_name"]}]

    edit(tiny, twice, split=split)
    with pytest.raises(DataError, match=r"has 3 entries, each with its own annotations; check_data.py with fix=FOLDER"):
        RoofDataModule(config(tiny)).setup("fit" if split == "train" else "test")
