"""The journal: every event comes back as it was, whatever moment the writer was killed at."""

import math
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from search.checkpoints import CheckpointStorage
from search.errors import GenseekError
from search.events.events import Ended, Event, Report, Reported, Started, TrainerHeartbeat
from search.events.journal import Journal, begun, without_interruptions
from search.study.configuration import Configuration, Training

CONFIGURATION = Configuration(
    model="vae",
    objective="elbo",
    model_arguments={"latent": 3},
    objective_arguments={"beta": 0.1 + 0.2},
    training=Training(learning_rate=1 / 3),
)
EVENTS: list[Event] = [
    Started(trial=0, configuration=CONFIGURATION, seed=2**60 + 1, time=1e9 + 0.125),
    Reported(
        trial=0,
        report=Report(
            epoch=3, loss=0.5, validation_loss=math.inf, misfit=1 / 7, scores={"ad": 1e-9}, spread={"misfit": 0.1}
        ),
        architecture={"parameters": 7.0},
        time=1.5,
    ),
    Ended(trial=0, outcome="finished", time=2.5, checkpoint=CheckpointStorage("/kept/00000")),
    Started(trial=1, configuration=CONFIGURATION, seed=5, time=3.0),
    Ended(trial=1, outcome="failed", time=3.5, error='ValueError: "no"\nand more \u2028 of it'),
]


def filled(path: Path) -> str:
    with Journal(path) as journal:
        journal.begin({"study": 1})
        for event in EVENTS:
            journal(event)
    return path.read_text(encoding="utf-8")


def test_events_come_back_as_they_were(tmp_path: Path) -> None:
    filled(tmp_path / "a" / "journal.jsonl")
    with Journal(tmp_path / "a" / "journal.jsonl") as journal:
        assert journal.read() == ({"study": 1}, EVENTS)


def test_what_is_no_number_comes_back_too(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal(Reported(trial=0, report=Report(), architecture={}, time=0.0))
    with Journal(tmp_path / "j") as journal:
        (event,) = journal.read()[1]
    assert isinstance(event, Reported)
    assert str(asdict(event.report)) == str(asdict(Report()))  # NaN equals nothing


def test_a_line_cut_short_was_never_written(tmp_path: Path) -> None:
    text = filled(tmp_path / "whole")
    ends = [place for place, letter in enumerate(text) if letter == "\n"]
    for size in range(len(text)):
        path = tmp_path / "cut"
        path.write_text(text[:size], encoding="utf-8")
        whole = sum(end < size for end in ends)
        with Journal(path) as journal:
            assert journal.read() == ({"study": 1} if whole else {}, EVENTS[: max(0, whole - 1)])
            journal(EVENTS[-1])
        with Journal(path) as journal:
            assert journal.read()[1] == [*EVENTS[: max(0, whole - 1)], EVENTS[-1]]


TAILS = [
    b"\0" * 4096,
    b"\0" * 4096 + b"\n",
    b'{"event": "Ended", "tri',
    b"\xff\xfe\n",
    b'{"event": "Ended"}\n',
    b"7\n[]\nnull\n\n",
]


@pytest.mark.parametrize("tail", [*TAILS, b"".join(TAILS)])
def test_whatever_a_power_cut_leaves_at_the_end_was_never_written(tail: bytes, tmp_path: Path) -> None:
    filled(tmp_path / "j")
    with (tmp_path / "j").open("ab") as file:
        file.write(tail)
    with Journal(tmp_path / "j") as journal:
        assert journal.read() == ({"study": 1}, EVENTS)
        journal(EVENTS[-1])
    with Journal(tmp_path / "j") as journal:
        assert journal.read() == ({"study": 1}, [*EVENTS, EVENTS[-1]])


@pytest.mark.parametrize("tail", TAILS)
def test_a_damaged_line_among_whole_ones_is_told_with_a_cure(tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "it's mine" / "journal.jsonl"
    filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], tail, *lines[3:]]))
    if not tail.endswith(b"\n"):
        lines = [*lines[:3], *lines[4:]]  # it has swallowed the line behind it
    with pytest.raises(GenseekError) as told_of:
        Journal(path)
    said, _, cure = str(told_of.value).partition("; to go on from the lines before it: ")
    assert said == f"{path}: line 4 is damaged"
    subprocess.run(["sh", "-c", cure], check=True)
    with Journal(path) as journal:
        assert journal.read() == ({"study": 1}, EVENTS[:2])


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\0" * 100 + b"\n", b"{}\n", b'{"search": {"a": '])
def test_a_search_without_a_whole_header_has_not_begun(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(content)
    assert not begun(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert journal.read() == ({}, [])
        journal.begin({"study": 1})
    assert begun(tmp_path / "j")


def test_what_was_decided_is_on_the_disk_before_it_is_ordered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with Journal(tmp_path / "j") as journal:
        journal.begin({"study": 1})
        begin = len(synced)
        for event, puts in ((EVENTS[1], False), (EVENTS[0], True), (EVENTS[1], False), (EVENTS[2], True)):
            journal(event)
            before = len(synced)
            journal(
                TrainerHeartbeat(trainer="x", networks=1, busy=0.5, time=1.0)
            )  # the end of a message, whose orders go out now
            assert (len(synced) > before) == puts
            assert not puts or synced[-1] == (tmp_path / "j").stat().st_size
    assert begin >= 2  # the file and its folder
    assert synced[-1] == (tmp_path / "j").stat().st_size


def test_the_last_header_counts(tmp_path: Path) -> None:
    for number in range(3):
        with Journal(tmp_path / "j") as journal:
            journal.begin({"number": number})
    with Journal(tmp_path / "j") as journal:
        assert journal.read() == ({"number": 2}, [])


def test_a_heartbeat_is_no_news(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal(TrainerHeartbeat(trainer="x", networks=1, busy=0.5, time=1.0))
    assert (tmp_path / "j").read_text() == ""


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "first" / "journal.jsonl"
    with Journal(path), pytest.raises(GenseekError, match=r"^search 'first' is running in another process$"):
        Journal(path)
    Journal(path).__exit__()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GenseekError, match=r"file/journal\.jsonl: can't write there"):
        Journal(tmp_path / "file" / "journal.jsonl")


def test_an_interruption_ends_nothing() -> None:
    assert without_interruptions([*EVENTS, Ended(trial=2, outcome="interrupted", time=1.0)]) == EVENTS
