from rampart.counting import counted


def test_one_is_not_in_the_plural():
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(n, "pass") for n in (1, 12)] == ["1 pass", "12 passes"]
    assert counted(3, "class") == "3 classes"


def test_a_number_with_a_fraction_is_in_the_plural():
    assert counted(0.5, "epoch") == "0.5 epochs"
    assert [counted(n, "epoch") for n in (1.0, 37.0)] == ["1 epoch", "37 epochs"]
