import pytest

from rampart.data.spelling import look_alike

ALIKE = [["a", "b", "a "], ["caf\xe9", "cafe\u0301"], ["a", "\ta"]]


@pytest.mark.parametrize("names", ALIKE)
def test_spaces_and_the_form_of_letters_are_found(names):
    assert look_alike(names, case=False) == (names[0], names[-1])


def test_case_counts_on_request():
    assert look_alike(["cat", "Cat"]) == ("cat", "Cat")
    assert look_alike(["cat", "Cat"], case=False) is None
    assert look_alike(["cat", "dog", "c at"]) is None
