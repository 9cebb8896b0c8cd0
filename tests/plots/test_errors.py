import numpy as np

from rooftop.plots.errors import FALSE, HIT, MISS, OUTLINE, UNJUDGED, error_map, outlined, roof_by_roof


def test_hits_misses_and_false_roofs_have_their_colours():
    picture = np.full((2, 3, 3), 100, dtype=np.uint8)
    mask = np.array([[1, 1, 0], [0, 0, 0]])
    prediction = np.array([[1, 0, 1], [0, 0, 0]])
    valid = np.array([[True, True, True], [True, True, False]])
    drawn = error_map(picture, mask, prediction, valid).astype(int)
    for place, colour in zip(((0, 0), (0, 1), (0, 2)), (HIT, MISS, FALSE), strict=True):
        nearest = min((HIT, MISS, FALSE), key=lambda c: np.abs(drawn[place] - c).sum())
        assert nearest == colour
    assert len(set(drawn[1, 0])) == 1  # grey
    assert tuple(drawn[1, 2]) == UNJUDGED


def test_the_colours_differ_in_lightness_too():
    lightness = sorted(np.dot(colour, (0.299, 0.587, 0.114)) for colour in (HIT, MISS, FALSE))
    assert min(np.diff(lightness)) > 30


def test_touching_roofs_are_told_apart():
    picture = np.full((6, 10, 3), 200, dtype=np.uint8)
    labels = np.zeros((6, 10), dtype=np.int32)
    labels[1:5, 0:4], labels[1:5, 4:9] = 1, 2
    drawn = roof_by_roof(picture, labels, (0, 0, 0))
    black = (drawn == 0).all(axis=-1)
    assert black[1:5, 3:5].all()  # both sides of the wall between them
    assert not black[2:4, 1:3].any()
    assert (drawn[2:4, 1:3] == 140).all()  # tinted by 30 %
    assert (drawn[0] == 200).all()


def test_an_outline_points_one_roof_out():
    picture = np.full((5, 6, 3), 200, dtype=np.uint8)
    mask = np.zeros((5, 6), dtype=np.uint8)
    mask[0:4, 1:5] = 1
    drawn = outlined(picture, mask)
    black = (drawn == OUTLINE).all(axis=-1)
    assert black.sum() == 12  # 4 x 4 without its inner 2 x 2; the picture's edge is outline too
    assert not black[1:3, 2:4].any()
    assert (picture == 200).all()
