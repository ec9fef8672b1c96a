import subprocess
import sys

import torch
import torch.nn.functional as F

from rampart import deferred


def require_success(code):
    """Run code in a new process, which has not imported torch."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_names_are_those_of_torch():
    assert deferred.torch.Tensor is torch.Tensor
    assert deferred.nn.Linear is torch.nn.Linear
    assert deferred.F.relu is F.relu


def test_a_configuration_is_read_without_torch_and_torch_then_comes_whole():
    code = (
        "import sys, rampart\n"
        "settings = {'model': 'resnet18', 'data': 'digit-pairs', 'objective': 'twins',\n"
        "            'attack': 'fgsm', 'strategies': ['lora'], 'callbacks': ['awp']}\n"
        "rampart.parse_config(settings)\n"
        "assert 'torch' not in sys.modules\n"
        "from rampart.threat import distance\n"
        "from rampart import deferred, rows\n"
        "one = deferred.torch.ones(1, 1, 2, 2)\n"
        "assert distance(one, 0 * one, 'linf').tolist() == [1]\n"
        "import torch\n"
        "assert deferred.torch is rows.torch is torch\n"
    )
    require_success(code)


def test_threads_may_begin_with_different_parts():
    require_success(
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from threading import Barrier\n"
        "from rampart import guarded, losses\n"
        "both = Barrier(2)\n"
        "def read(part):\n"
        "    both.wait()\n"
        "    return getattr(*part)\n"
        "assert 'torch' not in sys.modules\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    parts = [(losses.F, 'cross_entropy'), (guarded.nn, 'Module')]\n"
        "    assert all(map(callable, pool.map(read, parts)))\n"
    )
