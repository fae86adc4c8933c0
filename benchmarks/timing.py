"""CPU seconds of each adversary of a battery, without a word about time in the battery itself.

CPU seconds of one thread are what the work costs; on a busy machine the clock says what the neighbours cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from models.checks import judging

Seconds = dict[str, float]


@contextmanager
def timed() -> Iterator[Seconds]:
    """Yield a mapping that fills with the CPU seconds of every adversary that is asked something inside the block."""
    parts: Seconds = {}
    attempt = judging.attempt

    def timing(what: str, ask: Callable[[], Any], otherwise: Any) -> Any:
        start = time.process_time()
        try:
            return attempt(what, ask, otherwise)
        finally:
            parts[what] = round(parts.get(what, 0.0) + time.process_time() - start, 2)

    with patch.object(judging, "attempt", timing):
        yield parts
