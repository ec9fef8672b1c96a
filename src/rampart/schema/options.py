"""The options of the attacks and objectives that come with Rampart.

An answer to an unknown key needs them, and the components themselves import torch, which takes
seconds. `tests/schema/test_options.py` compares them with the code.
"""

from collections.abc import Mapping

#: By the kind of component. Each takes a single value, except for `SEVERAL`.
OPTIONS: Mapping[str, frozenset[str]] = {
    "attack": frozenset(
        {
            *("alpha_max", "beta", "draws", "eta", "iterate", "loss", "mode", "noise", "norm"),
            *("p_init", "queries", "restarts", "start", "step_rule", "step_size", "steps"),
            "targets",
        }
    ),
    "objective": frozenset(
        {
            *("base", "beta", "defenses", "flow", "guide", "guide_model", "inner"),
            *("label_smoothing", "refreshes", "scale", "trust", "weight"),
        }
    ),
}
#: The options that take a list.
SEVERAL: Mapping[str, frozenset[str]] = {
    "attack": frozenset(),
    "objective": frozenset({"defenses"}),
}
