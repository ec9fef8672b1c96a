"""Step 1 of a refinement: the criticality of every layer on fixed adversarial examples."""

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from rampart.attacks.frozen import Model
from rampart.attacks.pgd import with_steps
from rampart.data.batches import ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import subset
from rampart.evaluation.criticality import Criticality, Examples, Score, module_criticality
from rampart.evaluation.inference import QueriedModel
from rampart.models.normalized import NormalizedModel
from rampart.progress.work import working
from rampart.recipes.computing import decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.refining.settings import Refinement
from rampart.runtime import Noise, derive

#: Steps of the attack that makes the examples: the published ones are those of PGD with 10.
ATTACK_STEPS = 10


def make_examples(
    model: NormalizedModel, validation: Split, config: RunConfig, images: int
) -> tuple[Examples, int]:
    """Return adversarial examples of validation images at eps_g, and the passes that they took.

    The attack is that of the training, with the published number of steps.

    Args:
        model: in eval mode, on its device.
        validation: the images to draw from, class by class.
        config: of the run.
        images: how many to draw, at most.
    """
    count = min(images, len(validation))
    seed = derive(config.seed, "refine")
    drawn = subset(validation, limit=count, stratified=True, seed=seed)
    workers = decoding_workers(config)
    batches = ordered_batches(drawn, config.evaluation.batch_size, workers=workers)
    attack, queried = with_steps(config.components.attack, ATTACK_STEPS), QueriedModel(model)
    made, device = [], model.mean.device
    with working("adversarial examples", count) as update:
        for batch in batches:
            batch = batch.to(device)
            noise = Noise.of(config.seed, batch.indices, "refine")
            eps = config.threat.eps
            points = attack(queried, batch.pixels(), batch.labels, eps, noise)
            made.append((points, batch.labels))
            update(sum(len(labels) for _, labels in made))
    return made, sum(queried.passes)


def measure_layers(
    model: Model,
    layers: Mapping[str, nn.Parameter],
    make: Callable[[], tuple[Examples, Score]],
    settings: Refinement,
    known: Sequence[Criticality],
    on_found: Callable[[list[Criticality]], None],
) -> list[Criticality]:
    """Return the criticality of every layer, in their order.

    Args:
        model: images to logits, in eval mode.
        layers: the weights by the name of their layer.
        make: makes the examples and measures the model on them, if a layer is left to measure.
        settings: of the refinement.
        known: those that were measured before the refinement was interrupted.
        on_found: called with all that are known after each layer.
    """
    found, left = list(known), list(layers)[len(known) :]
    if not left:
        return found
    examples, trained = make()
    with working("criticality", len(layers), "layer", done=len(known)) as update:
        for number, name in enumerate(left, start=len(known) + 1):
            one = module_criticality(
                model,
                name,
                layers[name],
                examples,
                radius=settings.radius,
                steps=settings.steps,
                trained=trained,
            )
            found.append(one)
            on_found(found)
            update(number)
    return found


def least_critical(found: Sequence[Criticality]) -> Criticality:
    """Return the layer with the lowest criticality; of equal ones the first."""
    return min(found, key=lambda one: one.increase)
