"""The stack's template: everything by its literal name, so that what is there already can be taken over. Pure."""

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from etl.errors import StackError
from ops import monitoring
from ops.audit.change import AUDIT_PREFIX
from ops.render import render
from ops.settings import Settings
from ops.stack import names
from ops.stack.cloudwatch import body
from ops.stack.inputs import Inputs
from ops.stack.limits import SSH_PORT, refused

LOGS: Final = {"ChecksLog": monitoring.CHECKS, "DashboardLog": monitoring.DASHBOARD, "SystemLog": monitoring.SYSTEM}
WORLD: Final = "0.0.0.0/0"
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Ingress:
    """A rule of the security group; `kind` is CidrIp or CidrIpv6."""

    logical: str
    kind: str
    network: str
    port: int
    why: str


def template(inputs: Inputs) -> str:
    """The YAML that CloudFormation is given. Raises StackError where AWS would not take what the settings say."""
    settings = inputs.settings
    if problems := refused(settings):
        raise StackError(
            "\n    ".join(["no stack can be made of the settings:", *problems]),
            expected="names that AWS takes",
            to_do="mend them in settings.toml, or in the KPI_... variable of that name",
        )
    return render(
        "stack.yaml.j2",
        settings=settings,
        inputs=inputs,
        names=names,
        tags=lambda **more: _tags(inputs, **more),
        roles=[(role, *of, names.subjects(settings, of[1])) for role, of in names.workflow_roles(settings).items()],
        ingress=list(ingress(settings)),
        bursts=bursts(settings.stack.instance_type),
        logs=LOGS,
        filters=[asdict(made) for made in monitoring.METRIC_FILTERS],
        alarms=alarms(settings),
        namespace=monitoring.NAMESPACE,
        metric_actions=monitoring.METRIC_ACTIONS,
        log_actions=monitoring.LOG_ACTIONS,
        log_groups=monitoring.LOG_GROUPS,
        audit_prefix=AUDIT_PREFIX,
        dashboard_body=body(settings, alarms(settings)),
        user_data=render("stack-user-data.yaml.j2", ssm=settings.stack.ssm),
    )


def bursts(instance_type: str) -> bool:
    """Whether it saves CPU credits, as t2, t3, t3a and t4g do (trn1 does not)."""
    return re.match(r"t\d", instance_type) is not None


def alarms(settings: Settings) -> tuple[monitoring.Alarm, ...]:
    """Those of the host and the dashboard; data is too old when [freshness] calls it an error."""
    return monitoring.alarms(data_too_old_s=settings.freshness.generated_error_h * HOUR_S)


def ingress(settings: Settings) -> Iterator[Ingress]:
    """Who gets in, and where: each network by a rule of its own, so that a change of one touches no other."""
    stack = settings.stack
    for network in _different(stack.admin_networks):
        yield _rule("Ssh", network, SSH_PORT, "SSH for an administrator")
    for port in names.public_ports(settings):
        for network in _different(stack.viewer_networks):
            yield _rule(f"Viewer{port}", network, port, "the dashboard, for a viewer")
        if stack.open_to_the_world:
            yield Ingress(f"World{port}", "CidrIp", WORLD, port, "the dashboard, for everybody, by open_to_the_world")


def _different(networks: tuple[str, ...]) -> Iterable[str]:
    """As EC2 writes them, each once: it takes no rule twice."""
    return dict.fromkeys(str(ipaddress.ip_network(network)) for network in networks)


def _rule(word: str, network: str, port: int, why: str) -> Ingress:
    kind = "CidrIpv6" if ":" in network else "CidrIp"
    return Ingress(names.logical(word, network), kind, network, port, why)


def _tags(inputs: Inputs, **more: str) -> str:
    """As YAML takes them, on one line."""
    listed: list[dict[str, Any]] = [
        {"Key": key, "Value": value} for key, value in {**more, **names.tags(inputs.settings)}.items()
    ]
    return json.dumps(listed)
