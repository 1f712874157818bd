"""How commands behave: what is said on which stream, mistakes, colours, completion, and that nothing is sent."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import typer

from objectives import PROBLEMS, SCORES
from search.cli import options
from search.cli.app import app
from search.cli.console import Printer, call, json_alone, mannered, print_json
from search.cli.listings import LISTINGS
from search.export.export import write_program
from search.log import choose
from search.run.prepare import check as check_study, task_of
from search.study.parse import load_study, problem_of

QUESTION = r"\1\0\0\1\0\0\0\0\0\0"  # to a name server, as strace writes it
UNSET = ("MLFLOW_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED", "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "CI")
SCRIPT = Path(sys.executable).with_name("genseek")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rn x", "unknown command 'rn'; did you mean 'run'? (genseek --help)"),
        ("--vrsion", "unknown option '--vrsion'; did you mean '--version'? (genseek --help)"),
        ("run x --trails 3", "unknown option '--trails'; did you mean '--trials'? (genseek run --help)"),
        ("best x --hlep", "unknown option '--hlep'; did you mean '--help'? (genseek best --help)"),
        ("best", "missing argument 'NAME' (genseek best --help)"),
        ("export x", "missing option '--out' (genseek export --help)"),
        ("best x y", "got unexpected extra argument(s) (y) (genseek best --help)"),
        ("list families --quiet --verbose", "--quiet and --verbose: expected one of them"),
    ],
)
def test_a_wrong_command_line_is_told_as_other_mistakes_are(words: str, said: str, genseek: Any) -> None:
    assert genseek(*words.split()) == (2, "", f"error: {said}\n")


def test_no_command_is_answered_with_the_help(genseek: Any) -> None:
    code, out, err = genseek()
    assert (code, err) == (2, "")
    assert "Commands" in out


def test_every_command_takes_quiet_and_verbose() -> None:
    shown = typer.main.get_command(app)
    assert len(shown.commands) >= 15  # type: ignore[attr-defined]
    for name, command in shown.commands.items():  # type: ignore[attr-defined]
        options = {option for each in command.params for option in each.opts}
        assert options >= {"--quiet", "-q", "--verbose", "-v"}, name


def ending(error: BaseException, *words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of a command that raises."""
    own = typer.Typer()

    def command() -> None:
        raise error

    own.command()(mannered(command))
    monkeypatch.setattr("sys.argv", ["own", *words])
    return call(own)


def test_a_bug_is_told_in_one_line_and_its_traceback_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert ending(KeyError("that"), monkeypatch=monkeypatch) == 1
    (file,) = tmp_path.iterdir()
    said = f"error: internal error: KeyError: 'that'; please report it with {file}\n"
    assert capsys.readouterr().err == said
    assert "raise error\nKeyError: 'that'" in file.read_text()
    assert ending(KeyError("that"), "--verbose", monkeypatch=monkeypatch) == 1
    assert "raise error\nKeyError: 'that'" in capsys.readouterr().err


