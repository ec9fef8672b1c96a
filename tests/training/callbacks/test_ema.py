"""The average against its recursion, and around a ramp."""

import pytest
from torch import nn

from rampart.errors import InvalidArgument
from rampart.schedules.catalogue import SCHEDULES
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.callbacks.ema import Ema
from rampart.units import Horizon


def weights(value):
    """A model whose every number is `value`; BatchNorm, so that there are buffers."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data.fill_(value)
    return model


def follow(hook, alphas):
    """Step to the weights 1, 2, ...; return the average measured after each step."""
    model, seen = weights(0), []
    for value, alpha in enumerate(alphas, start=1):
        model.load_state_dict(weights(value).state_dict())
        hook.stepped(model, alpha)
        with hook.measured(model):
            (found,) = {round(float(t.detach().double().mean()), 5) for t in model.parameters()}
            (statistic,) = {round(float(b), 5) for b in model[1].running_mean}
            assert statistic == pytest.approx(found)
            assert int(model[1].num_batches_tracked) == value
            seen.append(found)
        assert float(model[0].weight.detach().mean()) == value
    return seen


def test_the_recursion():
    average, expected = 1.0, [1.0]
    for n, value in enumerate(range(2, 8), start=1):
        decay = min(0.3, n / (n + 9))
        average = decay * average + (1 - decay) * value
        expected.append(average)
    assert follow(Ema(decay=0.3).begin(weights(0)), [1.0] * 7) == pytest.approx(expected, abs=1e-4)


def test_the_average_equals_the_weights_while_eps_changes():
    found = follow(Ema(decay=0.9).begin(weights(0)), [0.0, 0.0, 0.0, 0.3, 0.6, 1.0, 1.0, 1.0])
    assert found[3:6] == [4, 5, 6]
    assert found[2] < 3
    assert 6 < found[6] < 7
    assert found[7] == pytest.approx(2 / 11 * found[6] + 9 / 11 * 8, abs=1e-4)


def test_the_largest_decay_is_reached_and_stays():
    hook = Ema(decay=0.5).begin(weights(0))
    found = follow(hook, [1.0] * 40)
    # A constant decay d of a straight line lags by d / (1 - d).
    assert found[-1] == pytest.approx(40 - 1, abs=1e-3)


def test_the_state_is_complete():
    one, other = Ema(0.9).begin(weights(0)), Ema(0.9).begin(weights(7))
    follow(one, [0.0, 0.5, 0.5])
    other.load_state_dict(one.state_dict())
    assert follow(one, [0.5, 1.0, 1.0]) == follow(other, [0.5, 1.0, 1.0])


def test_frozen_parameters_are_not_averaged():
    model = weights(1)
    model[0].requires_grad_(False)
    assert not any(name.startswith("average.0.") for name in Ema().begin(model).state_dict())


@pytest.mark.parametrize(
    "schedule",
    ["fix", "standard", "two-hinge", "linear-warmup", "switch", "adaptive", "plateau", "uniform"],
)
def test_schedules_with_a_constant_end_are_accepted(schedule):
    Ema().check(scheduler(schedule))


def scheduler(name, horizon=Horizon(10, 5), **options):  # noqa: B008  # frozen
    return EpsilonScheduler(SCHEDULES.build(name), 8 / 255, horizon, chance=1 / 3, **options)


def test_a_run_of_one_step_has_a_constant_strength():
    Ema().check(scheduler("fix", Horizon(1, 1)))


def test_a_strength_that_changes_by_epochs_is_constant_in_the_last_one():
    Ema().check(scheduler("linear", interval="epoch"))


@pytest.mark.parametrize("schedule", ["linear", "auto"])
def test_a_schedule_that_changes_until_the_end_is_refused(schedule):
    with pytest.raises(InvalidArgument, match=r"callbacks=ema.*two-hinge"):
        Ema().check(scheduler(schedule))


@pytest.mark.parametrize("decay", [0.0, 1.0, -1, 2])
def test_impossible_decays(decay):
    with pytest.raises(InvalidArgument, match="decay"):
        Ema(decay=decay)
