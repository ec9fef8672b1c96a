import signal
from types import SimpleNamespace

import pytest

from rampart.training import interrupts
from rampart.training.interrupts import Interrupted, Interrupts

ALONE = SimpleNamespace(num_processes=1)


def test_a_signal_is_recorded_and_its_echo_is_the_same_request():
    with Interrupts() as interrupts:
        assert not interrupts.requested(ALONE)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert interrupts.requested(ALONE)
    with pytest.raises(Interrupted) as stop:
        interrupts.stop(3)
    assert stop.value.signal_number == signal.SIGTERM


def test_a_later_signal_acts_as_usual(monkeypatch):
    monkeypatch.setattr(interrupts, "ECHO", -1.0)
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
