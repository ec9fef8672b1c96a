import signal
from types import SimpleNamespace

import pytest
import torch

from rampart.training import interrupts
from rampart.training.interrupts import Interrupted, Interrupts
from rampart.training.loop import ASK_EVERY, may_ask

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


@pytest.mark.parametrize(
    ("processes", "device", "asked"), [(1, "cuda", 2 * ASK_EVERY), (4, "cuda", 2), (4, "cpu", 20)]
)
def test_several_gpus_ask_each_other_at_some_steps_only(processes, device, asked):
    """They are idle while they ask; the same steps on every process."""
    accelerator = SimpleNamespace(num_processes=processes, device=torch.device(device))
    steps = [
        may_ask(SimpleNamespace(accelerator=accelerator, progress=progress))
        for progress in (SimpleNamespace(step_in_epoch=step) for step in range(1, 21))
    ]
    assert sum(steps) == asked
