"""CPU seconds of each adversary of a battery, without a word about time in the battery itself.

CPU seconds of one thread are what the work costs; on a busy machine the clock says what the neighbours cost.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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

    # each module that asks adversaries has imported the function under its own name
    modules = [module for name, module in sys.modules.items() if name.startswith("models.checks.")]
    with ExitStack() as stack:
        for module in modules:
            if getattr(module, "attempt", None) is attempt:
                stack.enter_context(patch.object(module, "attempt", timing))
        yield parts
