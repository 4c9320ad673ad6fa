"""A machine for kpi-host with a systemd of its own making, below a temporary directory: what is asked is remembered.

It knows what kpi-host uses: units that start, are refused, drain and end; timers; the journal; the prober. A test can
have it end the step at its n-th touch of the world, as a kill would.
"""

import json
from collections import Counter
from contextlib import contextmanager

from ops.onhost import files, record
from ops.onhost.layout import CURRENT, MEMINFO, Tree
from ops.onhost.machine import Done, Machine
from ops.onhost.record import Record

MEMORY = "MemAvailable: 900000 kB\nSwapFree: 0 kB\n"


class Killed(BaseException):
    """The step ended here, whatever it was doing."""


class Host:
    """`broken`: releases that their gate refuses; `ugly`: releases that look bad in public."""

    def __init__(self, root):
        self.tree = Tree(root)
        self.now = 1_000_000.0
        self.units = {}  # instance -> active, draining
        self.sessions = set()  # instances that somebody is still on: they drain for ever
        self.socket = "active"
        self.timers = []
        self.broken, self.ugly = set(), set()
        self.restarts = {}  # instance -> how often systemd itself started it again
        self.asked = Counter()
        self.kill_at = None
        self.touched = 0
        path = self.tree.at(MEMINFO)
        path.parent.mkdir(parents=True)
        path.write_text(MEMORY)
        self.machine = Machine(self.tree, self.run, lambda: self.now, self.sleep)

    def sleep(self, seconds):
        self.now += seconds

    def release(self, name, *, verdict=None, served_at=None, contract=1, ready=True, environment="k-py3.11"):
        """Put a release on the disk."""
        home = self.tree.release(name)
        home.mkdir(parents=True)
        (home / "release.json").write_text(json.dumps({"release": name, "contract": contract, "sha": "ab"}))
        place = self.tree.environment(environment)
        place.mkdir(parents=True, exist_ok=True)
        if ready:
            (place / ".ready").touch()
        (home / "environment").symlink_to(f"../../environments/{environment}")
        self.tree.at(CURRENT.parent / "record").mkdir(parents=True, exist_ok=True)
        self.now += 1
        record.write(self.tree, name, Record(arrived_at=self.now, served_at=served_at, verdict=verdict))

    def good(self, *names):
        """Good releases, in the order in which they served."""
        for name in names:
            self.now += 1
            self.release(name, verdict="good", served_at=self.now)

    def serve(self, instance):
        """Have one be current, and run."""
        files.link(self.tree.at(CURRENT), f"releases/{instance}")
        self.units[instance] = "active"

    @property
    def current(self):
        return self.tree.at(CURRENT).readlink().name

    def serving(self):
        """The instances that take callers."""
        return sorted(name for name, state in self.units.items() if state == "active")

    @contextmanager
    def killing(self, at):
        """Within it the step is ended at its n-th touch."""
        self.kill_at, self.touched = at, 0
        try:
            yield
        except Killed:
            pass
        finally:
            self.kill_at = None

    def touch(self):
        """One more thing done to the world."""
        self.touched += 1
        if self.touched == self.kill_at:
            raise Killed

    def run(self, argv, *, timeout_s=60, env=None):  # noqa: ARG002 - as Run is called
        """As Run: what is not known is our test's mistake."""
        self.touch()
        program, *words = argv
        self.asked[" ".join(argv[:2])] += 1
        done = {
            "systemctl": self._systemctl,
            "systemd-run": self._timer,
            "journalctl": self._journal,
            "setpriv": lambda _: self._probe(),
        }[program](words)
        self.touch()
        return done

    def _systemctl(self, words):
        command, *rest = words
        names = [word.removeprefix("kpi-dashboard@").removesuffix(".service") for word in rest if word[0] != "-"]
        if command == "show":
            return Done(0, self._shown(), "")
        if command == "start":
            return Done(max((self._start(name) for name in names), default=0), "", "")
        if command in {"stop", "kill"}:
            for name in names:
                self._stop(name, forced=command == "kill" or "--no-block" not in rest)
        return Done(0, "", "")

    def _start(self, name):
        if name == "kpi-dashboard.socket":
            if self.serving():
                return 1
            self.socket = "active"
            return 0
        release = self.tree.release(name).resolve().name
        if release in self.broken or self.units.get(name) == "deactivating" or self.socket != "active":
            self.units.setdefault(name, "failed")
            return 1
        self.units[name] = "active"
        return 0

    def _stop(self, name, *, forced):
        if name.endswith(".timer"):
            self.timers = [timer for timer in self.timers if f"{timer}.timer" != name]
        elif name in self.units:
            stays = name in self.sessions and not forced and self.units[name] in {"active", "deactivating"}
            self.units[name] = "deactivating" if stays else "inactive"

    def _shown(self):
        blocks = [f"Id=kpi-dashboard.socket\nActiveState={self.socket}\nListen=[::]:8501 (Stream)"]
        blocks += [
            f"Id=kpi-dashboard@{name}.service\nActiveState={state}\nSubState=running\nMemoryCurrent=100000000"
            f"\nNRestarts={self.restarts.get(name, 0)}"
            for name, state in self.units.items()
        ]
        return "\n\n".join(blocks)

    def _timer(self, words):
        self.timers.append(next(word for word in words if word.startswith("--unit=")).removeprefix("--unit="))
        return Done(0, "", "")

    def _journal(self, words):
        if words == ["--sync"]:
            return Done(0, "", "")
        line = {"MESSAGE": "REFUSED: page 'products' raised KeyError (dashboard/pages/products.py line 12)"}
        return Done(0, json.dumps({**line, "PRIORITY": "3", "_SYSTEMD_INVOCATION_ID": "i"}), "")

    def _probe(self):
        """Whoever takes callers may have answered: a look is bad if any of them is ugly, or nobody is there."""
        seen = {self.tree.release(name).resolve().name for name in self.serving()}
        well = bool(seen) and not seen & self.ugly
        return Done(0, json.dumps({"verdict": "up" if well else "down", "reason": None if well else "body"}), "")
