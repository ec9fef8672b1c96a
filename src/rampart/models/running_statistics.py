"""A copy of the running statistics of BatchNorm, by which a network can normalize for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from rampart.errors import ModelError
from rampart.models.normalized import batch_norms


class RunningStatistics(nn.Module):
    """Running mean and variance of every BatchNorm layer of a network, as they are now.

    They are buffers, so `to` moves them and `state_dict` stores them. The network is neither copied
    nor changed.

    Args:
        network: has at least one BatchNorm layer.

    Raises:
        ModelError: the network has no BatchNorm, or one without running statistics.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # A tuple, so that the layers do not become a part of this module.
        self._layers: tuple[Any, ...] = tuple(batch_norms(network))
        if not self._layers:
            raise ModelError(f"the network has no BatchNorm, but {_normalization(network)}.")
        for number, layer in enumerate(self._layers):
            if layer.running_mean is None:
                raise ModelError(
                    "a BatchNorm layer of the network has no running statistics: build it with "
                    "track_running_stats=True."
                )
            self.register_buffer(f"mean_{number}", layer.running_mean.detach().clone())
            self.register_buffer(f"var_{number}", layer.running_var.detach().clone())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network normalize by the copy inside the block, in train mode too.

        The block changes no statistics. Afterwards each layer has its own buffers and its mode
        again. A backward pass may follow after the block.
        """
        own = [(one, one.training, one.running_mean, one.running_var) for one in self._layers]
        try:
            for number, layer in enumerate(self._layers):
                # Not `eval()`: some layers of timm hold a dropout, which keeps its mode.
                layer.training = False
                layer.running_mean = self.get_buffer(f"mean_{number}")
                layer.running_var = self.get_buffer(f"var_{number}")
            yield
        finally:
            for layer, training, mean, var in own:
                layer.training, layer.running_mean, layer.running_var = training, mean, var


def _normalization(network: nn.Module) -> str:
    """Return the other layers by which a network normalizes, in words."""
    found = [
        kind.__name__
        for kind in (nn.LayerNorm, nn.GroupNorm)
        if any(isinstance(part, kind) for part in network.modules())
    ]
    return " and ".join(found) or "no other normalization either"
