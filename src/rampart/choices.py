"""Values of settings that the schema and the code that acts on them share."""

from typing import Literal

#: How an evaluation finds critical strengths; see `rampart.evaluation.critical`.
EvaluationMode = Literal["fast", "exact"]
#: The target class of an evaluation's attack; see `rampart.evaluation.criterion`.
Target = Literal["none", "likely", "least-likely"]
#: How the classes of a model and of the data are compared; see
#: `rampart.models.external.class_names`.
Match = Literal["strict", "by_name", "by_position"]
