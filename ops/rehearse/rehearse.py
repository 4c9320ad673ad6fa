"""`fab rehearse`: the deploys of a bad week on a host to throw away, under load, and what a visitor noticed of them.

The deploy is driven by its public commands, each a process of its own, as a person would type them.
"""

import http.client
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from etl.errors import ExitCode, HostError
from ops.rehearse.load import HEALTH, NO_RELEASE, Load, Target
from ops.rehearse.loading import Loading, loading
from ops.rehearse.throwaway import Throwaway, throwaway
from ops.rehearse.variants import FAULTS, Fault, Variants
from ops.stages import Stage, Story

PORT: Final = 8501
DEPLOYS: Final = 10
STAGES: Final = 4 + len(FAULTS) + 4
SNAPSHOT: Final = "/srv/kpi-rehearsal"
# Instead of a minute: what a rehearsal watches for shows itself at once.
WATCH_S: Final = 3
ANSWERS_WITHIN_S: Final = 60.0
LOOK_EVERY_S: Final = 0.1
LAST_LINES: Final = 15
SESSIONS_COME_BACK_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Noticed:
    """What visitors noticed of one stage."""

    stage: str
    load: Load


@dataclass(slots=True)
class Scene:
    """Where a rehearsal happens: the host, the copy of the project, where commands write, a clock."""

    host: Throwaway
    copy: Variants
    log: Path
    environ: Mapping[str, str]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    noticed: list[Noticed] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """The dashboard of the host."""
        return Target(self.host.address, PORT)

    def fab(self, *argv: str, expected: int = ExitCode.GOOD) -> str:
        """Run one command of the project; what it said. Raises HostError where it ends otherwise than expected."""
        command = [str(Path(sys.executable).with_name("fab")), *argv]
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            cwd=self.copy.directory,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        with self.log.open("a") as log:
            log.write(f"$ fab {' '.join(argv)}\n{said}\n(exit status {done.returncode})\n\n")
        if done.returncode != expected:
            raise HostError(
                "\n    ".join(
                    [f"`fab {' '.join(argv)}` ended with {done.returncode}:", *said.splitlines()[-LAST_LINES:]]
                ),
                expected=f"exit status {expected}",
                to_do=f"all that the commands said is in {self.log}",
            )
        return said

    def serving(self) -> str:
        """The release that answers now; empty where none does."""
        connection = http.client.HTTPConnection(self.host.address, PORT, timeout=ANSWERS_WITHIN_S)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", HEALTH)
            answer = connection.getresponse()
            if answer.status == http.client.OK and answer.read() == b"ok":
                return answer.headers.get("x-release", NO_RELEASE)
        return ""

    def serves_again(self) -> tuple[str, float]:
        """Wait until the dashboard answers: (the release, seconds waited). Raises HostError where it does not."""
        began_s = self.clock()
        while self.clock() - began_s < ANSWERS_WITHIN_S:
            if found := self.serving():
                return found, self.clock() - began_s
            self.sleep(LOOK_EVERY_S)
        raise HostError(
            f"the dashboard did not answer within {ANSWERS_WITHIN_S:g} s",
            expected="an answer soon after",
            to_do=f"all that the commands said is in {self.log}",
        )

    @contextmanager
    def loaded(self, stage: str) -> Iterator[Loading]:
        """Load, and note what it met with."""
        with loading(self.target) as load:
            try:
                yield load
            finally:
                self.noticed.append(Noticed(stage, load.end()))


