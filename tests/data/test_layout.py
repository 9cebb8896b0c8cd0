import pytest

from rooftop.data.layout import check_layout, make_layout
from rooftop.errors import DataError

PARTS = {
    "train": {"images": "train/images", "annotations": "train/annotation.json", "masks": None},
    "val": {"images": "val/images", "annotations": "val/annotation.json", "masks": None},
}


def test_made_layout_lacks_only_the_files(tmp_path):
    make_layout(tmp_path / "new", PARTS)
    assert sorted(str(p.relative_to(tmp_path / "new")) for p in (tmp_path / "new").rglob("*")) == [
        "train",
        "train/images",
        "val",
        "val/images",
    ]


@pytest.mark.parametrize("made", [False, True])
def test_missing_or_empty_root_draws_the_expected_tree(tmp_path, made):
    if made:
        make_layout(tmp_path / "new", PARTS)
    with pytest.raises(DataError) as caught:
        check_layout(tmp_path / "new", PARTS)
    text = str(caught.value)
    for piece in ("train/images/", "train/annotation.json", "val/images/", "val/annotation.json", "init=true"):
        assert piece in text
