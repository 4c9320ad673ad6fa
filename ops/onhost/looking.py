"""Look at the public port as a person would: every page, with the prober of a release."""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from ops.onhost import private, reasons, systemd
from ops.onhost.layout import PROBE
from ops.onhost.machine import Machine

PAGE_S: Final = 20.0
LIMIT_S: Final = 100.0
DEAF_S: Final = 5.0
DOWN: Final = "down"
FINE: Final = frozenset({"up", "degraded"})  # degraded: a page runs, and says itself what is missing
WHO: Final = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")  # it reads what a release answers


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `verdict`: up, degraded, down, or unknown when the prober itself failed."""

    verdict: str
    reason: str | None
    ms: dict[str, Any]

    @property
    def fine(self) -> bool:
        """Whether a person would call it working."""
        return self.verdict in FINE


def look(machine: Machine, instance: str) -> Look:
    """One look at what serves; `instance` is the one that is current, whose prober is used."""
    if private.deaf(machine.tree, instance, DEAF_S):  # a page would be waited for four times as long
        return Look(DOWN, f"the process answers nobody, not even on its private socket within {DEAF_S:g} s", {})
    began = machine.clock()
    port = systemd.units(machine).port
    probe = machine.tree.release(instance) / PROBE
    words = ["--url", f"http://127.0.0.1:{port}", "--page", "all", "--attempts", "1", "--timeout", f"{PAGE_S:g}"]
    done = machine.run([*WHO, "python3", "-I", "-B", str(probe), *words, "--json"], timeout_s=LIMIT_S)
    seen = parse(done.out, done.err)
    if seen.fine:
        return seen
    raised = reasons.raised(systemd.written(machine, instance, began))
    return replace(seen, reason="; the page says ".join(filter(None, (raised, seen.reason)))) if raised else seen


def parse(out: str, err: str) -> Look:
    """The prober's sample. What is none is an unknown verdict with the prober's complaint."""
    try:
        sample = json.loads(out)
        verdict = str(sample["verdict"])
    except (ValueError, TypeError, KeyError):
        return Look("unknown", f"the prober gave no answer: {err.strip()[-300:] or 'it said nothing'}", {})
    detail = [str(sample[key]) for key in ("page", "reason", "detail") if sample.get(key)]
    return Look(verdict, None if verdict == "up" else ": ".join(detail) or None, sample.get("ms") or {})
