"""Names of the units that the readers give to values."""

from __future__ import annotations

#: Scalar values whose file does not say what they are.
ARBITRARY_UNITS = "arbitrary units"
#: Standardised uptake value by body weight, g/ml.
SUV_UNITS = "SUVbw"
#: CT numbers.
HOUNSFIELD_UNITS = "HU"
#: Detected events, not calibrated.
COUNT_UNITS = "counts"
#: Activity concentration.
ACTIVITY_UNITS = "Bq/mL"