def test_ctrl_c_is_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(KeyboardInterrupt(), monkeypatch=monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.slow
def test_quiet_prints_the_result_alone(genseek: Any, ray_cluster: None, tiny_study: Path, store_folder: Path) -> None:
    arguments = ("--store", store_folder, "--trials", 2, "--epochs", 2, "--quiet")
    code, out, err = genseek("run", tiny_study, *arguments)
    assert (code, err) == (0, "")
    assert out.startswith("tiny-1: best trials on validation rows")
    assert "next:" not in out
    code, out, err = genseek("resume", "tiny-1", "--store", store_folder, "-q", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["search"] == "tiny-1"


def test_what_is_not_a_terminal_gets_no_colours(finished: Any, genseek: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words: tuple[str, ...]
    for words in (("best", "first"), ("best", "frist"), ("list", "searches")):
        assert "\x1b" not in "".join(genseek(*words, "--store", finished.folder)[1:])
    for words in (("--help",), ("run", "--trails"), ("doctor", "--help")):
        assert "\x1b" not in "".join(genseek(*words)[1:])
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in genseek("best", "frist", "--store", finished.folder)[2]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*3\d", genseek("best", "frist", "--store", finished.folder)[2])


def completed(shell: str, words: str) -> list[str]:
    """What the script of a shell would be given for an unfinished command line."""
    bash = {"COMP_WORDS": words, "COMP_CWORD": str(len(f"{words}.".split()) - 1)}
    asked = bash if shell == "bash" else {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [SCRIPT],
        env=os.environ | asked | {"_GENSEEK_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return re.findall(r"[\w./-]+", done.stdout)


def test_a_file_is_wider_than_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    outer, inner = os.openpty()
    termios.tcsetwinsize(inner, (24, 80))
    for place, width in ((os.ttyname(inner), 80), (os.devnull, 120)):
        with Path(place).open("w") as output:
            monkeypatch.setattr(sys, "stderr", output)
            assert Printer(stderr=True).width == width
            with monkeypatch.context() as asked:
                asked.setenv("COLUMNS", "64")
                assert Printer(stderr=True).width == 64
    os.close(outer)
    os.close(inner)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes(shell: str) -> None:
    assert "mixture_3d" in completed(shell, "genseek run mix")
    if shell == "bash":
        assert completed(shell, "genseek best x --by tau") == ["tau_error"]
        assert completed(shell, "genseek list st") == ["studies"]


def test_what_is_completed_is_all_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(options.scores("")) == ("misfit", *SCORES)
    assert options.listings("") == [*LISTINGS, "searches", "registry"]
    assert options.problems("") == sorted(PROBLEMS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table of mine.toml").touch()
    assert options.studies("table") == ["table", "table of mine.toml"]


def test_completion_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom search.cli import app, options\n"
        "options.studies(''), options.problems(''), options.scores('')\n"
        "print(sorted({'torch', 'ray', 'mlflow', 'optuna', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_a_search_needs_no_network_and_calls_nobody(tmp_path: Path, new_store: Callable[[Path], Path]) -> None:
    """Without any network a search ends as it should.

    Ray asks the cloud's metadata address whether there is one, whatever is set: SECURITY.md says so.
    """
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    trace, store = tmp_path / "trace", new_store(tmp_path / "store")
    run = f"{SCRIPT} run gaussian_2d --trials 2 --epochs 2 --finalists 0 --store {store}"
    resolvers = set(re.findall(r"^nameserver ([\d.]+)$", Path("/etc/resolv.conf").read_text(), re.MULTILINE))
    here = "".join(f"ip address add {each}/32 dev lo && " for each in resolvers if not each.startswith("127."))
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    whole = f"ip link set lo up && {here}exec strace -f -qq -yy -s 200 -e {calls} -o {trace} {run}"
    # MLflow sends nothing from tests, and these turn it off: here genseek must.
    own = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run(["unshare", "-n", "sh", "-c", whole], env=own, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = trace.read_text(errors="replace").splitlines()
    # A datagram socket that is connected sends nothing: so Ray learns this machine's own address.
    lines = [line for line in lines if not ("connect(" in line and "<UDP:" in line and "8.8.8.8" in line)]
    hosts = {host for line in lines for host in re.findall(r'inet_addr\("([\d.]+)"\)', line)}
    assert "127.0.0.1" in hosts
    assert {host for host in hosts if not host.startswith("127.")} - resolvers <= {"169.254.169.254"}
    asked = [line for line in lines if QUESTION in line]
    assert [line for line in asked if r"metadata\6google\10internal" not in line] == []


def ended(*words: object, stdout: Any) -> tuple[int, str]:
    """Exit code and standard error of a command in a process of its own."""
    done = subprocess.run([SCRIPT, *map(str, words)], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120)
    return done.returncode, done.stderr


def unread() -> int:
    """End of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    "words", [("--help",), ("list", "families"), ("list", "families", "--json"), ("run", "--help"), ("--version",), ()]
)
def test_nobody_reads(words: tuple[str, ...]) -> None:
    writer = unread()
    assert ended(*words, stdout=writer) in ((141, ""), (0, ""))
    os.close(writer)


@pytest.mark.parametrize(
    "words",
    [
        *("best first --store STORE", "best first --store STORE --json", "list searches --store STORE"),
        *("report first --store STORE --out OUT/r.html", "export first --store STORE --out OUT/x"),
        *("sample WINNER -n 20000", "sample WINNER -n 3 --out OUT/rows.csv", "check gaussian_2d --store OUT/store"),
        *("score OUT/a.csv OUT/a.csv", "score OUT/a.csv OUT/a.csv --json"),
    ],
)
def test_nobody_reads_what_a_command_prints(
    words: str, finished: Any, winner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genseek: Any
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{x * 5 % 11},{x * x % 7}\n" for x in range(60)))
    for name, path in (("STORE", finished.folder), ("OUT", tmp_path), ("WINNER", winner)):
        words = words.replace(name, str(path))
    # Typer hides the stream behind another that swallows the pipe's error, so what is left in it goes nowhere here.
    with suppress(BrokenPipeError), os.fdopen(unread(), "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        code, _, err = genseek(*words.split())
    assert (code, err) in ((141, ""), (0, ""))
    if "--out" in words:
        assert list(tmp_path.glob("[rx]*"))  # the work is done all the same


@pytest.mark.slow
def test_a_disk_that_is_full_is_told(winner: Path) -> None:
    with Path("/dev/full").open("w") as full:
        code, err = ended("list", "families", stdout=full)
        assert (code, err) == (2, "error: standard output: can't write there (No space left on device)\n")
        code, err = ended("sample", winner, "-n", 20000, stdout=full)
        assert (code, err) == (2, "error: standard output: can't write there (No space left on device)\n")


def test_what_is_told_in_few_words_is_told_whole_if_asked(
    winner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(generator: Any) -> Any:
        raise RuntimeError("can't trace [this]\nand more of it")

    monkeypatch.setattr("search.export.export.exported", refused)
    said = "torch.export can't trace it (RuntimeError: can't trace [this])"
    assert write_program(winner) == said
    assert capsys.readouterr().err == ""
    choose("verbose")
    assert write_program(winner) == said
    choose("normal")
    assert "and more of it" in capsys.readouterr().err


@pytest.fixture(scope="session")
def winner(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The winner of the finished search, exported; for reading only."""
    from search import Store, export_generator

    out = tmp_path_factory.mktemp("winner") / "winner"
    board = Store(finished.folder).leaderboard("first")
    export_generator(Store(finished.folder), board, board.winner().trial, out, program=False)
    return out


@pytest.mark.slow
def test_a_sampler_alone_is_read_by_head(winner: Path) -> None:
    for line in (f"{SCRIPT} sample {winner} -n 100000", f"{sys.executable} {winner}/sampler.py -n 100000"):
        done = subprocess.run(
            ["bash", "-c", f"{line} | head -1"], capture_output=True, text=True, timeout=120, check=True
        )
        assert (done.stdout, done.stderr) == ("x1,x2\n", "")


LOUD = """
import os
from torch import nn
from models.adapter import pushforward_of

print("imported")
os.system("echo imported below")


class Loud(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, width: int = 8) -> None:
        super().__init__()
        print("constructed")
        self.layer = nn.Linear(inputs, outputs)

    def forward(self, x):
        print("called")
        os.write(1, b"called below")
        return self.layer(x)


MODELS = {"loud": pushforward_of(Loud)}
"""


def loud(folder: Path) -> Path:
    """A study of a model that prints whatever it does."""
    (folder / "loud.py").write_text(LOUD)
    study = 'trials = 2\nepochs = 2\ngrace = 2\nfinalists = 2\nplugins = ["loud.py"]\n[problem]\nname = "gaussian_2d"\n'
    (folder / "loud.toml").write_text(
        f"{study}train = 100\nvalidation = 60\ntest = 60\n[models.loud]\n[objectives.mmd]\n"
    )
    return folder / "loud.toml"


def test_json_alone_is_on_standard_output(tmp_path: Path, clean_registries: None, capfd: Any) -> None:
    with json_alone():
        study = load_study(str(loud(tmp_path)))
        check_study(study, task_of(study, problem_of(study)))
        print_json({"a": [1.5, float("nan")]})
    out, err = capfd.readouterr()
    assert json.loads(out) == {"a": [1.5, None]}
    assert {"imported", "imported below", "constructed"} <= set(err.splitlines())
    assert "called below" in err


@pytest.mark.slow
def test_no_print_of_a_plug_in_comes_between(tmp_path: Path, store_folder: Path) -> None:
    study, where = loud(tmp_path), ("--store", str(store_folder))
    kinds: list[tuple[str, ...]] = [
        ("check", str(study), "--json"),
        ("run", str(study), "--name", "loud", "--json", "--verbose"),
    ]
    for words in kinds:
        done = subprocess.run([SCRIPT, *words, *where], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert "constructed" in done.stderr
    out = tmp_path / "out"
    assert ended("export", "loud", "--out", out, *where, stdout=subprocess.DEVNULL)[0] == 0
    commands: list[list[str | Path]] = [
        [SCRIPT, "sample", out, "-n", "3", "--plugins", out / "plugin.py"],
        [sys.executable, out / "sampler.py", "-n", "3"],
    ]
    for line in commands:
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
        assert [len(row.split(",")) for row in done.stdout.splitlines()] == [2, 2, 2, 2], done.stdout
        assert "constructed" in done.stderr


def test_a_port_that_is_taken_is_told_in_one_line(finished: Any, genseek: Any) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = genseek("ui", "--store", finished.folder, "--port", port)
    assert (code, err) == (2, f"error: --port {port}: Address already in use; choose another\n")
