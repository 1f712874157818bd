"""One thread for work in small pieces: they take longer to hand out than to do, and on a busy machine far longer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work in this thread alone, and as before afterwards; sums then end in the same bit everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
