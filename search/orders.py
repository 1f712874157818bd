"""What the driver and its trainers tell each other."""

from dataclasses import dataclass, field

from search.study.configuration import Configuration, Key
from search.trial import Report


@dataclass(frozen=True)
class Assignment:
    """A trial to train: from its beginning or, if another trainer had it before, from its checkpoint."""

    number: int
    configuration: Configuration
    seed: int
    begun: bool = False


@dataclass(frozen=True)
class Orders:
    """Trials that a trainer shall begin, and numbers of those that it shall stop."""

    begin: list[Assignment] = field(default_factory=list)
    stop: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class News:
    """What is new of a trial: its report and the facts of its architecture, or the error that ended it."""

    number: int
    report: Report
    facts: dict[str, float]
    error: str = ""


@dataclass(frozen=True)
class Message:
    """What a trainer says.

    Args:
        trainer: a name of its own, which a trainer that replaces it doesn't have.
        news: of its trials, in order.
        numbers: of the trials that it has, or has got orders to begin.
        kinds: of these.
        room: trials that it could take in besides them.
        networks: in training now.
        busy: share of its time that it has spent training and judging lately.
        device: that it trains on, "cpu" or "gpu".
        seconds: that a step has taken lately for each network, by kind.
        node: address of the node that it runs on.
        trouble: what goes wrong there that a user should know of, if anything.
    """

    trainer: str
    news: list[News]
    numbers: frozenset[int]
    kinds: frozenset[Key]
    room: int
    networks: int
    busy: float
    device: str = "cpu"
    seconds: dict[Key, float] = field(default_factory=dict)
    node: str = ""
    trouble: str = ""
