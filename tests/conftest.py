"""One thread a test process: on few cores, threads that wait for each other cost more than they gain."""

import torch

from models.runtime import keep_freed_memory

torch.set_num_threads(1)
keep_freed_memory()
