"""A Ray cluster on hosts: `ray start` on each, one secret token for all, nodes that don't answer soon given up."""

import secrets
from collections.abc import Mapping

from hosts import Command, Host, Hosts

PORT, DASHBOARD_PORT = 6379, 8265
# A node that is cut off counts as dead after 10 seconds: 5 checks in a row, each failing after 1 s, 1 s apart.
IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


class RayHosts:
    """A head on h0 and workers, each on a host of its own; they go when the hosts do."""

    def __init__(self, hosts: Hosts, env: Mapping[str, str] | None = None) -> None:
        self.hosts, self._env = hosts, dict(env or {})
        self.token = secrets.token_hex(32)

    @property
    def head(self) -> Host:
        return self.hosts["h0"]

    @property
    def address(self) -> str:
        """Where drivers and workers find the cluster."""
        return f"{self.head.address}:{PORT}"

    @property
    def dashboard(self) -> str:
        """Where jobs are submitted."""
        return f"http://{self.head.address}:{DASHBOARD_PORT}"

    @property
    def env(self) -> dict[str, str]:
        """Environment of a driver, or of any other command of Ray, on a host that has a token."""
        return self.head.env | self._env | {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}

    def start_head(self, cpus: int = 0, **settings: str) -> Host:
        """Starts the host h0 and the head on it, with `settings` in its environment."""
        head = self.hosts.add("h0")
        places = [f"--port={PORT}", f"--dashboard-host={head.address}", f"--dashboard-port={DASHBOARD_PORT}"]
        self._wait(head, self._start(head, IMPATIENT | settings, "--head", *places, f"--num-cpus={cpus}"))
        return head

    def add_worker(self, name: str, cpus: int = 1, gpus: int = 0) -> Host:
        """Starts a host and a worker on it; its GPUs are so in name only."""
        return self.add_workers(name, cpus=cpus, gpus=gpus)[0]

    def add_workers(self, *names: str, cpus: int = 1, gpus: int = 0) -> list[Host]:
        """Starts several alike at once, which takes less time than one after the other."""
        workers = [self.hosts.add(name) for name in names]
        options = f"--address={self.address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"
        for worker, command in [(worker, self._start(worker, {}, *options)) for worker in workers]:
            self._wait(worker, command)
        return workers

    def admit(self, host: Host, token: str = "") -> None:
        """Puts the token, or a wrong one, where Ray looks for it on a host."""
        file = host.tmp / "home" / ".ray" / "auth_token"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.touch(0o600)
        file.write_text(token or self.token)

    def _start(self, host: Host, settings: dict[str, str], *options: str) -> Command:
        self.admit(host)
        common = f"--node-ip-address={host.address}", "--object-store-memory=100000000", "--disable-usage-stats"
        return host.start("ray", "start", *options, *common, env=self.env | settings, log=host.tmp / "start.log")

    def _wait(self, host: Host, command: Command) -> None:
        if command.wait(180):
            raise RuntimeError((host.tmp / "start.log").read_text())
