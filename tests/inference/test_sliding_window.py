from pathlib import Path

import numpy as np
import pytest

from rooftop.errors import SourceError
from rooftop.inference.sliding_window import Blender, Tiling
from rooftop.raster.probability import NODATA
from rooftop.raster.windows import Window, spans

TILINGS = [Tiling(32, 8, 3), Tiling(32, 16, 1), Tiling(64, 0, 2), Tiling(100, 31, 4), Tiling(512, 64, 2)]


@pytest.mark.parametrize("tiling", TILINGS)
def test_a_network_that_answers_one_gives_one_everywhere(raster, predicted, picture, tiling, ones):
    assert (predicted(raster(picture), ones, tiling) == 200).all()


@pytest.mark.parametrize("tiling", TILINGS)
def test_a_network_without_context_gives_what_one_pass_gives(raster, predicted, picture, tiling, per_pixel, once):
    values = predicted(raster(picture), per_pixel, tiling, bands=2)
    assert np.array_equal(values, once(per_pixel, picture))


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (32, 33), (31, 64)])
def test_any_size(raster, predicted, shape, per_pixel, once):
    picture = np.random.default_rng(1).integers(1, 256, (3, *shape), dtype=np.uint8)
    assert np.array_equal(predicted(raster(picture), per_pixel, bands=2), once(per_pixel, picture))


def test_next_to_nodata_nothing_changes_and_nodata_stays(raster, predicted, picture, per_pixel, once):
    hole = np.zeros((101, 147), bool)
    hole[:47, :90] = hole[60:62] = True
    picture[:, hole] = 0
    values = predicted(raster(picture, nodata=0), per_pixel, bands=2)
    assert (values[:, hole] == NODATA).all()
    assert np.array_equal(values[:, ~hole], once(per_pixel, picture)[:, ~hole])


def test_windows_without_data_are_not_predicted(raster, predicted, picture, ones):
    picture[:, :, 30:] = 0
    seen = []

    def forward(pictures):
        seen.append(len(pictures))
        return ones(pictures)

    predicted(raster(picture, nodata=0), forward)
    assert seen == [2] * 4
    assert (predicted(raster(picture * 0, "empty.tif", nodata=0), forward, folder="empty") == NODATA).all()
    assert len(seen) == 4


def test_batches_have_the_size_asked_for(raster, predicted, picture, ones):
    seen = set()

    def forward(pictures):
        seen.add(pictures.shape)
        return ones(pictures)

    predicted(raster(picture), forward, Tiling(32, 8, 4))
    assert seen == {(4, 32, 32, 3), (2, 32, 32, 3)}


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 5, 7])
def test_a_stopped_run_goes_on_and_stores_the_same_bytes(raster, predicted, picture, after, per_pixel):
    path, left = raster(picture), [after]

    def context(pictures):
        """Depends on the batch and on all of a window, so that any other cut would show."""
        answer = per_pixel(pictures)
        return answer * (pictures.mean() / 255 + pictures[0, 0, 0, 0] / 600).astype(np.float32) / 2

    def killed(pictures):
        if not left[0]:
            raise _KilledError
        left[0] -= 1
        return context(pictures)

    expected = predicted(path, context, bands=2, folder="uninterrupted")
    with pytest.raises(_KilledError):
        predicted(path, killed, bands=2)
    asked = []
    values = predicted(path, lambda pictures: asked.append(1) or context(pictures), bands=2)
    assert np.array_equal(values, expected)
    assert len(asked) <= 8 - max(after // 2 - 2, 0) * 2


@pytest.mark.parametrize("parts", [((2, 3), (0, 1)), ((0, 3), (1, 2)), ((1,), (3, 0, 2))])
def test_rows_shared_out_give_the_same_bytes(raster, predicted, picture, parts, per_pixel):
    def context(pictures):
        return per_pixel(pictures) * (pictures.mean() / 255 + pictures[0, 0, 0, 0] / 600).astype(np.float32) / 2

    path = raster(picture)
    expected = predicted(path, context, bands=2, folder="alone")
    for rows in parts:
        values = predicted(path, context, bands=2, folder="shared", rows=sorted(rows))
    assert np.array_equal(values, expected)


def test_a_source_cut_short_is_named_and_what_was_done_stays(raster, predicted, picture, tmp_path, ones):
    path = raster(picture.repeat(3, 1), tiled=True, blockxsize=16, blockysize=16)
    with Path(path).open("r+b") as file:
        file.truncate(60_000)
    with pytest.raises(SourceError, match=r"scene\.tif: cannot be read"):
        predicted(path, ones)
    assert [path.name for path in (tmp_path / "canvas").glob("*.u8")]


def test_blending_softens_the_seams_of_a_network_that_fails_at_its_rim(raster, predicted, picture, ones):
    def rim(pictures):
        answer = ones(pictures) / 2
        answer[..., :2, :] = answer[..., -2:, :] = answer[..., :2] = answer[..., -2:] = 0
        return answer

    inside = predicted(raster(picture), rim)[0, 2:-2, 2:-2]
    assert (inside == 100).all()


def weighed_sum(rows, columns, answers, shape):
    """Every window with all of its weights, added up in float64."""
    total = np.zeros((1, *shape))
    for (i, j), answer in answers.items():
        row, column = rows[i], columns[j]
        part = Window(column.start, row.start, len(column.weights), len(row.weights)).slices
        total[(0, *part)] += answer[0] * row.weights[:, None] * column.weights
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


def test_windows_of_a_scaled_scene_cover_the_ground_that_the_network_expects():
    assert Tiling(1024, 96, 2).scaled(2.0) == Tiling(2048, 192, 2)
    assert Tiling(1024, 96, 2).scaled(0.5) == Tiling(512, 48, 2)
    assert Tiling(1024, 96, 2).scaled(20.0) == Tiling(4096, 1920, 2), "memory stays bounded"
    assert Tiling(768, 96, 1).scaled(20.0) == Tiling(3072, 1536, 1)
    assert Tiling(6000, 96, 1).scaled(20.0).window == 6000, "as it was asked for"
