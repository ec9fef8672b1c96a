"""What `rampart train` and `rampart evaluate` do, from Python.

python examples/by_feature/train_from_python.py FOLDER
"""

import sys
from pathlib import Path

from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate import evaluate_run
from rampart.recipes.run import train_run
from rampart.records.summary import summary

config = load_config(
    None,
    [
        "model=rampart_glyphnet",
        "data=digit-pairs",
        "threat.eps=20/255",
        "schedule=linear-warmup",
        "training.epochs=2",
        "attack.steps=2",
        "evaluation.attack.steps=2",
    ],
)
run = train_run(config, Path(sys.argv[1]))
where, record = evaluate_run(run.path)
print(f"{where}: expected robustness {summary(record)['expected']:.2f}")
