"""What a name of data means, told without reading it."""

from rampart.data.datasets import EMBEDDED
from rampart.data.naming import EMBEDDED_NAMES


def test_the_tasks_without_files_are_those_that_are_made():
    assert sorted(EMBEDDED_NAMES) == sorted(EMBEDDED)
