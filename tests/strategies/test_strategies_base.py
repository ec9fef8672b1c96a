"""Which strategies can be combined, and which are refused before training."""

import itertools

import pytest

from rampart.errors import InvalidArgument
from rampart.strategies.base import check_together
from rampart.strategies.catalogue import STRATEGIES

TOGETHER = {
    *[(first, adapters) for first in ("lp-ft", "roli") for adapters in ("lora", "hyperat")],
    *[("roli", "lp-ft"), ("full", "autolora")],
}


def test_the_registry_lists_every_strategy():
    listed = ["lora", "autolora", "hyperat", "full", "linear-probe", "lp-ft", "roli"]
    # The order follows the first import.
    assert sorted(STRATEGIES.names()) == sorted(listed)


@pytest.mark.parametrize("pair", list(itertools.permutations(STRATEGIES.names(), 2)))
def test_every_pair_is_allowed_or_refused_by_name(pair):
    strategies = {name: STRATEGIES.build(name) for name in pair}
    if pair in TOGETHER or pair[::-1] in TOGETHER:
        check_together(strategies)
        return
    with pytest.raises(InvalidArgument, match="strategies=") as refused:
        check_together(strategies)
    assert all(f"'{name}'" in str(refused.value) for name in pair)
