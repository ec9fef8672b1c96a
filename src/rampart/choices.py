"""Words that a setting chooses among, known to the schema and to what acts on them."""

from typing import Literal

#: How an evaluation finds critical strengths; see `rampart.evaluation.critical`.
EvaluationMode = Literal["fast", "exact"]
#: The class that an evaluation's attack is to reach; see `rampart.evaluation.criterion`.
Target = Literal["none", "likely", "least-likely"]
#: How the classes of a model and of the data are compared; see
#: `rampart.models.external.class_names`.
Match = Literal["strict", "by_name", "by_position"]
