import subprocess
import sys

import torch
import torch.nn.functional as F

from rampart import deferred


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_threads_may_begin_with_different_parts():
    code = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from rampart import deferred\n"
        "parts = [(deferred.F, 'relu'), (deferred.nn, 'Linear'), (deferred.torch, 'ones')] * 2\n"
        "assert 'torch' not in sys.modules\n"
        "with ThreadPoolExecutor(6) as pool:\n"
        "    found = list(pool.map(lambda part: getattr(*part), parts))\n"
        "assert len(found) == 6 and all(map(callable, found))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
