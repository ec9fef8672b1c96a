"""Every check of the project, in the order in which they fail fastest: `python check.py`.

Arguments are handed to pytest: `python check.py -m slow` runs the slow tier instead.
"""

import subprocess
import sys

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", "--numprocesses=auto", "--dist=loadfile", *sys.argv[1:]),
)

for name, *arguments in CHECKS:
    print(f"== {' '.join((name, *arguments))}", flush=True)
    status = subprocess.call([sys.executable, "-m", name, *arguments])
    if status:
        sys.exit(status)
