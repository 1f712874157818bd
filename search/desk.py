"""The desk: an actor where the driver leaves orders and each trainer waits for its own.

Orders pass it as bytes: reading them takes torch, whose import takes seconds and memory.
"""

import asyncio
from collections import defaultdict
from typing import Any, final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@final
class Desk:
    """Queues of orders, one a trainer; an actor of Ray, whose calls wait without blocking each other."""

    def __init__(self) -> None:
        self._orders: dict[str, asyncio.Queue[bytes]] = defaultdict(asyncio.Queue)

    async def put(self, trainer: str, orders: bytes) -> None:
        """Leave orders for a trainer."""
        await self._orders[trainer].put(orders)

    async def take(self, trainer: str) -> bytes:
        """The next orders of a trainer, as soon as there are any."""
        return await self._orders[trainer].get()


def new_desk() -> Any:
    """Handle of a desk on the driver's own node, which takes none of the cores that trainers count on.

    One that dies comes back empty; trainers wait there again, and the director misses the orders that were lost.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    lasting = {"max_restarts": -1, "max_task_retries": -1}
    return ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here, **lasting).remote()
