import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rooftop.polygons.regions import Likeness, Regions, add_up, by_likeness, by_ratio, measure
from rooftop.polygons.separate import basins, by_core, measured

masks = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=16), elements=st.integers(0, 1)
)
SEAM, PART = 9, 7  # weights of each sum


def likeness(seam=(), part=()):
    """A decision with the given weights by position; all others are 0, and a sum without any weight merges nothing."""
    return Likeness(
        tuple(dict(seam or {SEAM - 1: -1.0}).get(i, 0.0) for i in range(SEAM)),
        tuple(dict(part or {PART - 1: -1.0}).get(i, 0.0) for i in range(PART)),
    )


def graph(pixels, roof, core, summits, seams):
    """Regions 0, 1 ... with probabilities of 0 to 200, and seams {(one, other): (length, height)} with a core of 50."""
    pairs = sorted(seams)
    lengths = np.array([seams[pair][0] for pair in pairs], int)
    return Regions(
        names=np.arange(len(pixels)),
        sums=np.array([pixels, np.multiply(pixels, roof), np.multiply(pixels, core)]).T,
        summits=np.array(summits, float),
        depths=np.full(len(pixels), 3.0),
        pairs=np.array(pairs, int).reshape(-1, 2).T,
        seams=np.stack([lengths, 50 * lengths], axis=1),
        passes=np.array([seams[pair][1] for pair in pairs], float),
    )


def row_of_three(low, high):
    """Three houses of 100 px in a row; both seams are 10 px long."""
    return graph([100] * 3, [180] * 3, [100] * 3, [0.8] * 3, {(0, 1): (10, low), (1, 2): (10, high)})


def test_what_a_surface_measures():
    """Two basins of 2 x 2 px; probabilities of roof 150, of core 40 and 80."""
    mask = np.ones((2, 4), np.uint8)
    names = np.array([[0, 0, 2, 2], [0, 0, 2, 2]])
    height = np.array([[0.9, 0.4, 0.5, 0.7], [0.8, 0.2, 0.6, 0.6]])
    values = np.stack([np.full((2, 4), 150), np.where(names == 0, 40, 80)]).astype(np.uint8)
    found = measure(names, height, 2 * height, values, height.ravel()[names], mask.shape)
    assert found.names.tolist() == [0, 2]
    assert found.sums.tolist() == [[4, 600, 160], [4, 600, 320]]
    assert found.summits.tolist() == [0.9, 0.5]
    assert found.depths.tolist() == [1.8, 1.4]
    assert found.pairs.tolist() == [[0], [2]]
    assert found.seams.tolist() == [[2, 80]]
    assert found.passes.tolist() == [0.4]  # the higher of min(0.4, 0.5) and min(0.2, 0.6)


@settings(max_examples=100)
@given(masks, st.integers(0, 999), st.integers(1, 5))
def test_tiles_add_up_to_the_whole(mask, seed, side):
    random = np.random.default_rng(seed)
    core = random.random(mask.shape).astype(np.float32)
    values = random.integers(0, 201, (2, *mask.shape)).astype(np.uint8)
    surface = by_core(mask, core, values)
    names = basins(surface)
    whole = measured(surface, names)
    summits = surface.height.ravel()[names]
    parts = []
    for y in range(0, mask.shape[0], side):
        for x in range(0, mask.shape[1], side):
            seen = slice(y, y + side + 1), slice(x, x + side + 1)
            size = min(side, mask.shape[0] - y), min(side, mask.shape[1] - x)
            parts.append(
                measure(
                    names[seen],
                    surface.height[seen],
                    surface.depth[seen],
                    values[(slice(None), *seen)],
                    summits[seen],
                    size,
                )
            )
    added = add_up(parts)
    for name in ("names", "sums", "summits", "depths", "pairs", "seams", "passes"):
        assert np.array_equal(getattr(added, name), getattr(whole, name)), name


def test_a_ratio_keeps_what_a_low_pass_parts():
    assert by_ratio(row_of_three(0.3, 0.7), 0.8).tolist() == [0, 1, 1]
    assert by_ratio(row_of_three(0.3, 0.7), 0.3).tolist() == [0, 0, 0]
    assert by_ratio(row_of_three(0.3, 0.7), 0.9).tolist() == [0, 1, 2]


def test_the_surest_pair_is_merged_first_and_then_weighed_anew():
    """Each pair alone would merge; a pair with the first two together is too large for a third."""
    small_enough = likeness(seam={1: 1.0, 5: -1.0, 8: np.log(150.0) - 0.1})  # height - log(larger part / 150 m2) - 0.1
    assert by_likeness(row_of_three(0.3, 0.7), small_enough, 1.0).tolist() == [0, 1, 1]
    assert by_likeness(row_of_three(0.7, 0.3), small_enough, 1.0).tolist() == [0, 0, 2]


def test_sums_of_merged_parts():
    """After 1 and 2 are merged, their seam with 0 is as long as both: 20 px over the root of 100 px."""
    seams = {(0, 1): (10, 0.3), (0, 2): (10, 0.3), (1, 2): (10, 0.7)}
    houses = graph([100] * 3, [180] * 3, [100] * 3, [0.8] * 3, seams)
    long_or_high = likeness(seam={1: 5.0, 3: 1.0, 8: -3.0})  # 5 x height + length / 10 px - 3
    assert by_likeness(houses, long_or_high, 1.0).tolist() == [0, 0, 0]
    no_length = likeness(seam={1: 5.0, 8: -3.0})
    assert by_likeness(houses, no_length, 1.0).tolist() == [0, 1, 1]


def test_a_part_that_is_no_roof_by_itself_joins_its_neighbour():
    house = graph([400, 16], [180, 90], [120, 10], [0.9, 0.2], {(0, 1): (3, 0.1)})
    not_alone = likeness(part={0: -1.0, 1: -1.0, 6: np.log(40.0)})  # small and unsure
    assert by_likeness(house, not_alone, 1.0).tolist() == [0, 0]
    assert by_likeness(house, not_alone, 4.0).tolist() == [0, 1]  # the same pixels are four times as large


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_merge(count):
    alone = graph([9] * count, [180] * count, [100] * count, [0.5] * count, {})
    assert by_likeness(alone, likeness(seam={8: 1.0}), 1.0).tolist() == [*range(count)]
