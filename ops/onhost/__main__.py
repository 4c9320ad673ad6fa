"""`kpi-host`: the command line. A JSON document a line, the last one is the result; run on the host as root."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ops.onhost import history, locks
from ops.onhost.layout import Tree
from ops.onhost.machine import Machine, run
from ops.onhost.names import checked
from ops.onhost.trouble import Busy, CouldNot, Refused, Status, Unfit, of_the_disk

UMASK = 0o022  # whatever the one had who became root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status. What is our bug keeps its traceback, and is Status.BUG."""
    os.umask(UMASK)
    machine = Machine(
        tree=Tree(),
        run=run,
        clock=time.time,  # noqa: TID251 - this is a door
        sleep=time.sleep,
        say=_say,
        environ=dict(os.environ),  # noqa: TID251 - this is a door
    )
    try:
        return _answered(machine, argv)
    except BrokenPipeError:
        return _unheard()
    except Exception:  # noqa: BLE001 - whatever it is, it is told apart from a refusal
        import traceback

        traceback.print_exc()
        return Status.BUG


def _answered(machine: Machine, argv: Sequence[str] | None) -> int:
    """Do it, print the result, and return the status that goes with it."""
    try:
        options = _parser().parse_args(argv)
        _say(options.does(machine, options))
    except Refused as refused:
        _say(refused.document)
        return Status.REFUSED
    except Busy as busy:
        _say(busy.document)
        return Status.LOCKED
    except CouldNot as trouble:
        _say(trouble.document)
        return Status.REFUSED if isinstance(trouble, Unfit) else Status.COULD_NOT
    except BrokenPipeError:
        raise
    except OSError as error:
        _say(of_the_disk(error).document)
        return Status.COULD_NOT
    return Status.GOOD


def _say(document: Mapping[str, Any]) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 - a command line prints


def _unheard() -> int:
    """Nobody reads any more: what was done is done, and the dead man does the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Status.COULD_NOT


class _Parser(argparse.ArgumentParser):
    """argparse leaves with 2, which no caller here expects."""

    def error(self, message: str) -> NoReturn:
        raise CouldNot(
            message, expected="a subcommand of kpi-host", to_do="run `fab bootstrap`: the host's tool is old"
        )


Does = Callable[[Machine, argparse.Namespace], Mapping[str, Any]]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kpi-host", description="What a deploy does on the host, step by step.")
    subcommands = parser.add_subparsers(required=True, metavar="SUBCOMMAND")

    def add(name: str, does: Does, *, release: bool = True) -> argparse.ArgumentParser:
        subcommand = subcommands.add_parser(name)
        subcommand.set_defaults(does=does)
        if release:
            subcommand.add_argument("release", metavar="ID")
        return subcommand

    hold = add("hold", _hold, release=False)
    hold.add_argument("--who", required=True)
    hold.add_argument("--commit", required=True)
    hold.add_argument("--wait", type=float, default=0)
    add("status", _status, release=False)
    add("receive", _receive)
    environment = add("environment", _environment)
    environment.add_argument("--wheels", type=Path)
    environment.add_argument("--index")
    add("start", _start).add_argument("--handoff", action="store_true")
    add("switch", _switch)
    add("look", _look)
    add("confirm", _confirm)
    rollback = add("rollback", _rollback, release=False)
    rollback.add_argument("--to")
    rollback.add_argument("--reason")
    rollback.add_argument("--bad")
    rollback.add_argument("--plan", action="store_true")
    add("settle", _settle, release=False).add_argument("--unit")
    add("prune", _prune, release=False).add_argument("--keep", type=int, default=5)
    return parser


# Each imports its own step: `status` has no time to import the others.


def _hold(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    stdin = sys.stdin.fileno()
    locks.take(
        machine,
        options.who,
        options.commit,
        history.moment(machine.clock()),
        wait_s=options.wait,
        gone=lambda: locks.ended(stdin),
    )
    machine.say({"held": True})
    locks.hold(stdin)
    return {"held": False, "ended": True}


def _status(machine: Machine, _: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import status_step

    return status_step.step(machine)


def _receive(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import receive_step

    with locks.step(machine):
        return receive_step.step(machine, checked(options.release), sys.stdin.buffer)


def _environment(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import environment_step

    source = environment_step.Source(options.wheels, options.index)
    with locks.step(machine):
        return environment_step.step(machine, checked(options.release), source)


def _start(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import start_step

    with locks.step(machine):
        return start_step.step(machine, checked(options.release), handoff=options.handoff)


def _switch(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import switch_step

    with locks.step(machine):
        return switch_step.step(machine, checked(options.release))


def _look(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import look_step

    with locks.step(machine):
        return look_step.step(machine, checked(options.release))


def _confirm(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import confirm_step

    with locks.step(machine):
        return confirm_step.step(machine, checked(options.release))


def _rollback(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import rollback_step

    to = checked(options.to) if options.to else None
    bad = checked(options.bad) if options.bad else None
    if options.plan:
        return rollback_step.step(machine, to, options.reason, bad, plan=True)
    with locks.step(machine):
        return rollback_step.step(machine, to, options.reason, bad, plan=False)


def _settle(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import settle_step

    with locks.step(machine, wait_s=float("inf")):  # a step that goes on is waited for: it may yet end well
        return settle_step.step(machine, options.unit)


def _prune(machine: Machine, options: argparse.Namespace) -> Mapping[str, Any]:
    from ops.onhost import prune_step

    with locks.step(machine):
        return prune_step.step(machine, options.keep)


if __name__ == "__main__":
    sys.exit(main())
