"""One thread a test process: on few cores, threads that wait for each other cost more than they gain."""

from models.runtime import prepare_process

prepare_process(threads=1)
