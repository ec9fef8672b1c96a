"""Train and evaluate from Python, as `rampart train` and `rampart evaluate` do.

python examples/by_feature/train_from_python.py FOLDER
"""

import sys
import warnings

import rampart

# Two epochs show that it works; they are too few for good numbers, so ignore the warnings.
warnings.simplefilter("ignore", rampart.RampartWarning)

run = rampart.finetune(
    "rampart_glyphnet",
    "digit-pairs",
    eps="20/255",
    schedule="linear-warmup",
    attack=rampart.Apgd(steps=2),
    epochs=2,
    evaluation={"attack": rampart.Apgd(steps=2)},
    output=sys.argv[1],
)
print(run)
print(run.history[-1]["val_clean"], run.evaluation)

result = rampart.evaluate(run.model, "digit-pairs", "8/255", rampart.Apgd(steps=2), limit=50)
print(result.expected())
