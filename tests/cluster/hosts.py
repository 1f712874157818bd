"""Several hosts on one Linux machine, made of namespaces: each can be cut off the network or lose its power."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import IO, Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc")
UNSHARE = ("unshare", *NAMESPACES, "--mount-proc", "--fork", "--kill-child", "sh", "-ec")
NETWORK = "10.77.0"
SWITCH = "ip link add switch type bridge; ip link set switch up; echo ready; exec cat"
# With an empty resolv.conf unknown names fail at once, where no name server would answer for a minute.
INIT = """
name=$1 tmp=$2 names=$3; shift 3
while [ $# -gt 0 ]; do mount --rbind "$1" "$2"; shift 2; done
mount --bind "$names" /etc/hosts
[ ! -e /etc/resolv.conf ] || mount --bind /dev/null /etc/resolv.conf
mount -t tmpfs -o size=2g tmpfs /dev/shm
mount --rbind "$tmp" /tmp
echo "$name" > /proc/sys/kernel/hostname
cd /tmp/home
echo ready
exec env --ignore-signal=CHLD cat  # the kernel reaps orphans
"""
TRIAL = "ip link add type bridge; ip link add type veth; mount -t tmpfs tmpfs /tmp; env --ignore-signal=CHLD true"


def available() -> str:
    """Why there can be no hosts on this machine; empty if there can."""
    if os.geteuid() != 0:
        return "hosts need root"
    if missing := [name for name in ("ip", "nsenter", "unshare") if shutil.which(name) is None]:
        return f"hosts need {', '.join(missing)}"
    tried = subprocess.run([*UNSHARE, TRIAL], capture_output=True, text=True)
    return f"no namespaces for hosts: {tried.stderr.strip()}" if tried.returncode else ""


def begin(*command: str | Path) -> subprocess.Popen[str]:
    """Starts a script that says when it's ready and ends when its standard input does, at the latest with this test."""
    process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True, start_new_session=True)
    assert process.stdout
    if (line := process.stdout.readline()) != "ready\n":
        raise RuntimeError(line + process.communicate(timeout=30)[0])
    return process


