import pytest
from tasks import Task, make_task


@pytest.fixture
def task() -> Task:
    return make_task()
