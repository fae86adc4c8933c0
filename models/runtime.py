"""The machine under a training: memory that is kept, reduced precision where there is hardware for it, its faults."""

import ctypes
import sys
from contextlib import AbstractContextManager

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # <malloc.h>


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors for the next ones.

    By default it maps each large tensor anew and hands it back when freed, so that every operation pays for fresh
    pages; on a virtual machine this made leaky ReLU on 8 MB four times slower. Only changes speed; does nothing where
    the C library is another.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 64 * 2**20)


def reduced_precision(device: torch.device, *, enabled: bool = True) -> AbstractContextManager[object]:
    """Return a context in which convolutions and products run in bfloat16 where ``device`` has it in hardware.

    Elsewhere, or if not ``enabled``, the context changes nothing.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled and native_bfloat16(device))


def training_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return :func:`reduced_precision` for trainings that do not judge anything.

    Vector instructions for dot products of bfloat16 (AVX-512 BF16) are enough here: a processor that has them, but no
    matrix unit, takes little more than half of the time for a convolution.
    """
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    if device.type == "cpu" and probe and probe():
        return torch.autocast(device.type, torch.bfloat16)
    return reduced_precision(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out, on the device or in the process."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # The allocator of ordinary memory, cuBLAS and the CUDA runtime each say it in a RuntimeError of their own.
    signs = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def is_device_fault(error: BaseException) -> bool:
    """Say whether an error left the device unusable for this process, whatever is asked of it next."""
    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def native_bfloat16(device: torch.device) -> bool:
    """Say whether ``device`` multiplies bfloat16 matrices in hardware; where it must be emulated it is slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)  # torch has no public name for it
    return bool(probe and probe())
