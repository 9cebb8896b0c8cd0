import numpy as np
import pytest

from rooftop.data.sources import CocoSource, MaskSource
from rooftop.errors import DataError
from rooftop.evaluation import FileCases, RunCases
from rooftop.raster.picture import write_mask, write_png


def test_two_files_are_laid_over_each_other(perfect):
    assert len(perfect) == 3
    assert list(perfect.categories) == [(1, "house"), (2, "shed")]
    case = perfect[0]
    assert (case.name, case.picture_id, case.probability) == ("30.png", 30, None)
    assert np.array_equal(case.mask, case.prediction)
    assert not case.valid[40].any()  # the crowd
    assert [len(roofs.rles) for roofs in case.truth] == [3, 0]
    assert [len(roofs.rles) for roofs in case.found] == [2, 0]
    assert perfect.picture(0).shape == (48, 80, 3)


def test_without_a_folder_there_is_no_picture(perfect, index):
    assert FileCases(perfect.results, index).picture(0) is None


def test_categories_can_be_chosen(perfect, index):
    cases = FileCases(perfect.results, index, categories=["shed"])
    assert cases[1].mask.shape == (1, 48, 80)
    assert cases[1].mask.sum() == 64


def test_a_run_is_laid_over_its_split(painter, half, cut):
    cases = RunCases(painter(["roof"]), *half, cut)
    assert len(cases) == 2
    assert list(cases.categories) == [(1, "house")]
    case = cases[0]
    assert (case.name, case.picture_id) == ("10.png", 10)
    assert np.array_equal(case.prediction[0], cases.picture(0)[..., 0] > 127)
    assert [len(roofs.rles) for roofs in case.truth] == [1]
    assert max(case.found[0].scores) == pytest.approx(0.9)


def test_a_run_of_other_categories_is_refused(painter, half, cut):
    with pytest.raises(DataError, match=r"2 categories \(roof, shed\), the data set 1"):
        RunCases(painter(["roof", "shed"]), *half, cut)


def test_categories_in_another_order_are_told_by_name(painter, split, index, cut, caplog):
    class OnlyHouses(painter):
        def forward(self, pictures):
            said = super().forward(pictures)
            said[:, self.run.card.categories.index("house") ^ 1] = 0.0
            return said

    source = CocoSource(split / "images", index, ["shed", "house"])
    for known in (["house", "shed"], ["shed", "house"]):
        case = RunCases(OnlyHouses(known), source, np.array([1]), cut)[0]
        assert not case.prediction[0].any()  # sheds, as the data set has it
        assert case.prediction[1].any()
        assert [len(roofs.rles) > 0 for roofs in case.found] == [False, True]
    assert "taken for the same" not in caplog.text
    RunCases(painter(["tin", "tile"]), source, np.array([1]), cut)
    assert "the run tells tin, tile, the data set shed, house: taken for the same in this order" in caplog.text


def test_mask_pictures_are_truth_too(painter, cut, tmp_path):
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[2:8, 3:9] = mask[12:18, 3:9] = 1
    write_png(tmp_path / "pictures" / "a.png", np.repeat(mask[..., None] * 255, 3, axis=-1))
    write_mask(tmp_path / "masks" / "a.png", mask)
    source = MaskSource(tmp_path / "pictures", tmp_path / "masks")
    case = RunCases(painter(["roof"]), source, np.array([0]), cut)[0]
    assert (case.picture_id, case.name) == (1, "a.png")
    assert np.array_equal(case.prediction, case.mask)
    assert [len(roofs.rles) for roofs in (*case.truth, *case.found)] == [2, 2]
