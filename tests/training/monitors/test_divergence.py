import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rampart.errors import RunError
from rampart.training.monitors.divergence import Divergence, require_finite_weights

LN = math.log(100)


def fired(losses, strengths, clean=None):
    """Return the epochs, counted from 1, with an alert; `clean` are validation losses."""
    memory, epochs = {}, []
    clean = clean or [0.5] * len(losses)
    rows = zip(losses, strengths, clean, strict=True)
    for epoch, (loss, eps, clean_loss) in enumerate(rows, start=1):
        row = {"epoch": epoch, "train_loss": loss, "eps": eps, "val_clean_loss": clean_loss}
        if Divergence(100).observe(nn.Identity(), row, memory).alerts:
            epochs.append(epoch)
        memory = json.loads(json.dumps(memory))
    return epochs


@given(
    rows=st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(0, 1e-2), st.floats(0, LN)), min_size=1, max_size=20
    )
)
def test_a_rise_of_eps_alone_raises_no_alert(rows):
    """For every training loss, while eps rises and the clean validation loss is at most ln K."""
    losses, rises, clean = (list(column) for column in zip(*rows, strict=True))
    strengths = [sum(rises[: i + 1]) + 1e-6 * i for i in range(len(rises))]
    assert fired(losses, strengths, clean) == []


@given(losses=st.lists(st.floats(0, LN), min_size=1, max_size=20), data=st.data())
def test_a_loss_below_that_of_guessing_raises_no_alert(losses, data):
    strengths = data.draw(st.lists(st.floats(0, 0.1), min_size=len(losses), max_size=len(losses)))
    assert fired(losses, strengths, [1e9] * len(losses)) == []


def test_a_model_worse_than_guessing_has_diverged_at_once():
    assert fired([14.0], [0.0], [20.0]) == [1]
    assert fired([13.0], [0.0], [20.0]) == [], "below 3 ln 100 = 13.8"
    assert fired([14.0], [0.1], [LN]) == [], "the attack alone makes the loss"


def test_several_times_the_loss_of_an_earlier_epoch_no_weaker():
    assert fired([2.0, 0.5, 5.0, 5.0, 0.5, 5.0], [0.1] * 6) == [3, 6]
    # The second epoch begins at eps = 0, so the third is not compared with it.
    assert fired([0.1, 0.1, 5.0], [0.0, 0.1, 0.1]) == []
    assert fired([0.1, 0.1, 0.1, 5.0], [0.0, 0.1, 0.1, 0.1]) == [4]
    # An earlier epoch at a larger strength is compared with a weaker one.
    assert fired([1.0, 0.5, 5.0], [0.2, 0.2, 0.1]) == [3]


def test_the_message_has_the_figures_and_the_options_to_change():
    row = {"epoch": 4, "train_loss": 50.0, "eps": 0.0, "val_clean_loss": 60.0}
    (alert,) = Divergence(100).observe(nn.Identity(), row, {}).alerts
    assert alert.code == "exploding-loss"
    assert "50 in epoch 4" in alert.message
    assert "ln 100 = 4.61" in alert.message
    assert "optimizer.clip_norm=1.0" in alert.message


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("name", ["0.weight", "1.running_var"])
def test_weights_and_statistics_must_be_finite(name, value):
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    require_finite_weights(model, 6)
    with torch.no_grad():
        model.state_dict()[name].view(-1)[-1] = value
    with pytest.raises(RunError, match=rf"^{name} .* step 6"):
        require_finite_weights(model, 6)
