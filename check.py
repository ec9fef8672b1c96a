"""Run every check of the project, the fastest first: `python check.py`.

Arguments are passed to pytest: `python check.py -m slow` runs the slow tests instead.

`python check.py --processors` runs the tests whose results depend on rounding, with the kernels
that other processors choose. Paths after it replace `ROUNDED`. It belongs to the slow tests.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest", "--numprocesses=auto", "--dist=loadfile", *sys.argv[1:]),
)

#: Tests whose results depend on how sums and products are rounded.
ROUNDED = ("tests/evaluation", "tests/attacks", "tests/recipes")
#: Settings that choose the kernels of torch, oneDNN (convolutions) and MKL (products). A processor
#: that lacks an instruction set uses the next smaller one, so there some settings are equal.
PROCESSORS = {
    "as it is": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
    },
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_CBWR": "AVX512"},
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
    },
    "mixed": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_CBWR": "SSE4_2",
    },
}
THREADS = (1, 2)


def check() -> int:
    """Run all checks; return the first exit status that is not 0."""
    for name, *arguments in CHECKS:
        print(f"== {' '.join((name, *arguments))}", flush=True)
        status = subprocess.call([sys.executable, "-m", name, *arguments])
        if status:
            return status
    return 0


def check_processors(arguments: list[str]) -> int:
    """Run the tests under each setting; print a line each, and the failures in full."""
    worst = 0
    for name, kernels in PROCESSORS.items():
        for threads in THREADS:
            workers = max(1, (os.cpu_count() or 1) // threads)
            command = [sys.executable, "-m", "pytest", "-q", f"--numprocesses={workers}"]
            command += ["--dist=loadfile", *(arguments or ROUNDED)]
            environment = os.environ | kernels | {"OMP_NUM_THREADS": str(threads)}
            with tempfile.TemporaryDirectory() as folder:
                output = Path(folder) / "output"
                with output.open("w") as file:
                    status = subprocess.call(command, env=environment, stdout=file, stderr=file)
                text = output.read_text(encoding="utf-8")
            settings = " ".join(f"{key}={value}" for key, value in kernels.items()) or "(none)"
            print(f"== {name}, {threads} thread{'s' * (threads > 1)}: {settings}")
            print(text if status else text.strip().splitlines()[-1], flush=True)
            worst = worst or status
    return worst


if __name__ == "__main__":
    if "--processors" in sys.argv[1:]:
        sys.exit(check_processors([one for one in sys.argv[1:] if one != "--processors"]))
    sys.exit(check())
