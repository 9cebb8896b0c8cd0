import numpy as np
import pytest

from rooftop.inference.views import averaged, large_roofs, rescaled, scale_factor, windowed, with_views
from rooftop.run import Card

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 24, 40, 3), dtype=np.uint8)


def card(gsd, size=None):
    return Card({}, {"size": size}, ["roof"], threshold=0.5, gsd=gsd)


@pytest.mark.parametrize("views", ["flips", "d4"])
def test_a_network_without_context_answers_the_same(views, per_pixel):
    assert np.array_equal(averaged(per_pixel, views)(PICTURES), per_pixel(PICTURES))


@pytest.mark.parametrize(("views", "count"), [("flips", 4), ("d4", 8), ("scales", 12)])
def test_each_view_is_another(views, count, per_pixel):
    seen = set()
    averaged(lambda pictures: seen.add(pictures.tobytes()) or per_pixel(pictures), views)(PICTURES)
    assert len(seen) == count


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_scales_are_flips_at_three_sizes_each_scaled_once(factor, per_pixel):
    seen = []
    answer = averaged(lambda pictures: seen.append(pictures.shape[1:3]) or per_pixel(pictures), "scales", factor=factor)
    probability = answer(PICTURES)
    assert seen == [
        size for share in (0.75, 1, 1.3) for size in [(round(24 * share * factor), round(40 * share * factor))] * 4
    ]
    assert probability.shape == (2, 2, 24, 40)
    parts = [averaged(per_pixel, "flips", factor=share * factor)(PICTURES) for share in (0.75, 1, 1.3)]
    assert np.allclose(probability, np.mean(parts, axis=0), atol=1e-6)


def test_scales_keep_places(per_pixel):
    pictures = np.zeros((1, 24, 40, 3), np.uint8)
    pictures[:, 4:12, 20:36] = 255
    answer = averaged(per_pixel, "scales")(pictures)[0, 0]
    assert answer[6:10, 23:33].min() > 0.9
    assert answer[15:].max() < 0.1


def test_the_mean_has_the_symmetry(per_pixel):
    def left_of(pictures):
        return per_pixel(np.roll(pictures, 1, axis=2))

    mean = averaged(left_of, "flips")
    mirrored = mean(np.ascontiguousarray(PICTURES[:, :, ::-1]))[..., ::-1]
    assert np.allclose(mirrored, mean(PICTURES), atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 0.73, 2.0])
def test_rescaled_shows_the_network_another_size_and_gives_its_own_back(factor, per_pixel):
    seen = []
    answer = rescaled(lambda pictures: seen.append(pictures.shape) or per_pixel(pictures), factor)(PICTURES)
    assert seen == [(2, round(24 * factor), round(40 * factor), 3)]
    assert answer.shape == (2, 2, 24, 40)
    assert answer.dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 1, 7, 3), (1, 7, 1, 3)])
@pytest.mark.parametrize("factor", [1.0, 1.77])
def test_pictures_of_one_pixel_s_width_are_looked_at_from_all_sides(per_pixel, shape, factor):
    assert averaged(per_pixel, "d4", factor=factor)(np.full(shape, 90, np.uint8)).shape == (1, 2, *shape[1:3])


def test_rescaled_keeps_places(per_pixel):
    pictures = np.zeros((1, 24, 40, 3), np.uint8)
    pictures[:, 4:12, 20:36] = 255
    answer = rescaled(per_pixel, 0.5)(pictures)[0, 0]
    assert answer[6:10, 23:33].min() > 0.9
    assert answer[15:].max() < 0.1


def test_asked_without_wishes_is_the_network_itself(per_pixel):
    assert with_views(per_pixel, factor=None, views=None) is per_pixel
    both = with_views(per_pixel, factor=0.5, views="flips")(PICTURES)
    assert np.allclose(both, averaged(rescaled(per_pixel, 0.5), "flips")(PICTURES))


