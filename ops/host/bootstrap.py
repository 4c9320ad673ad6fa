"""`fab bootstrap`: look at a host, decide what it lacks, and bring it there. The second time there is nothing to do."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from etl.errors import ExitCode, HostError, HostUnreachable
from ops.audit.change import Draft
from ops.host import login
from ops.host.carrying import Carrier
from ops.host.facts import BLANK, Facts, Question, gather, question
from ops.host.fitness import refuse_unfit
from ops.host.plan import DOOR, Plan, Step, compare, remove, run, settled, write
from ops.host.remote import Remote
from ops.host.resources import Door, File
from ops.host.wanted import wanted
from ops.onhost import layout
from ops.settings import Settings

Tell: TypeAlias = Callable[[str], None]

FRONT_PORTS = (80, 443)
PROVEN_WITHIN_S = 30  # well before the dead man
KEEP_BEFORE = 'test -e "$2" || cp -p "$1" "$2" 2>/dev/null || : > "$2"'


@dataclass(frozen=True, slots=True)
class NewLogin:
    """How to log in by a connection of its own. `clock` gives seconds and only grows."""

    connect: Callable[[], AbstractContextManager[Remote]]
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def bootstrap(
    remote: Remote,
    settings: Settings,
    *,
    way: NewLogin,
    who: str,
    tell: Tell,
    show: Tell,
    only_plan: bool = False,
    change: Draft | None = None,
) -> ExitCode:
    """Bring a host to what the settings say; with `only_plan` just `show` what would be done.

    `tell` hears a line a step; `change` that there was nothing to do, which is GOOD too. CHANGES_PENDING of a plan,
    LOCKED while somebody deploys. Raises HostError, which says in what state the host is.
    """
    planned = plan(remote, settings)
    if only_plan or not planned.steps:
        show(planned.text)
        if change is not None:
            change.changed = False
        return ExitCode.CHANGES_PENDING if planned.steps else ExitCode.GOOD
    for note in planned.notes:
        tell(f"note: {note}")
    return apply(remote, planned, way=way, who=who, tell=tell)


# --- looking


def plan(remote: Remote, settings: Settings) -> Plan:
    """What the host lacks. Raises HostError where it cannot be looked at or set up at all; nothing is changed."""
    facts = survey(remote, settings)
    refuse_unfit(facts, settings.host, settings.dashboard.port)
    return compare(wanted(settings, facts), facts)


def survey(remote: Remote, settings: Settings) -> Facts:
    """All that must be known of a host: asked at once, and once more where what is there makes other things wanted."""
    asked = _question(settings, BLANK)
    facts = gather(remote, asked)
    while more := _question(settings, facts).beyond(asked):
        facts, asked = facts.with_more(gather(remote, more)), asked.with_more(more)
    return facts


def _question(settings: Settings, facts: Facts) -> Question:
    ports = (settings.dashboard.port, *(FRONT_PORTS if settings.host.domain else ()))
    there = (str(layout.CURRENT),)
    return question(wanted(settings, facts), ports=ports, disk=str(layout.HOME), there=there)


# --- doing


def apply(remote: Remote, plan: Plan, *, way: NewLogin, who: str, tell: Tell) -> ExitCode:
    """Take the steps of a plan in their order; stops at the first that fails, by a HostError that says where."""
    carrier = Carrier(remote, who, tell, len(plan.steps))
    for steps in _batches(plan.steps):
        door = steps[0].door
        done = _through(carrier, steps[0], door, way) if door else carrier.carry(steps)
        if not done:
            return ExitCode.LOCKED
    tell(f"{plan.count} made: the host is as it should be")
    return ExitCode.GOOD


def _batches(steps: tuple[Step, ...]) -> list[tuple[Step, ...]]:
    """Steps that go to the host together; one that changes the login goes by itself."""
    batches: list[tuple[Step, ...]] = []
    for step in steps:
        if step.door or not batches or batches[-1][0].door:
            batches.append((step,))
        else:
            batches[-1] = (*batches[-1], step)
    return batches


def _through(carrier: Carrier, step: Step, door: Door, way: NewLogin) -> bool:
    """Change how one logs in, log in anew, and only then keep it; False: the lock is somebody else's."""
    began = way.clock()
    if not carrier.attempt(_guarded(step, door)):
        return False
    try:
        _log_in(way, until=began + PROVEN_WITHIN_S)
    except HostError as error:
        carrier.put_back(_put_back())
        raise _shut_out(door, error) from error
    carrier.keep(step, _kept(), way.clock() - began)
    return True


def _log_in(way: NewLogin, until: float) -> None:
    """A new connection, with root's rights: as soon as sshd, which has read its files anew, listens again."""
    while True:
        try:
            with way.connect() as another:
                if another.run(["true"]).status == 0:
                    return
                raise HostError("sudo was refused", expected="that `true` can be run as root", to_do="see sudo -l")
        except HostUnreachable:
            if way.clock() > until:
                raise
        way.sleep(1)


def _shut_out(door: Door, error: HostError) -> HostError:
    return HostError(
        f"after {door.file.path} was changed, a new login failed: {error.seen}",
        expected="that whoever could log in before still can",
        to_do="what was there before is back, or will be within a minute; see `journalctl -u ssh` on the host",
    )


def _guarded(step: Step, door: Door) -> Step:
    """The change between a dead man who puts back what was there, and the command that makes it count."""
    script = File(str(login.UNDO), login.undo(door), mode=0o700)
    timer = ("--unit", login.UNDO_UNIT, "--on-active", str(login.UNDO_AFTER_S), "--timer-property=AccuracySec=1s")
    actions = (
        write(script),
        run("/bin/sh", "-c", KEEP_BEFORE, "sh", door.file.path, str(login.BEFORE)),
        _dead_man_off(),
        run("systemd-run", "--quiet", "--collect", *timer, "/bin/sh", str(login.UNDO)),
        *step.actions,
        run(*door.proof),
        run(*door.reload),
    )
    return Step(step.summary, actions, step.diff, step.due, undo=_put_back())


def _put_back() -> tuple[dict[str, object], ...]:
    return (run("/bin/sh", str(login.UNDO)), _dead_man_off())


def _kept() -> tuple[dict[str, object], ...]:
    return (_dead_man_off(), settled(DOOR), remove(str(login.BEFORE)), remove(str(login.UNDO)))


def _dead_man_off() -> dict[str, object]:
    return run("systemctl", "stop", f"{login.UNDO_UNIT}.timer", must=False)
