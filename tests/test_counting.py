from rampart.counting import counted


def test_one_is_not_in_the_plural():
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(n, "pass") for n in (1, 12)] == ["1 pass", "12 passes"]
    assert counted(3, "class") == "3 classes"