@pytest.mark.parametrize(
    ("gsd", "learned", "factor"),
    [(0.5, 0.25, 2.0), (0.07, 0.28, 0.25), (0.32, 0.3, None), (None, 0.3, None), (0.3, None, None)],
)
def test_pictures_are_scaled_only_where_both_distances_are_known_and_differ(gsd, learned, factor):
    assert scale_factor(gsd, card(learned)) == pytest.approx(factor)


def test_a_run_that_resizes_what_it_sees_is_not_scaled_as_well():
    assert scale_factor(0.5, card(0.25, size=[128, 128])) is None


def test_large_pictures_are_answered_window_by_window_and_seamless(per_pixel):
    shown = []

    def noted(pictures):
        shown.append(pictures.shape[1:3])
        return per_pixel(pictures)

    by_window = windowed(noted, window=16, overlap=4, whole=24 * 40 - 1)(PICTURES)
    assert np.array_equal(by_window, per_pixel(PICTURES))
    assert {*shown} == {(16, 16)}
    windowed(noted, window=16, overlap=4, whole=24 * 40)(PICTURES)
    assert shown[-1] == (24, 40)


def two_views(fine, half):
    """A network with one answer for pictures of the size of `fine`, and another for half the size."""
    return lambda pictures: (fine if pictures.shape[1:3] == fine.shape[2:] else half).astype(np.float32)


def test_a_large_roof_is_filled_from_half_the_size_and_the_rest_stays():
    fine, half = np.full((1, 2, 120, 200), 0.02), np.zeros((1, 2, 60, 100))
    fine[0, 0, 20:100, 20:100] = 0.9
    fine[0, 0, 40:80, 40:80] = 0.1  # solar panels
    half[0, 0, 10:50, 10:50] = 0.99
    fine[0, 0, 20:60, 140:180] = 0.1  # a yard of 40 px, or 20 px at half the size: one too few for a large roof
    half[0, 0, 10:30, 70:90] = 0.99
    answer = large_roofs(two_views(fine, half))(np.zeros((1, 120, 200, 3), np.uint8))
    assert answer.dtype == np.float32
    # odds of 0.1 and 0.99, both drawn in by 0.004: sqrt(0.1151 * 70.84) = 2.855, so 0.7406; drawn out again 0.7426
    assert np.allclose(answer[0, 0, 42:78, 42:78], 0.7426, atol=2e-4)
    assert np.array_equal(answer[0, 0, :, 130:], fine[0, 0, :, 130:].astype(np.float32))
    assert np.array_equal(answer[0, 1], fine[0, 1].astype(np.float32))


def test_a_sure_no_is_hardly_overruled():
    fine, half = np.zeros((1, 1, 80, 80)), np.full((1, 1, 40, 40), 0.95)
    answer = large_roofs(two_views(fine, half))(np.zeros((1, 80, 80, 3), np.uint8))
    assert 0.1 < answer.max() < 0.25


def test_large_roofs_at_other_metres_per_pixel_are_looked_for_at_the_training_s(per_pixel):
    seen = []

    def noted(pictures):
        seen.append(pictures.shape[1:3])
        return per_pixel(pictures)

    assert with_views(noted, factor=0.5, views="large")(PICTURES).shape == (2, 2, 24, 40)
    assert seen == [(12, 20), (6, 10)]
    assert with_views(per_pixel, factor=None, views="large")(np.zeros((1, 1, 7, 3), np.uint8)).shape == (1, 2, 1, 7)


def test_windows_see_large_roofs_as_the_whole_picture_does(per_pixel):
    picture = np.random.default_rng(1).integers(0, 60, (1, 420, 640, 3), dtype=np.uint8)
    for top, left, side in ((30, 40, 150), (60, 300, 90), (200, 20, 180), (230, 330, 160), (40, 520, 30)):
        picture[:, top : top + side, left : left + side : 2] += 60  # striped by panels
        picture[:, top : top + side, left + 1 : left + side : 2] += 180
    ask = large_roofs(per_pixel)
    whole = ask(picture)
    assert (whole - per_pixel(picture)).max() > 0.1
    assert np.allclose(windowed(ask, window=256, overlap=96, whole=1)(picture), whole, atol=1e-3)