def rehearse(
    copy: Variants,
    snapshot: bytes,
    directory: Path,
    stream: TextIO,
    *,
    environ: Mapping[str, str],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> ExitCode:
    """Play all of it; GOOD only if everything held. `snapshot`: a tar of what the ETL made.

    What goes wrong on the way is told and the rest is played all the same. Raises HostError where there is no host, or
    no first release on it.
    """
    story = Story(stream, clock, STAGES)
    with throwaway(f"re{os.getpid() % 1_000_000}") as host:
        scene = Scene(host, copy, directory / "commands.log", _environ(environ, host), clock, sleep)
        _prepare(story, scene, snapshot)
        _deploys(story, scene)
        for fault in FAULTS:
            _bad_release(story, scene, fault)
        _rollback(story, scene)
        _unchanged(story, scene)
        _kill(story, scene)
        _reboot(story, scene)
    print(f"\n{table(scene.noticed)}", file=stream)
    return ExitCode.GOOD if story.good else ExitCode.CHECK_FAILED


def _environ(environ: Mapping[str, str], host: Throwaway) -> dict[str, str]:
    return {
        **environ,
        "KPI_HOST__ADDRESS": host.address,
        "KPI_HOST__USER": host.user,
        "KPI_HOST__KEY": host.key,
        "KPI_HOST__KNOWN_HOSTS": host.known_hosts,
        "KPI_HOST__GATEWAY": "",
        "KPI_HOST__DOMAIN": "",
        "KPI_HOST__WATCH_S": str(WATCH_S),
        "KPI_HOST__ENVIRONMENT": f'{{"KPI_DASHBOARD__STORE": "{SNAPSHOT}"}}',
    }


def _prepare(story: Story, scene: Scene, snapshot: bytes) -> None:
    with story.stage("host") as stage:
        stage.told = f"{scene.host.address}, what commands say goes to {scene.log}"
    with story.stage("bootstrap") as stage:
        scene.host.run(["mkdir", "-p", SNAPSHOT])
        scene.host.run(["tar", "-C", SNAPSHOT, "-xf", "-"], snapshot)
        scene.host.run(["chmod", "-R", "a+rX", SNAPSHOT])
        scene.fab("bootstrap")
    with story.stage("first") as stage:
        scene.fab("deploy")
        stage.told = scene.serving()


@contextmanager
def _act(story: Story, name: str) -> Iterator[Stage]:
    """A stage after which the rehearsal goes on, however it ends."""
    with suppress(HostError), story.stage(name) as stage:
        try:
            yield stage
        except HostError as error:
            stage.told = str(error)
            raise


def _deploys(story: Story, scene: Scene) -> None:
    """Ten deploys; the sessions of each are open before it and go on after it."""
    with _act(story, "deploys") as stage, scene.loaded(f"{DEPLOYS} deploys") as load:
        seen = {scene.serving()}
        for number in range(1, DEPLOYS + 1):
            scene.copy.good(number)
            scene.fab("deploy")
            seen.add(scene.serving())
            load.renew()
        _held(stage, load.end().unnoticed and len(seen) == DEPLOYS + 1, load.end().line())


def _bad_release(story: Story, scene: Scene, fault: Fault) -> None:
    with _act(story, "refused") as stage, scene.loaded(fault.name) as load:
        before = scene.serving()
        with scene.copy.bad(fault):
            said = scene.fab("deploy", expected=ExitCode.CHECK_FAILED)
        reason = "reason named" if fault.named in said else f"THE REASON IS NOT NAMED ({fault.named})"
        held = load.end().unnoticed and fault.named in said and scene.serving() == before
        _held(stage, held, f"{fault.name}: {reason}; {load.end().line()}")


def _rollback(story: Story, scene: Scene) -> None:
    with _act(story, "rollback") as stage, scene.loaded("rollback") as load:
        before, began_s = scene.serving(), scene.clock()
        scene.fab("rollback")
        took_s, after = scene.clock() - began_s, scene.serving()
        _held(stage, load.end().unnoticed and before != after, f"{took_s:.1f} s, {after}; {load.end().line()}")


def _unchanged(story: Story, scene: Scene) -> None:
    """Deploy what was rolled back from anew, then once more: the second has nothing to do."""
    with _act(story, "unchanged") as stage:
        scene.copy.good(DEPLOYS + 1)
        scene.fab("deploy")
        before, began_s = scene.serving(), scene.clock()
        scene.fab("deploy")
        _held(stage, scene.serving() == before, f"up to date is known in {scene.clock() - began_s:.1f} s")


def _kill(story: Story, scene: Scene) -> None:
    """Sessions die with their process; who comes meanwhile waits at the door, which is systemd's."""
    with _act(story, "kill -9") as stage, scene.loaded("kill -9") as load:
        before = scene.serving()
        scene.host.run(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", f"kpi-dashboard@{before}.service"])
        after, waited_s = scene.serves_again()
        scene.sleep(SESSIONS_COME_BACK_S)
        refused = [each for each in load.end().failed if "Refused" in each.reason]
        told = f"answers again after {waited_s:.1f} s, {len(refused)} turned away; {load.end().line()}"
        _held(stage, after == before and not refused, told)


def _reboot(story: Story, scene: Scene) -> None:
    with _act(story, "reboot") as stage:
        before, began_s = scene.serving(), scene.clock()
        scene.host.reboot()
        after, _ = scene.serves_again()
        _held(stage, after == before, f"{after} again, {scene.clock() - began_s:.1f} s after the command")


def _held(stage: Stage, held: bool, told: str) -> None:  # noqa: FBT001 - what came of it
    stage.good, stage.told = held, told


def table(noticed: Sequence[Noticed]) -> str:
    """What visitors noticed, a line for each stage that was under load."""
    rows = [
        f"{'under load':<34}{'requests':>9}{'failed':>8}{'p99 s':>8}{'worst s':>9}{'sessions':>10}{'lost':>6}{'cut':>5}"
    ]
    for each in noticed:
        load = each.load
        rows.append(
            f"{each.stage:<34}{load.requests:>9}{len(load.failed):>8}{load.p99_s:>8.2f}{load.worst_s:>9.2f}"
            f"{load.sessions:>10}{len(load.lost):>6}{len(load.cut):>5}"
        )
    return "\n".join(rows)
