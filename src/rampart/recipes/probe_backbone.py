"""The linear probe of the model that a configuration starts from; writes no files."""

from torch import nn

from rampart.compiling import eagerly
from rampart.data.splits import Splits
from rampart.errors import InvalidArgument
from rampart.evaluation.linear_probe import LinearProbeResult, measure_linear_probe
from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.computing import decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.initial_model import make_model
from rampart.recipes.splits import make_splits
from rampart.strengths import warn_of_slip


def linear_probe_config(config: RunConfig) -> LinearProbeResult:
    """Return how robust the configured backbone is on the configured data, before training.

    The head is fitted to training images and attacked on validation images; test images are not
    used.

    Raises:
        InvalidArgument: the target strength is 0.
        RampartError: the configuration, the data or the model is invalid.
    """
    if config.threat.eps == 0:
        raise InvalidArgument("threat.eps", 0, "a strength above 0 for the linear probe")
    device = make_accelerator(config).device
    splits = make_splits(config)
    warn_of_slip(config.threat.eps, config.threat.norm, splits.image_shape, "threat.eps")
    return linear_probe_model(make_model(config, splits).to(device), splits, config)


def linear_probe_model(model: nn.Module, splits: Splits, config: RunConfig) -> LinearProbeResult:
    """Return how robust a model with a fresh head is, on these data and as configured."""
    with eagerly(model):
        return measure_linear_probe(
            model,
            splits.train,
            splits.validation,
            config.threat.eps,
            config.threat.norm,
            seed=config.seed,
            batch_size=config.evaluation.batch_size,
            workers=decoding_workers(config),
        )