def set_links(process: int, commands: str) -> None:
    """Runs `ip` in the network namespace of a process, one command a line."""
    enter = ["nsenter", "--target", str(process), "--net", "ip", "-batch", "-"]
    done = subprocess.run(enter, input=commands, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{commands}\n{done.stderr}")


def children(process: int) -> list[int]:
    """Processes that a process has started."""
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def written(file: IO[str]) -> str:
    """What others wrote to a file."""
    file.seek(0)
    return file.read()


class Command(subprocess.Popen[bytes]):
    """A command in a host: signals go to it, not to the nsenter that waits for it."""

    def send_signal(self, sig: int) -> None:
        while self.poll() is None:
            if started := children(self.pid):
                with suppress(ProcessLookupError):
                    os.kill(started[0], sig)
                break
            time.sleep(0.01)  # nsenter is about to fork


class Host:
    """A machine but for the processor and most of its disk: address, processes, /tmp, /dev/shm and HOME are its own."""

    def __init__(self, hosts: "Hosts", name: str, address: str, init: subprocess.Popen[str]) -> None:
        self.name, self.address = name, address
        self.tmp = hosts.folder / name  # its /tmp, as it's called outside
        self.pid = children(init.pid)[0]  # its first process, as it's numbered outside
        self._hosts, self._init, self._commands = hosts, init, list[Command]()

    @property
    def env(self) -> dict[str, str]:
        """Environment of its commands: nothing of the test process' own but the search path."""
        path = f"{sys.prefix}/bin:{os.environ.get('PATH', os.defpath)}"
        return {"PATH": path, "HOME": "/tmp/home", "LANG": "C.UTF-8"}

    def start(self, *command: str | Path, env: Mapping[str, str] = {}, log: Path | None = None) -> Command:
        """Starts a command in HOME, in a session of its own; its output is added to the file `log`, if any."""
        with (log or Path(os.devnull)).open("ab") as file:
            return self._start(command, env, file, file)

    def run(
        self, *command: str | Path, timeout: float = 60, env: Mapping[str, str] = {}, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; daemons that it leaves behind may keep its output open."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = self._start(command, env, out, err)
            try:
                process.wait(timeout)
                if check and process.returncode:
                    raise subprocess.CalledProcessError(process.returncode, command)
            except subprocess.SubprocessError as error:
                process.kill()
                error.add_note(written(out) + written(err))
                raise
            return subprocess.CompletedProcess(command, process.returncode, written(out), written(err))

    def _start(self, command: tuple[str | Path, ...], env: Mapping[str, str], out: IO[Any], err: IO[Any]) -> Command:
        if self._init.poll() is not None:
            raise RuntimeError(f"{self.name} is dead")
        enter, env = ["nsenter", "--target", str(self.pid), *NAMESPACES, "--wd", "--", *command], {**self.env, **env}
        started = Command(enter, stdin=DEVNULL, stdout=out, stderr=err, env=env, start_new_session=True)
        self._commands.append(started)
        return started

    def cut(self) -> None:
        """Takes the host off the network."""
        set_links(self._hosts.switch.pid, f"link set dev {self.name} down")

    def heal(self) -> None:
        """Puts a host that was cut off back on the network."""
        set_links(self._hosts.switch.pid, f"link set dev {self.name} up")

    def kill(self) -> None:
        """Cuts the power: all its processes are killed at once."""
        if self._init.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._init.communicate(timeout=60)
            for command in self._commands:
                command.wait(60)
            with suppress(RuntimeError):  # the link may have gone with its other end
                set_links(self._hosts.switch.pid, f"link delete dev {self.name}")


class Hosts:
    """Hosts on a switch of their own: besides one another they see the repository and the folder `shared`."""

    def __init__(self, shared: Path) -> None:
        self.shared = shared.resolve()
        self.switch = begin("unshare", "--net", "sh", "-ec", SWITCH)
        self.folder = Path(tempfile.mkdtemp(prefix="hosts-"))
        self.names = self.folder / "etc-hosts"
        self.names.write_text("127.0.0.1 localhost\n")
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for host in self._hosts.values():
                host.kill()
        finally:
            self.switch.communicate(timeout=60)
            shutil.rmtree(self.folder)

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def add(self, name: str) -> Host:
        """Starts a host; one that has a predecessor of its name takes its place and address, but none of its files."""
        number, tmp = 10 + len(self._hosts), self.folder / name
        if name in self._hosts:
            self[name].kill()
            shutil.rmtree(tmp)
            number = int(self[name].address.rpartition(".")[2])
        (tmp / "home").mkdir(parents=True)
        visible: list[Path] = []
        for path in sorted({REPOSITORY, Path(sys.prefix), Path(sys.base_prefix), self.shared}):
            if path.is_relative_to("/tmp"):  # which would hide it
                visible += [path, tmp / path.relative_to("/tmp")]
                visible[-1].mkdir(parents=True, exist_ok=True)
        init = begin(*UNSHARE, INIT, "sh", name, tmp, self.names, *visible)
        host = Host(self, name, f"{NETWORK}.{number}", init)
        if name not in self._hosts:
            with self.names.open("a") as file:
                file.write(f"{host.address} {name}\n")
        self._hosts[name] = host
        # Hardware addresses are fixed: what others know of a host stays true of its successor.
        ends = f"name {name} type veth peer name eth0 address 02:00:00:00:00:{number:02x} netns {host.pid}"
        set_links(self.switch.pid, f"link add {ends}\nlink set dev {name} master switch up")
        # The default route leads nowhere; Ray asks for it to find its own address.
        up = f"link set lo up\naddress add {host.address}/24 dev eth0\nlink set eth0 up\n"
        set_links(host.pid, f"{up}route add default via {NETWORK}.1")
        return host
