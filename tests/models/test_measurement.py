import json
import math

from models.measurement import Control, Measurement


def test_a_measurement_survives_json_with_its_missing_and_nan_fields():
    kept = Measurement(0.25, 0.2, 0.3, baseline=0.24, chance=1 / 6, majority=0.2, votes=False)
    assert Measurement.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept
    crashed = Measurement.from_dict(json.loads(json.dumps(Measurement.not_measured(baseline=0.3).to_dict())))
    assert math.isnan(crashed.value)
    assert crashed.baseline == 0.3
    assert crashed.majority is None


def test_what_was_not_measured_is_nan_and_not_measured():
    crashed = Measurement.not_measured(chance=0.5)
    assert not crashed.measured
    assert math.isnan(crashed.low)
    assert math.isnan(crashed.high)
    assert Measurement(0.5, 0.4, 0.6).measured


def test_a_control_survives_json():
    kept = Control("strong_identity", "bit_plane", "least_significant_bit", 0.98, 0.97, 0.99, ">= 0.79", True)
    assert Control.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept
