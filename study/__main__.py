"""``python -m study``."""

import os
import sys

# Before numpy is imported: the driver's samplers solve small systems, on which threads only wait for the trials' own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from study.cli import main

if __name__ == "__main__":
    sys.exit(main())
