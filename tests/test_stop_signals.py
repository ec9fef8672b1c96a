import signal

import pytest

from rampart.stop_signals import STOPS, WARNINGS, answered, ours


@pytest.fixture(params=WARNINGS)
def warning(request):
    """A signal of SLURM; its handler is as before after the test."""
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_a_warning_that_nobody_answers_is_answered(warning):
    signal.signal(warning, signal.SIG_DFL)
    assert warning in answered()


def test_the_handler_of_another_program_stays(warning):
    signal.signal(warning, lambda number, frame: None)
    assert warning not in answered()
    assert set(STOPS) <= set(answered())


def test_a_handler_of_ours_may_be_replaced(warning):
    class Records:
        @ours
        def record(self, number, frame):
            pass

    signal.signal(warning, Records().record)
    assert warning in answered()
