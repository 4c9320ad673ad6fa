"""One part of what a host has, brought to it as `fab bootstrap` brings all of them."""

from pathlib import Path

from ops.host.carrying import Carrier
from ops.host.facts import BLANK, gather, question
from ops.host.plan import compare
from ops.host.ssh import connected
from ops.host.where import Address


def reached(host):
    """A connection to a host."""
    return connected(Address(host.address, host.user, keys=(Path(host.key),), known_hosts=(Path(host.known_hosts),)))


def planned(remote, resources, settings):
    """What a host lacks of a part."""

    def ask(facts):
        return question(resources(settings, facts), ports=(), disk="/opt/kpi")

    asked = ask(BLANK)
    facts = gather(remote, asked)
    if more := ask(facts).beyond(asked):
        facts = facts.with_more(gather(remote, more))
    return compare(resources(settings, facts), facts)


def brought(host, resources, settings):
    """Bring a part to a host; the summaries of the steps that were necessary. Raises HostError."""
    with reached(host) as remote:
        plan = planned(remote, resources, settings)
        if plan.steps:
            assert Carrier(remote, "tester", lambda _: None, len(plan.steps)).carry(plan.steps)
    return [step.summary for step in plan.steps]
