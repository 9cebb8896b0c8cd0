"""Folds keep neighbours together and carry about the same number of roofs."""

import shapely

from rooftop.adaptation.folds import fold_of


def squares(*corners: tuple[int, int]) -> list[shapely.Polygon]:
    return [shapely.box(x, y, x + 10, y + 10) for x, y in corners]


def test_squares_that_touch_share_a_fold_also_over_a_third_one() -> None:
    fold = fold_of(squares((0, 0), (50, 0), (10, 0), (20, 10), (90, 0), (130, 0)), [1] * 6, 2)
    assert fold[0] == fold[2] == fold[3]  # side by side, and corner to corner
    assert fold[1] == fold[4] == fold[5] != fold[0]


def test_folds_carry_about_the_same_number_of_roofs() -> None:
    roofs = [40, 10, 10, 10, 9, 0]
    fold = fold_of(squares(*((30 * i, 0) for i in range(6))), roofs, 2)
    load = [sum(number for number, own in zip(roofs, fold, strict=True) if own == k) for k in (0, 1)]
    assert sorted(load) == [39, 40]


def test_there_are_no_more_folds_than_groups_of_squares() -> None:
    assert set(fold_of(squares((0, 0), (10, 0), (50, 0)), [3, 3, 3], 2)) == {0, 1}
    assert set(fold_of(squares((0, 0)), [3], 3)) == {0}


def test_a_group_larger_than_a_fold_is_cut_across_its_longer_side() -> None:
    row = squares(*((10 * i, 0) for i in (0, 3, 1, 5, 2, 4)))
    fold = fold_of(row, [1] * 6, 3)
    assert fold[0] == fold[2]  # 0 and 1
    assert fold[4] == fold[1]  # 2 and 3
    assert fold[5] == fold[3]  # 4 and 5
    assert len(set(fold)) == 3
