import numpy as np
import pytest

from rooftop.inference.blend import Blender
from rooftop.raster.windows import Window, spans


def weighed_sum(rows, columns, answers, shape):
    """Every window with all of its weights, added up in float64."""
    total = np.zeros((1, *shape))
    for (i, j), answer in answers.items():
        row, column = rows[i], columns[j]
        place = Window(column.start, row.start, len(column.weights), len(row.weights)).slices
        total[(0, *place)] += answer[0] * row.weights[:, None] * column.weights
    return total


@pytest.mark.parametrize("seed", range(40))
def test_blocks_are_the_weighed_sum_of_all_windows_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    window, shape = int(rng.integers(4, 40)), tuple(rng.integers(1, 120, 2).tolist())
    rows, columns = (spans(side, window, int(rng.integers(0, window // 2 + 1))) for side in shape)
    answers = {
        (i, j): rng.random((1, len(row.weights), len(column.weights)), dtype=np.float32)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if rng.random() < 0.9
    }
    blender, blended = Blender(rows, columns, 1), np.full((1, *shape), np.nan)
    for i in range(len(rows)):
        for j in range(len(columns)):
            block = blender.add(i, j, answers.get((i, j)))
            blended[(0, *blender.final(i, j).slices)] = block
    assert np.array_equal(blended, weighed_sum(rows, columns, answers, shape).astype(np.float32))


def test_the_answer_of_the_network_is_not_written_to():
    rows, columns = spans(60, 32, 16), spans(60, 32, 16)
    blender, answer = Blender(rows, columns, 1), np.full((1, 32, 32), 0.25, np.float32)
    for i in range(len(rows)):
        for j in range(len(columns)):
            blender.add(i, j, answer)[:] = 7
    assert (answer == 0.25).all()
