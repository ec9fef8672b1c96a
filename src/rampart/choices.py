"""Values of settings that the schema and the code that acts on them share."""

from typing import Literal

#: How an evaluation finds critical strengths; see `rampart.evaluation.critical`.
EvaluationMode = Literal["fast", "exact"]
#: The target class of an evaluation's attack; see `rampart.evaluation.criterion`.
Target = Literal["none", "likely", "least-likely"]
#: How the classes of a model and of the data are compared; see
#: `rampart.models.external.class_names`.
Match = Literal["strict", "by_name", "by_position"]
#: How a picture becomes a square: the shorter side is resized and the center cropped, or both sides
#: are resized, which changes the aspect ratio.
Resize = Literal["crop", "squash"]
#: How the learning rate goes on after its warm-up; see `rampart.training.optimizers`.
LrSchedule = Literal["cosine", "constant", "multistep", "plateau"]
#: The optimizer, by timm's word for this option; see `rampart.training.optimizers`.
Opt = Literal["adamw", "sgd"]
#: Where the validation split comes from: the one that the data define, if any, or always a draw.
Validation = Literal["official", "drawn"]
#: The images of an epoch: each once, or equally many of each class; see `rampart.data.balance`.
Sampler = Literal["shuffle", "balanced"]
#: The weight of each class in the training loss; see `rampart.data.balance`.
ClassWeights = Literal["none", "balanced"]
#: Whether training labels are only read, or checked first; see `rampart.recipes.check_labels`.
LabelUse = Literal["given", "check"]
#: Whether an exported program normalizes its images itself; see `rampart.recipes.export`.
NormalizationPlace = Literal["inside", "outside"]
