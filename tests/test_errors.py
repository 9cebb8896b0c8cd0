"""Foreign values in messages stay short and on one line."""

from rooftop.errors import brief, first_names


def test_a_long_value_keeps_its_ends():
    text = brief("a" * 5000 + ".png")
    assert len(text) == 60
    assert text.startswith("aaa")
    assert text.endswith(".png")
    assert brief("roof.png") == "roof.png"
    assert brief("a\nb") == "a\\nb"


def test_a_long_list_names_the_first():
    assert first_names(["x"] * 7) == "x, x, x, x, x and 2 more"
    assert len(first_names(["n" * 999] * 9999)) < 400
