"""The script's expected robustness is that of the library, to rounding."""

import json
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest

from rampart.metrics.distributions import Beta, PointMass, Uniform
from rampart.metrics.expectation import contributions
from rampart.reports.page.content import expectation_data
from report_folders import record

EPS, LOW, HIGH = 4 / 255, 0.7 / 255, 2.6 / 255
LAWS = {
    "whole": ({"name": "uniform", "low": 0, "high": EPS}, Uniform(0, EPS)),
    "part": (
        {"name": "uniform", "low": 0.7 / 255, "high": 2.6 / 255},
        Uniform(0.7 / 255, 2.6 / 255),
    ),
    "weak": ({"name": "beta", "a": 2, "b": 5, "high": EPS}, Beta(2, 5, EPS)),
    "strong": ({"name": "beta", "a": 5, "b": 2, "high": 3 / 255}, Beta(5, 2, 3 / 255)),
    "edges": ({"name": "beta", "a": 0.1, "b": 0.3, "high": EPS}, Beta(0.1, 0.3, EPS)),
    "sharp": ({"name": "beta", "a": 100, "b": 60, "high": EPS}, Beta(100, 60, EPS)),
    "none": ({"name": "point", "eps": 0}, PointMass(0)),
    "between": ({"name": "point", "eps": 1.5 / 255}, PointMass(1.5 / 255)),
    "full": ({"name": "point", "eps": EPS}, PointMass(EPS)),
}
RECORDS = {
    "fixed": record(),
    "few": record(n=3),
    "until": record(until={"precision": 0.1}),
    "stuck": record(stuck=True),
}


@pytest.fixture(scope="module")
def computed():
    """What the script computes for every record and distribution, in one process."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the tests in a browser compare the two as well")
    data = {name: expectation_data(one) for name, one in RECORDS.items()}
    laws = {name: law for name, (law, _) in LAWS.items()}
    script = files("rampart").joinpath("assets/page/expectation.js").read_text(encoding="utf-8")
    script += f"""
    const data = {json.dumps(data)}, laws = {json.dumps(laws)}, found = {{}};
    for (const r in data) for (const l in laws)
      found[r + "/" + l] = expectation.expected(data[r], laws[l]);
    console.log(JSON.stringify(found));
    """
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", RECORDS)
def test_value_and_interval_are_those_of_the_library(computed, name, law):
    one = RECORDS[name]
    values = contributions(one.critical, one.grid, LAWS[law][1])
    ends, found = one.expected_interval(values), computed[f"{name}/{law}"]
    expected = [float(np.mean(values)), ends.low, ends.high]
    assert [found["value"], found["low"], found["high"]] == pytest.approx(expected, abs=1e-9)
