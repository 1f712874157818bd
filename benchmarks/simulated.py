"""A simulated clock: how many trainers one driver serves, given what a message costs it.

Each trainer has some places, where trials train for `training` seconds between judgements. It speaks when there is
news, at least every `heartbeat` seconds, and at most once in `pause` seconds after its last message was taken in; the
driver takes one message at a time. A place whose trial has ended is idle until the driver has heard of it.
"""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Load:
    """What trainers do: places of each, seconds between a trial's judgements, and judgements of a trial."""

    places: int = 16
    training: float = 10.0
    judgements: int = 3
    heartbeat: float = 1.0
    pause: float = 0.1


@dataclass(frozen=True)
class Served:
    """Share of time that the driver was busy, seconds that a message waited, share of time that places trained."""

    busy: float
    wait: float
    trained: float


def simulated(trainers: int, message: float, seconds: float, load: Load) -> Served:
    """Serve `trainers` for some `seconds`, at `message` seconds a message."""
    generator = np.random.default_rng(0)
    # When each place has its next news; the first ones are anywhere, so that trainers aren't in step.
    ready = generator.random((trainers, load.places)) * load.training
    judged = generator.integers(0, load.judgements, (trainers, load.places))
    queue = [(float(at), number) for number, at in enumerate(generator.random(trainers) * load.heartbeat)]
    heapq.heapify(queue)
    clock, busy, waits, idle = 0.0, 0.0, [], 0.0
    while queue[0][0] < seconds:
        said, number = heapq.heappop(queue)
        clock = max(clock, said) + message
        busy += message
        waits.append(clock - said)
        for place in range(load.places):
            # A trial that goes on doesn't wait for the driver; only a place without one does.
            while ready[number, place] <= said:
                judged[number, place] += 1
                over = judged[number, place] % load.judgements == 0
                idle += clock - ready[number, place] if over else 0.0
                ready[number, place] = (clock if over else ready[number, place]) + load.training
        soonest = min(float(ready[number].min()), clock + load.heartbeat)
        heapq.heappush(queue, (max(clock + load.pause, soonest), number))
    total = trainers * load.places * max(clock, seconds)
    return Served(min(1.0, busy / max(clock, seconds)), float(np.mean(waits)), 1.0 - idle / total)
