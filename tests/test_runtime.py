import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rampart.runtime import Noise, derive, scoped_seed


def as_unsigned(x: torch.Tensor) -> list[int]:
    return [value % 2**64 for value in x.tolist()]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ],
)
def test_bits_are_those_of_splitmix64(key: int, expected: list[int]) -> None:
    """Published test vectors of the generator."""
    assert as_unsigned(Noise(torch.tensor([key]))._bits(3)[0]) == expected


def test_uniform_noise_is_uniform() -> None:
    draws = Noise.of(0, torch.arange(64), "attack").uniform(500)
    assert draws.dtype == torch.float32
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws.flatten().numpy(), "uniform").pvalue > 1e-3
    # Also down the samples, whose keys are consecutive numbers.
    assert stats.kstest(draws[:, 0].numpy(), "uniform").pvalue > 1e-3


def test_normal_noise_is_normal() -> None:
    draws = Noise.of(1, torch.arange(64), "attack").normal(20, 25)
    assert draws.shape == (64, 20, 25)
    assert draws.dtype == torch.float32
    assert stats.kstest(draws.flatten().numpy(), "norm").pvalue > 1e-3


def test_normal_noise_is_finite_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = torch.tensor([[0.0, 1 - 2**-24]])
    monkeypatch.setattr(Noise, "uniform", lambda self, *shape: ends)
    low, high = Noise(torch.tensor([0])).normal(2)[0].tolist()
    assert low == pytest.approx(-high)
    assert 5 < high < 6


def test_samples_and_purposes_are_independent() -> None:
    noise = Noise.of(0, torch.arange(40), "attack")
    streams = torch.cat(
        [noise.normal(2000), noise.child("radius").normal(2000), noise.child("x", 1).normal(2000)]
    )
    correlations = torch.corrcoef(streams) - torch.eye(120)
    # 7140 pairs of standard deviation 1/sqrt(2000) = 0.022.
    assert correlations.abs().max() < 0.11
    assert len(torch.unique(torch.cat([noise.keys, noise.child("radius").keys]))) == 80


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8), st.integers(0, 2**31))
def test_a_draw_depends_on_its_key_alone(samples: list[int], seed: int) -> None:
    batch = Noise.of(seed, torch.tensor(samples), "attack", 3).child("start").normal(2, 3)
    for sample, row in zip(samples, batch, strict=True):
        alone = Noise.of(seed, torch.tensor([sample]), "attack", 3).child("start").normal(2, 3)
        assert torch.equal(alone[0], row)


def test_subsets_keep_their_draws() -> None:
    noise = Noise.like(torch.zeros(6, 1, 2, 2), seed=4)
    assert len(noise) == 6
    chosen = torch.tensor([4, 1])
    assert torch.equal(noise.select(chosen).uniform(9), noise.uniform(9)[chosen])
    mask = torch.tensor([True, False, True, False, False, True])
    assert torch.equal(noise.select(mask).uniform(9), noise.uniform(9)[mask])


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    Noise.of(0, torch.arange(3), "x").normal(5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_derived_seeds_are_fixed_and_distinct() -> None:
    seeds = [derive(0, "head"), derive(1, "head"), derive(0, "head", 1), derive(0, "head", "1")]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    # Recorded: a change would alter every published run.
    assert derive(0, "head") == 2613055433641595075


def test_scoped_seed_repeats_and_puts_the_generator_back() -> None:
    before = torch.random.get_rng_state()
    draws = []
    for _ in range(2):
        with scoped_seed(3, "head"):
            draws.append(torch.rand(4))
    assert torch.equal(*draws)
    assert torch.equal(before, torch.random.get_rng_state())
    with scoped_seed(3, "tail"):
        assert not torch.equal(torch.rand(4), draws[0])
