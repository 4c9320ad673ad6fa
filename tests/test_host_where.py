from pathlib import Path

import pytest
from fabric import Config, Connection
from invoke.context import Context

from etl.errors import HostError
from ops.cloud.instances import Instance
from ops.host.where import CONNECT_S, Address, address_of
from ops.settings import HostSettings

HOME = Path("/home/jane")
FILES = (Path("data/known_hosts"),)
SSM = "sh -c 'aws ssm start-session --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p'"
ENDPOINT = "aws ec2-instance-connect open-tunnel --instance-id %h"


def nobody(name):
    raise AssertionError(f"nobody should have looked for {name}")


def found(name, public="203.0.113.7", private="10.0.0.7"):
    return Instance("i-0abc", name, "running", public, private)


def config(ssh_config="", **kwargs):
    """Fabric's configuration, with nothing of this machine's own."""
    return Config(
        overrides={"connect_kwargs": kwargs, "load_ssh_configs": False}, lazy=True, runtime_ssh_path=ssh_config
    )


def context(**kwargs):
    """What a task gets without -H, with -i and the like in `kwargs`."""
    return Context(config(**kwargs))


def named(host, tmp_path=None, ssh_config="", **kwargs):
    """What a task gets with -H, and a ~/.ssh/config."""
    if not tmp_path:
        return Connection(host, config=config(**kwargs))
    file = tmp_path / "ssh_config"
    file.write_text(ssh_config)
    wanted = config(str(file), **kwargs)
    wanted.load_ssh_config()
    return Connection(host, config=wanted)


def test_the_settings_name_the_host():
    settings = HostSettings(address="shop.example.org", user="admin", port=2222, key="~/.ssh/shop.pem", gateway="nc %h")
    assert address_of(context(), settings, nobody, HOME) == Address(
        host="shop.example.org",
        user="admin",
        port=2222,
        keys=(HOME / ".ssh/shop.pem",),
        gateway="nc %h",
        known_hosts=(Path("data/known_hosts"),),
    )


def test_without_an_address_the_instance_of_that_name_is_meant():
    address = address_of(context(), HostSettings(name="project02-streamlit"), found, HOME)
    assert (address.host, address.user, address.keys) == ("203.0.113.7", "ubuntu", ())
    assert address.names == ("i-0abc", "203.0.113.7")


@pytest.mark.parametrize(
    ("gateway", "host"), [(SSM, "i-0abc"), (ENDPOINT, "i-0abc"), ("ssh -W %h:%p bastion", "10.0.0.7")]
)
def test_a_gateway_leads_to_what_it_knows_the_instance_by(gateway, host):
    settings = HostSettings(gateway=gateway)
    assert address_of(context(), settings, lambda name: found(name, public=""), HOME).host == host


def test_an_instance_without_a_public_address_needs_a_gateway():
    with pytest.raises(HostError, match=r"i-0abc .* has no public address") as error:
        address_of(context(), HostSettings(), lambda name: found(name, public=""), HOME)
    assert "gateway" in error.value.to_do


def test_a_key_that_is_named_on_the_command_line_goes_before_that_of_the_settings():
    settings = HostSettings(address="shop", key="settings.pem")
    given = context(key_filename=["~/given.pem"], timeout=3, passphrase="open sesame")
    address = address_of(given, settings, nobody, HOME)
    assert (address.keys, address.connect_s, address.passphrase) == ((HOME / "given.pem",), 3, "open sesame")


def test_a_host_that_is_named_is_reached_as_ssh_would():
    settings = HostSettings(address="shop.example.org", key="settings.pem", gateway="nc %h", user="ubuntu")
    address = address_of(named("jane@198.51.100.4:2222", key_filename=["k.pem"]), settings, nobody, HOME)
    assert address == Address(
        host="198.51.100.4",
        user="jane",
        port=2222,
        keys=(Path("k.pem"),),
        known_hosts=(Path("data/known_hosts"), HOME / ".ssh/known_hosts"),
    )
    assert address.names == ("[198.51.100.4]:2222",)


def test_a_host_that_is_named_may_be_one_of_the_users_ssh_config(tmp_path):
    ssh_config = """
        Host shop
            HostName 198.51.100.4
            User jane
            Port 2222
            IdentityFile /keys/shop.pem
            ProxyCommand nc %h %p
            HostKeyAlias shop-one
            ConnectTimeout 4
    """
    address = address_of(named("shop", tmp_path, ssh_config), HostSettings(), nobody, HOME)
    assert (address.host, address.user, address.port) == ("198.51.100.4", "jane", 2222)
    assert (address.keys, address.gateway) == ((Path("/keys/shop.pem"),), "nc 198.51.100.4 2222")
    assert address.names == ("shop-one", "[198.51.100.4]:2222")
    assert address.connect_s == 4


def test_a_jump_is_made_as_ssh_makes_it(tmp_path):
    ssh_config = "Host inner\n  ProxyJump jane@bastion.example.org:2200\n"
    address = address_of(named("inner", tmp_path, ssh_config), HostSettings(), nobody, HOME)
    assert address.gateway == "ssh -W '[%h]:%p' -p 2200 -l jane -- bastion.example.org"


@pytest.mark.parametrize("host", ["-oProxyCommand=reboot", "shop;reboot", "shop name", "$(id)", "shop\nother"])
def test_what_is_no_host_is_not_given_to_any_program(host):
    with pytest.raises(HostError, match="is no host"):
        address_of(named(host), HostSettings(), nobody, HOME)


@pytest.mark.parametrize(
    ("address", "names", "said"),
    [
        (Address("shop", "jane", known_hosts=FILES), ("shop",), "jane@shop"),
        (Address("[2001:db8::7]", "jane", known_hosts=FILES), ("2001:db8::7",), "jane@[2001:db8::7]"),
        (Address("shop", "jane", 2222, alias="i-0abc", known_hosts=FILES), ("i-0abc", "[shop]:2222"), "jane@shop:2222"),
    ],
)
def test_an_address_has_names_as_known_hosts_writes_them(address, names, said):
    assert address.names == names
    assert str(address) == said
    assert address.connect_s == CONNECT_S
