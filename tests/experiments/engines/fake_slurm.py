"""The commands of a cluster with one machine: jobs start when they are submitted."""

import os
import sys

#: sbatch keeps the script and starts every element of the array in the background.
SBATCH = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
place = Path(__file__).parent
number = len(list(place.glob("script-*"))) + 7
text = Path(sys.argv[1]).read_text()
(place / f"script-{{number}}").write_text(text)
if (place / "refuse").exists():
    sys.exit("sbatch: error: invalid partition specified: gpuu")
array = re.search(r"--array=0-(\\d+)", text)
for index in range(int(array[1]) + 1) if array else [None]:
    own = f"{{number}}" if index is None else f"{{number}}_{{index}}"
    more = {{}} if index is None else {{
        "SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(index)
    }}
    command = f"bash {{place}}/script-{{number}}; rm {{place}}/queued-{{own}}"
    (place / f"queued-{{own}}").touch()
    if not (place / "hold").exists():
        log = (place / "jobs.log").open("a")
        subprocess.Popen(
            ["bash", "-c", command], start_new_session=True, stdout=log, stderr=log,
            env={{**os.environ, "SLURM_JOB_ID": str(number), **more}},
        )
print("Submitted batch job", number)
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
    if [[ $1 == --unbuffered ]]; then shift; else shift 2; fi
done
exec "$@"
"""
SQUEUE = """#!/bin/bash
cd "$(dirname "$0")"
ls | sed -n 's/^queued-//p'
"""
SCANCEL = """#!/bin/bash
echo "$1" >> "$(dirname "$0")/cancelled"
rm -f "$(dirname "$0")/queued-$1"
"""


def install(folder, monkeypatch):
    """Put the commands of SLURM into a folder, and this on the path."""
    folder.mkdir()
    sbatch = SBATCH.format(python=sys.executable)
    texts = {"sbatch": sbatch, "srun": SRUN, "squeue": SQUEUE, "scancel": SCANCEL}
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder
