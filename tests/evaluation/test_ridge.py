import numpy as np
import pytest
import torch

from rampart.evaluation.ridge import _MULTIPLES, ridge_head


def task(n, f, num_classes=3):
    generator = torch.Generator().manual_seed(n)
    labels = torch.arange(n) % num_classes
    centers = torch.randn(num_classes, f, generator=generator, dtype=torch.float64)
    points = centers[labels] + torch.randn(n, f, generator=generator, dtype=torch.float64)
    return points * torch.logspace(-1, 1, f) + 3, labels


def normal_equations(points, targets, strength):
    """Weight and bias from the normal equations, with an unpenalized bias, without centering."""
    n, f = points.shape
    design = np.hstack([points, np.ones((n, 1))])
    penalty = np.diag([strength] * f + [0.0])
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ targets)
    return solution[:-1].T, solution[-1]


@pytest.mark.parametrize(("n", "f"), [(30, 5), (24, 40)])
def test_the_penalty_minimizes_the_leave_one_out_error(n, f):
    features, labels = task(n, f)
    targets = np.eye(3)[labels]
    mean, std = features.numpy().mean(0), features.numpy().std(0)
    points = (features.numpy() - mean) / std

    def left_out(strength):
        errors = []
        for i in range(n):
            rest = np.arange(n) != i
            weight, bias = normal_equations(points[rest], targets[rest], strength)
            errors.append(((weight @ points[i] + bias - targets[i]) ** 2).mean())
        return np.mean(errors)

    strengths = [multiple * (points**2).sum() / n for multiple in _MULTIPLES]
    best = min(strengths, key=left_out)
    assert strengths[0] < best < strengths[-1], "the best one lies inside the grid"
    weight, bias = normal_equations(points, targets, best)
    found_weight, found_bias = ridge_head(features, labels, 3)
    np.testing.assert_allclose(found_weight, weight / std, rtol=1e-7)
    np.testing.assert_allclose(found_bias, bias - weight @ (mean / std), rtol=1e-7)


def test_units_of_the_features_do_not_change_the_prediction():
    features, labels = task(30, 5)
    units = torch.tensor([1e-3, 1.0, 7.0, 1e4, 1.0], dtype=torch.float64)
    weight, bias = ridge_head(features, labels, 3)
    other, same_bias = ridge_head(features * units, labels, 3)
    np.testing.assert_allclose(other * units, weight, rtol=1e-6)
    np.testing.assert_allclose(same_bias, bias, rtol=1e-6)


def test_constant_features_have_no_weight():
    features, labels = task(30, 5)
    features[:, 2] = 0.3
    weight, _ = ridge_head(features, labels, 3)
    assert not weight[:, 2].any()
    assert weight[:, 0].any()
    weight, bias = ridge_head(torch.ones(4, 2), torch.tensor([0, 0, 0, 1]), 3)
    assert not weight.any()
    assert bias.tolist() == [0.75, 0.25, 0]
