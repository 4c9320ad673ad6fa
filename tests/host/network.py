"""The network of a host: a link to this machine alone, the way out, and how both are cut."""

import json
import re
from contextlib import suppress
from pathlib import Path

from tests.host.commands import HostTrouble, run, tried
from tests.host.place import MACHINE, held

# Of the range that no real network has: it is for tests of network devices (RFC 2544).
ADDRESS = "198.18.{}.2"
GATEWAY = "198.18.{}.1"
MOST = 254
# Less than any uplink's, so that no packet has to be broken up on its way out.
MTU = 1400
FORWARDING = MACHINE / "forwarding.json"
CUT_CHAINS = ("cut_in", "cut_out")


def link(name):
    """This machine's end of the link: at most 15 characters."""
    return f"kpi-{name}"


def namespace(name):
    """The host's network namespace, as `ip netns` knows it."""
    return f"kpi-{name}"


def table(name):
    """The host's own table of packet rules."""
    return f"kpi_{name.replace('-', '_')}"


def make(name, reachable_ports=()):
    """A namespace and a link with a free address. Returns (address of the host, address of this machine on the link).

    The host may reach DNS, HTTP and HTTPS outside, `reachable_ports` of this machine, and nothing else. From this
    machine all of it can be reached.
    """
    with held("network"):
        number = _free_number()
        run("ip", "netns", "add", namespace(name))
        run("ip", "link", "add", link(name), "type", "veth", "peer", "name", "eth0", "netns", namespace(name))
        run("ip", "addr", "add", f"{GATEWAY.format(number)}/30", "dev", link(name))
        uplink = _uplink()
        if uplink:
            _forward(uplink, link(name))
        run("ip", "link", "set", link(name), "mtu", str(MTU), "up")
    address, gateway = ADDRESS.format(number), GATEWAY.format(number)
    _inside(name, address, gateway)
    run("nft", "-f", "-", stdin=_rules(name, address, uplink, reachable_ports))
    return address, gateway


def _free_number():
    taken = set(re.findall(r"\b198\.18\.(\d+)\.", run("ip", "-4", "-o", "addr")))
    for number in range(1, MOST):
        if str(number) not in taken:
            return number
    raise HostTrouble(f"{MOST} hosts are up, and there is no address for another")


def _uplink():
    found = re.search(r" dev (\S+)", run("ip", "-4", "-o", "route", "show", "default"))
    return found[1] if found else None


def _forward(uplink, own_link):
    """Let packets through from link to uplink and back; what was set before the first host is kept to be put back."""
    file = _forwarding(uplink)
    if not FORWARDING.exists():
        FORWARDING.write_text(json.dumps({"uplink": uplink, "was": file.read_text().strip()}))
    for device in (uplink, own_link):
        _forwarding(device).write_text("1")
    for rule in _rules_for_strict_machines(own_link):
        run("nft", *rule)


def _forwarding(device):
    return Path("/proc/sys/net/ipv4/conf") / device / "forwarding"


def _rules_for_strict_machines(own_link):
    """Where the machine drops what it is not told to forward, as Docker makes it: a rule that lets the link through."""
    if re.search(r"policy drop", _forward_chain()):
        for side in ("iifname", "oifname"):
            yield ("insert", "rule", "ip", "filter", "FORWARD", side, own_link, "accept", "comment", f'"{own_link}"')


def _forward_chain():
    with suppress(HostTrouble):
        return run("nft", "-a", "list", "chain", "ip", "filter", "FORWARD")
    return ""


def _inside(name, address, gateway):
    where = ("ip", "-n", namespace(name))
    run(*where, "link", "set", "lo", "up")
    run(*where, "addr", "add", f"{address}/30", "dev", "eth0")
    run(*where, "link", "set", "eth0", "mtu", str(MTU), "up")
    run(*where, "route", "add", "default", "via", gateway)


def _rules(name, address, uplink, reachable_ports):
    way_out = f'ip saddr {address} oifname "{uplink}" masquerade' if uplink else ""
    ports = ", ".join(map(str, reachable_ports))
    reachable = f'iifname "{link(name)}" tcp dport {{ {ports} }} accept' if ports else ""
    return f"""
table ip {table(name)} {{
    chain way_out {{
        type nat hook postrouting priority srcnat;
        {way_out}
    }}
    chain through {{
        type filter hook forward priority filter;
        iifname "{link(name)}" ip daddr 169.254.0.0/16 drop
        iifname "{link(name)}" udp dport 53 accept
        iifname "{link(name)}" tcp dport {{ 53, 80, 443 }} accept
        iifname "{link(name)}" drop
    }}
    chain to_machine {{
        type filter hook input priority filter;
        iifname "{link(name)}" ct state established,related accept
        iifname "{link(name)}" meta l4proto icmp accept
        {reachable}
        iifname "{link(name)}" drop
    }}
    chain cut_in {{
        type filter hook prerouting priority raw;
    }}
    chain cut_out {{
        type filter hook postrouting priority raw;
    }}
}}
"""


def cut(name, port=None):
    """Drop every packet from and to a host, or those of one of its TCP ports, without a word to either end."""
    only_from, only_to = ([], []) if port is None else (["tcp", "sport", str(port)], ["tcp", "dport", str(port)])
    for chain, side, only in (("cut_in", "iifname", only_from), ("cut_out", "oifname", only_to)):
        run("nft", "add", "rule", "ip", table(name), chain, side, link(name), *only, "drop")


def mend(name):
    """Let all packets through again."""
    for chain in CUT_CHAINS:
        run("nft", "flush", "chain", "ip", table(name), chain)


def remove(name):
    """Take away whatever there is of a host's network; after the last host put the machine's forwarding back."""
    tried("nft", "delete", "table", "ip", table(name))
    for handle in re.findall(rf'comment "{re.escape(link(name))}" # handle (\d+)', _forward_chain()):
        tried("nft", "delete", "rule", "ip", "filter", "FORWARD", "handle", handle)
    with held("network"):
        tried("ip", "link", "del", link(name))
        tried("ip", "netns", "del", namespace(name))
        if FORWARDING.exists() and not any_left():
            before = json.loads(FORWARDING.read_text())
            with suppress(OSError):
                _forwarding(before["uplink"]).write_text(before["was"])
            FORWARDING.unlink()


def any_left():
    """Whether any host on this machine has a network."""
    return any(line.startswith("kpi-") for line in run("ip", "netns", "list").splitlines())


def bytes_both_ways(name):
    """Bytes so far (to the host, from the host), as this machine's end of the link counts them."""
    counters = Path("/sys/class/net") / link(name) / "statistics"
    return int((counters / "tx_bytes").read_text()), int((counters / "rx_bytes").read_text())
