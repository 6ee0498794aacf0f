"""How bright a colour is."""

from __future__ import annotations

#: Luma of red, green and blue display values (ITU-R BT.601).
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
