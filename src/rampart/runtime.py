"""Randomness without global state: every draw is keyed by (seed, sample, purpose).

A draw depends on its key alone, so results do not change with the batch size, the order of the
samples, the number of workers or of processes, or the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.deferred import torch

if TYPE_CHECKING:
    from torch import Tensor


# SplitMix64 (Steele, Lea, Flood 2014): its increment and the multipliers of its finalizer,
# written as the signed 64-bit integers that torch computes with.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MULTIPLIER_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MULTIPLIER_2 = 0x94D049BB133111EB - (1 << 64)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finalizer, elementwise on int64 (wrap-around multiplication)."""
    return _mix_in_place(x.clone())


def _mix_in_place(x: Tensor) -> Tensor:
    """`_mix` that overwrites its argument, with one further tensor of its size."""
    shifted = torch.empty_like(x)
    for bits, multiplier in ((30, _MULTIPLIER_1), (27, _MULTIPLIER_2), (31, None)):
        torch.bitwise_right_shift(x, bits, out=shifted)
        x.bitwise_xor_(shifted.bitwise_and_((1 << (64 - bits)) - 1))
        if multiplier is not None:
            x.mul_(multiplier)
    return x


def derive(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for a purpose: `derive(0, "head")`, `derive(0, "shuffle", epoch)`."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def scoped_seed(seed: int, *purpose: str | int) -> Iterator[None]:
    """Seed torch's global generators inside the block, and restore them afterwards.

    For code that draws from them only: weight initialization, dropout, stochastic depth.
    """
    # Without a list of devices torch warns on a machine with several.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive(seed, *purpose))
        yield


@dataclass(frozen=True)
class Noise:
    """A source of random numbers with one key per sample.

    Attributes:
        keys: (N,) int64.
    """

    keys: Tensor

    @classmethod
    def of(cls, seed: int, indices: Tensor, *purpose: str | int) -> Noise:
        """Return noise for the samples with these indices.

        Args:
            seed: the run's seed.
            indices: (N,) int64, the sample's position in its dataset.
            purpose: what the noise is for, such as ("attack", epoch).
        """
        return cls(_mix(_mix(indices.to(torch.int64) * _GOLDEN) ^ derive(seed, *purpose)))

    @classmethod
    def like(cls, images: Tensor, seed: int = 0) -> Noise:
        """Noise for a batch whose samples have no number: keyed by the position in the batch."""
        return cls.of(seed, torch.arange(len(images), device=images.device), "batch")

    def __len__(self) -> int:
        return len(self.keys)

    def child(self, *purpose: str | int) -> Noise:
        """Return independent noise for the same samples and another purpose."""
        return Noise(_mix(self.keys ^ derive(0, *purpose)))

    def at(self, numbers: Tensor) -> Noise:
        """Return independent noise keyed by a number per sample, such as its step; (N,) int64."""
        return Noise(_mix(self.keys ^ _mix((numbers + 1) * _GOLDEN)))

    def select(self, index: Tensor) -> Noise:
        """Return the noise of a subset: `index` is an (N,) mask or an (M,) list of positions."""
        return Noise(self.keys[index])

    def uniform(self, *shape: int) -> Tensor:
        """Return (N, *shape) float32, uniform in [0, 1)."""
        bits = self._bits(*shape)
        # A logical shift; torch shifts signed integers arithmetically.
        bits.bitwise_right_shift_(40).bitwise_and_((1 << 24) - 1)
        return bits.to(torch.float32).mul_(2**-24)

    def normal(self, *shape: int) -> Tensor:
        """Return (N, *shape) float32, standard normal."""
        # Half a unit of the 24-bit grid keeps the quantile function away from 0 and 1; added in
        # fp64, since fp32 would round the largest value up to 1, whose quantile is infinite.
        levels = self.uniform(*shape).to(torch.float64).add_(2**-25)
        return torch.special.ndtri(levels, out=levels).float()

    def _bits(self, *shape: int) -> Tensor:
        count = 1
        for size in shape:
            count *= size
        stream = torch.arange(1, count + 1, device=self.keys.device) * _GOLDEN
        return _mix_in_place(self.keys[:, None] + stream).view(len(self.keys), *shape)
