import numpy as np
import pytest

from rooftop.data.splits import places_of, share_place, split_by_place
from rooftop.errors import DataError


def test_a_strip_is_cut_off_one_town_so_that_few_tiles_touch():
    names = [f"18_{x}_{y}.jpg" for x in range(10) for y in range(6)]
    train, val = split_by_place(names, 0.2)
    assert sorted([*train, *val]) == list(range(60))
    columns = {int(names[i].split("_")[1]) for i in val}
    assert len(val) == 12
    assert columns in ({0, 1}, {8, 9})


def test_whole_places_are_drawn_where_there_are_many():
    names = [f"18_{100 * place + x}_{y}.jpg" for place in range(10) for x in range(3) for y in range(2)]
    train, val = split_by_place(names, 0.2)
    place = lambda i: int(names[i].split("_")[1]) // 100  # noqa: E731
    assert {place(i) for i in train} & {place(i) for i in val} == set()
    assert len(val) == 12


def test_several_zooms_of_one_ground_stay_together():
    names = [f"18_{40 * place}_7.jpg" for place in range(8)]
    names += [f"19_{2 * 40 * place + dx}_{14 + dy}.jpg" for place in range(8) for dx in (0, 1) for dy in (0, 1)]
    train, val = split_by_place(names, 0.25)

    def ground(i: int) -> int:
        zoom, x, _ = (int(v) for v in names[i][:-4].split("_"))
        return x >> (zoom - 18)

    assert {ground(i) for i in train} & {ground(i) for i in val} == set()
    assert 0 < len(val) < len(train)


def test_pattern_names_the_place():
    names = [f"{town}{n}_{i}.png" for town in ("austin", "vienna") for n in range(3) for i in range(4)]
    train, val = split_by_place(names, 0.3, r"^([a-z]+\d+)_")
    place = lambda i: names[i].rsplit("_", 1)[0]  # noqa: E731
    assert {place(i) for i in train} & {place(i) for i in val} == set()
    assert len(val) == 8


def test_the_cut_depends_on_names_alone():
    names = [f"p{i}.png" for i in range(30)]
    first, second = split_by_place(names, 0.2), split_by_place(list(names), 0.2)
    np.testing.assert_array_equal(first[1], second[1])
    assert len(first[1]) == 6


def test_tiles_of_one_raster_stay_together():
    names = [f"sheet_{n}_{256 * r:06d}_{256 * c:06d}.png" for n in range(12, 20) for r in range(3) for c in range(3)]
    train, val = split_by_place(names, 0.25)
    raster = lambda i: names[i][:8]  # noqa: E731
    assert {raster(i) for i in train} & {raster(i) for i in val} == set()
    assert len(val) == 18


def test_a_strip_is_cut_off_each_of_few_rasters():
    names = [
        f"{raster}_{256 * r:06d}_{256 * c:06d}.png"
        for raster, n in (("a", 10), ("b_12", 5))
        for r in range(n)
        for c in range(4)
    ]
    train, val = split_by_place(names, 0.2)
    rows = {(names[i][0], int(names[i].split("_")[-2]) // 256) for i in val}
    assert len(val) == 12
    assert rows in ({("a", 0), ("a", 1), ("b", 0)}, {("a", 8), ("a", 9), ("b", 4)}, {("a", 0), ("a", 1), ("b", 4)})
    assert len(train) == 48


@pytest.mark.parametrize("pattern", [r"^(town\d+)_", r"^(.*)_\d+\.png$", r"^(?:a|(b))"])
def test_a_pattern_that_does_not_fit_is_refused(pattern):
    with pytest.raises(DataError, match=r"data.place=.* does not fit 4 of 4 file names .*such as a1_1, a1_2, a2_1;"):
        split_by_place(["a1_1.png", "a1_2.png", "a2_1.png", "a2_2.png"], 0.5, pattern)


@pytest.mark.parametrize(("names", "pattern"), [(["18_1_1.jpg"], None), (["a_1.jpg", "a_2.jpg"], "^(a)")])
def test_one_place_cannot_be_split(names, pattern):
    with pytest.raises(DataError, match=r"1 place\(s\) cannot be split by place; name a validation split"):
        split_by_place(names, 0.2, pattern)


def test_tiles_share_a_place_with_those_they_touch_at_any_zoom():
    earlier = ["18_10_10.jpg", "19_41_41.jpg"]  # the second is a quarter of 18_20_20
    later = ["18_10_10.png", "a_18_11_11.jpg", "18_12_10.jpg", "18_21_19.jpg", "19_38_38.jpg", "19_36_38.jpg"]
    assert share_place(earlier, later).tolist() == [True, True, False, True, True, False]
    assert not share_place([], later).any()
    assert share_place(earlier, []).shape == (0,)


def test_other_pictures_share_a_place_by_a_pattern_or_by_their_stem():
    earlier, later = ["austin_1.jpg", "vienna_3.jpg"], ["austin_2.jpg", "tyrol_1.jpg", "vienna_3.png"]
    assert share_place(earlier, later, r"^([a-z]+)_").tolist() == [True, False, True]
    assert share_place(earlier, later).tolist() == [False, False, True]


@pytest.mark.parametrize("seed", range(20))
def test_a_town_among_hamlets_is_not_all_of_validation(seed):
    """One large place and some small ones, whatever their names."""
    far = 1000 + 37 * seed
    town = [f"18_{far + x}_{7 + y}.png" for x in range(30) for y in range(10)]
    hamlets = [f"18_{far + 500 * n}_{90_000 + n}.png" for n in range(4)]
    train, val = split_by_place([*town, *hamlets], 0.1)
    assert 0.05 <= len(val) / (len(train) + len(val)) <= 0.2


@pytest.mark.parametrize("seed", range(20))
def test_a_place_that_overshoots_is_passed_over(seed):
    names = [f"big{seed}_{i}.png" for i in range(900)] + [f"v{seed}{n}_{i}.png" for n in range(9) for i in range(10)]
    _, val = split_by_place(names, 0.05, "^([^_]+)_")
    assert len(val) == 50
    _, rest = split_by_place(names, 0.2, "^([^_]+)_")  # no place is of a fifth: as near as whole places come
    assert len(rest) == 90


def test_places_that_are_all_too_large_give_the_smallest():
    names = [f"a_{i}.png" for i in range(50)] + [f"b_{i}.png" for i in range(40)] + [f"c_{i}.png" for i in range(60)]
    _, val = split_by_place(names, 0.1, "^([^_]+)_")
    assert {names[i][0] for i in val} == {"b"}


def test_every_picture_has_a_place():
    assert places_of(["18_5_7.jpg", "18_6_8.jpg", "18_9_7.jpg"]) == ["18_5_7", "18_5_7", "18_9_7"]
    assert places_of(["east_000000_000256.png", "east_000256_000000.png", "a.png"]) == ["east", "east", "a"]
    assert places_of(["p01_3.jpg", "p01_4.jpg", "q.jpg"], r"^(p\d+)_") == ["p01", "p01", "q"]
