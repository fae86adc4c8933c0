"""Regression: gradient and posterior against what they must be."""

from __future__ import annotations

import numpy as np
import pytest

from study import gaussian_process
from study.gaussian_process import Array, fit, squared_distances


def example(count: int = 40) -> tuple[Array, Array, np.ndarray]:
    points = np.random.default_rng(0).random((count, 4))
    points[:, 3] = np.floor(points[:, 3] * 3) / 2
    values = (
        np.sin(6 * points[:, 0])
        + points[:, 1] * points[:, 2]
        + np.array([0.0, 2.0, 0.5])[(2 * points[:, 3]).astype(int)]
    )
    return points, (values - values.mean()) / values.std(), np.array([False, False, False, True])


def test_the_gradient_of_the_posterior_is_that_of_its_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    caught = {}
    minimize = gaussian_process.minimize

    def catch(loss, start, **settings):  # type: ignore[no-untyped-def]
        caught["loss"] = loss
        return minimize(loss, start, **settings)

    monkeypatch.setattr(gaussian_process, "minimize", catch)
    fit(*example())
    at = 0.3 * np.random.default_rng(1).standard_normal(10)
    steps = 1e-5 * np.eye(10)
    differences = [(caught["loss"](at + step)[0] - caught["loss"](at - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(caught["loss"](at)[1], differences, rtol=1e-5, atol=1e-6)


def test_a_smooth_function_is_predicted_where_it_was_not_measured() -> None:
    points, values, nominal = example(80)
    process = fit(points[:60], values[:60], nominal)
    expected, deviation = process.predict(points[60:])
    assert np.sqrt(np.mean((expected - values[60:]) ** 2)) < 0.1
    assert np.mean(np.abs(expected - values[60:]) < 3 * deviation + 0.02) > 0.9
    assert np.abs(process.predict(points[:60])[0] - values[:60]).max() < 0.05


def test_the_deviation_is_small_at_known_points_and_grows_with_distance() -> None:
    process = fit(*example())
    near, far = (
        process.predict(process.points[:1])[1],
        process.predict(process.points[:1] + np.array([30.0, 30.0, 30.0, 0.0]))[1],
    )
    assert near[0] < 0.1 < far[0] <= 1.0


def test_believing_keeps_the_mean_and_removes_the_doubt() -> None:
    process = fit(*example())
    new = np.array([[0.05, 0.95, 0.5, 1.0], [0.9, 0.1, 0.1, 0.5]])
    before, after = process.predict(new), process.believing(new).predict(new)
    np.testing.assert_allclose(before[0], after[0], atol=1e-3)
    assert (after[1] < before[1]).all()


def test_values_without_order_are_all_equally_far_apart() -> None:
    left, right = np.array([[0.0, 0.0]]), np.array([[0.5, 0.5], [1.0, 1.0], [0.0, 0.0]])
    distances = squared_distances(left, right, np.array([False, True]))
    np.testing.assert_allclose(distances[:, 0], [[0.25, 1.0, 0.0], [1.0, 1.0, 0.0]])
