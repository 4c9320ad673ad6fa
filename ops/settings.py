"""Settings: settings.toml, then the environment; read once at a door, handed down as values."""

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from etl.errors import SettingsError

DEFAULT_PATH = Path("settings.toml")
PATH_VARIABLE = "KPI_SETTINGS"
ENV_PREFIX = "KPI_"
SECRETS = frozenset(  # never repeated in a message
    {"alerts.webhook", "sign_in.client_secret", "sign_in.cookie_secret", "sign_in.probe_token"}
)


def _with_slash(prefix: str) -> str:
    if ".." in prefix.split("/"):
        msg = "a prefix without .. is expected"
        raise ValueError(msg)
    stripped = prefix.strip("/")
    return f"{stripped}/" if stripped else ""


Positive = Annotated[float, Field(gt=0, le=1_000_000_000)]
Port = Annotated[int, Field(ge=0, le=65535)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


def _paths(value: object) -> object:
    """In the environment several stand as in PATH, with colons between; that of s3:// is none."""
    return [path for path in re.split(r":(?!//)", value) if path] if isinstance(value, str) else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnSettings(_Section):
    """[etl.columns]: the headers of the shop's own export, by what they hold; "" for none."""

    invoice: str = ""
    sku: str = ""
    description: str = ""
    quantity: str = ""
    at: str = ""
    price: str = ""
    amount: str = ""
    customer_id: str = ""
    country: str = ""


class EtlSettings(_Section):
    """[etl]"""

    source: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_paths)] = ()
    layout: str = "auto"
    dates: Literal["auto", "dmy", "mdy"] = "auto"
    columns: ColumnSettings = ColumnSettings()
    service_codes: tuple[str, ...] = ()
    cancellation: str = ""
    time_zone: str = ""
    out: Path = Path("data/processed")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "GBP"
    drop_duplicates: bool = False


class S3Settings(_Section):
    """[s3]"""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = "project02-kpi-ecommerce"
    prefix: Annotated[str, AfterValidator(_with_slash)] = "processed/"

    encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] = "AES256"

    @property
    def address(self) -> str:
        """s3://bucket/prefix/"""
        return f"s3://{self.bucket}/{self.prefix}"


class PublishSettings(_Section):
    """[publish]"""

    max_rows_down_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    max_days_back: Annotated[int, Field(ge=0)] = 0
    deadline_s: Positive = 600


class AuditSettings(_Section):
    """[audit]"""

    s3: bool = True
    unsent: Path = Path("data/audit")


class DashboardSettings(_Section):
    """[dashboard]"""

    title: str = "Shop KPIs"
    store: str = ""
    cache: str = "data/cache"
    address: str = "127.0.0.1"
    port: Port = 8501
    refresh_s: Positive = 60
    allowed_hosts: tuple[str, ...] = ()
    mask_customers: bool = False


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)  # as datetime.weekday() counts
Hours = Annotated[float, Field(gt=0, le=1_000_000)]


def _open_once_a_week(closed: tuple[Weekday, ...]) -> tuple[Weekday, ...]:
    if set(closed) == set(WEEKDAYS):
        msg = "a day of the week on which the shop is open is expected: else the data would never be too old"
        raise ValueError(msg)
    return closed


class FreshnessSettings(_Section):
    """[freshness]: ages in hours on two clocks; the data clock stands still on the (UTC) days the shop is closed."""

    generated_warn_h: Hours = 26
    generated_error_h: Hours = 50
    data_warn_h: Hours = 48
    data_error_h: Hours = 96
    closed_weekdays: Annotated[tuple[Weekday, ...], AfterValidator(_open_once_a_week)] = ()
    closed_days: tuple[date, ...] = ()
    dashboard: Annotated[str, Field(pattern=r"^(https?://[^\s]+)?$")] = ""


Counts = dict[str, Annotated[int, Field(ge=1)]]
Seconds = Annotated[float, Field(ge=0, le=90)]


URL_OF_KIND: Mapping[str, tuple[str, str]] = {
    "page": (r"https?://[^\s]+", "an http:// or https:// address"),
    "http": (r"https?://[^\s]+", "an http:// or https:// address"),
    "tcp": (r"tcp://[^\s/]+:[0-9]+", "tcp://HOST:PORT"),
    "data": ("", "none: it is the published snapshot that is looked at"),
}


def _of_its_kind(url: str, info: ValidationInfo) -> str:
    pattern, expected = URL_OF_KIND[info.data.get("kind", "page")]
    if not re.fullmatch(pattern, url):
        msg = f"for a target of this kind {expected} is expected"
        raise ValueError(msg)
    return url


class TargetSettings(_Section):
    """[[uptime.targets]]: what is looked at.

    `kind`: a Streamlit `page` that is run and read; a plain `http` answer; a `tcp` port; the published `data`.
    `signed_in`: the page asks people to sign in, and the probe shows its token.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
    kind: Literal["page", "http", "tcp", "data"] = "page"
    url: Annotated[str, AfterValidator(_of_its_kind), Field(validate_default=True)] = ""
    min: Counts = Field(default_factory=dict)
    text: tuple[str, ...] = ()
    pages: Literal["first", "all"] | tuple[str, ...] = "first"
    error_box: Literal["degraded", "up"] = "degraded"
    status: tuple[Annotated[int, Field(ge=100, le=599)], ...] = (200,)
    signed_in: bool = False
    fields: dict[str, str | int | float | bool] = Field(default_factory=dict)


class ProbeSettings(_Section):
    """[uptime.probe]: how long is looked, and how often before something is called down."""

    timeout_s: Annotated[float, Field(gt=0, le=90)] = 30
    waits_s: Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=5)] = (0, 5, 20)
    total_s: Annotated[float, Field(gt=0, le=90)] = 90


class RulesSettings(_Section):
    """[uptime.rules]: how samples become figures and incidents."""

    hold_cadences: Annotated[float, Field(ge=1, le=10)] = 1.5
    enough_coverage: Annotated[float, Field(ge=0, le=1)] = 0.5
    open_after: Annotated[int, Field(ge=1, le=10)] = 2
    close_after: Annotated[int, Field(ge=1, le=10)] = 2
    calm_changes: Annotated[int, Field(ge=1, le=100)] = 4
    flapping_h: Hours = 6


class UptimeSettings(_Section):
    """[uptime]"""

    directory: Path = Path("uptime")
    report: Path = Path("uptime.md")
    by: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")] = "laptop"
    cadence_minutes: Positive = 30
    control_urls: tuple[Url, ...] = ()
    publish: Annotated[str, Field(pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.*)?$")] = ""
    probe: ProbeSettings = ProbeSettings()
    rules: RulesSettings = RulesSettings()
    targets: tuple[TargetSettings, ...] = ()

    @property
    def cadence(self) -> timedelta:
        """How often the check is scheduled."""
        return timedelta(minutes=self.cadence_minutes)

    @property
    def numbers(self) -> str:
        """Where, below `publish`, the numbers of the report lie as JSON."""
        return f"{self.directory.name}/report.json"


class AlertSettings(_Section):
    """[alerts]: who is told of incidents. Addresses that are secrets come from the environment."""

    github: bool = False
    repository: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)?$")] = ""
    labels: tuple[Annotated[str, Field(pattern=r"^[^,]{1,50}$")], ...] = ("uptime",)
    assignees: tuple[str, ...] = ()
    webhook: Annotated[str, Field(repr=False, pattern=r"^(https?://[^\s]+)?$")] = ""
    sns_topic: Annotated[str, Field(pattern=r"^(arn:[^\s]+)?$")] = ""
    remind_h: Hours = 24


class GateSettings(_Section):
    """[host.gate]: what every page of a new release must show before anybody else sees it."""

    timeout_s: Annotated[float, Field(ge=1, le=120)] = 30
    min: Counts = Field(default_factory=dict)
    text: tuple[str, ...] = ()
    error_box: Literal["refused", "accepted"] = "refused"


LogDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400]


class AgentSettings(_Section):
    """[host.agent]: the CloudWatch agent."""

    install: bool = False
    url: Url = "https://amazoncloudwatch-agent.s3.amazonaws.com/ubuntu/amd64/latest/amazon-cloudwatch-agent.deb"
    key_url: Url = "https://amazoncloudwatch-agent.s3.amazonaws.com/assets/amazon-cloudwatch-agent.gpg"
    fingerprint: Annotated[str, Field(pattern=r"^[0-9A-F]{40}$")] = "937616F3450B7D806CBD9725D58167303B789C72"
    memory_max_mb: Annotated[int, Field(ge=50, le=2000)] = 150
    log_days: LogDays = 30


Megabytes = Annotated[int, Field(ge=0, le=1_000_000)]
Variable = Annotated[str, Field(pattern=r"^[^\n\x00]*$")]


def _no_secret(variables: dict[str, str]) -> dict[str, str]:
    for name in variables:
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            msg = f"{name}: a name like AWS_REGION is expected"
            raise ValueError(msg)
        if re.search(r"SECRET|PASSWORD|TOKEN", name):
            msg = f"{name}: no secret is expected here; the host's role, or /etc/kpi-ops/secrets.env on the host"
            raise ValueError(msg)
    return variables


class HostSettings(_Section):
    """[host]: the one server, how it is reached and what it gives the dashboard."""

    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\[\]-]*$")] = ""
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "ubuntu"
    port: Port = 22
    key: str = ""
    known_hosts: Path = Path("data/known_hosts")
    gateway: str = ""
    name: str = "project02-streamlit"
    domain: Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]*\.)+[A-Za-z]{2,})?$")] = ""
    internal_tls: bool = False
    environment: Annotated[dict[str, Variable], AfterValidator(_no_secret)] = Field(default_factory=dict)
    memory_high_mb: Megabytes = 380
    memory_max_mb: Megabytes = 450
    watchdog_s: Annotated[float, Field(ge=9, le=3600)] = 180
    swap_mb: Megabytes = 1024
    journal_mb: Megabytes = 200
    keep_releases: Annotated[int, Field(ge=3, le=50)] = 5
    drain_minutes: Annotated[float, Field(ge=0, le=240)] = 15
    watch_s: Annotated[float, Field(ge=0, le=3600)] = 60
    package_index: Annotated[str, Field(pattern=r"^(https?://[^\s]+)?$")] = ""
    gate: GateSettings = GateSettings()
    agent: AgentSettings = AgentSettings()


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    """Each an IPv4 or IPv6 network, a single address as /32 or /128, no host bits set."""
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            msg = f"{value}: {error}; a network like 203.0.113.7/32 is expected"
            raise ValueError(msg) from error
    return values


OF_A_VPC = range(16, 29)  # how long a prefix AWS takes


def _private_network(value: str) -> str:
    """An IPv4 network of /16 to /28 that is nobody's on the internet: what a VPC may have."""
    network = ipaddress.ip_network(value)
    if not isinstance(network, ipaddress.IPv4Network) or not network.is_private or network.prefixlen not in OF_A_VPC:
        msg = "a private IPv4 network of /16 to /28, like 10.20.0.0/24, is expected"
        raise ValueError(msg)
    return value


def _not_the_world(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if ipaddress.ip_network(value).prefixlen == 0:
            msg = f"{value}: the world is not expected here"
            raise ValueError(msg)
    return values


Networks = Annotated[tuple[str, ...], AfterValidator(_networks), AfterValidator(_not_the_world)]


class GithubSettings(_Section):
    """[stack.github]: which repository's workflows may take the three roles, and from which environments."""

    repository: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)?$")] = ""
    owner_id: Annotated[str, Field(pattern=r"^[0-9]*$")] = ""
    repository_id: Annotated[str, Field(pattern=r"^[0-9]*$")] = ""
    etl_environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "etl"
    probe_environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "probe"
    deploy_environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "production"
    etl_source: Annotated[str, Field(pattern=r"^([a-z0-9.-]{3,63}/[A-Za-z0-9_./=-]+\*?)?$")] = ""

    @model_validator(mode="after")
    def _by_number_too(self) -> Self:
        if self.repository and not (self.owner_id and self.repository_id):
            msg = f"owner_id and repository_id of {self.repository} are expected: a name alone can change hands"
            raise ValueError(msg)
        return self


class StackSettings(_Section):
    """[stack]: what `fab provision` makes in the account. The instance is named by [host] name, the bucket by [s3]."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$")] = "project02-kpi"
    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/=+@-]{1,64}$")] = "project02"
    environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/=+@-]{1,64}$")] = "production"
    expected_account_id: Annotated[str, Field(pattern=r"^([0-9]{12})?$")] = ""
    role: Annotated[str, Field(pattern=r"^[A-Za-z0-9+=,.@_-]{1,64}$")] = "EC2_Project02_S3ReadOnly"
    security_group: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,254}$")] = "project02-streamlit-sg"
    network: Annotated[str, AfterValidator(_private_network)] = "10.20.0.0/24"
    instance_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9]+$")] = "t2.micro"
    ami_parameter: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_./-]+$")] = (
        "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    )
    key_pair: Annotated[str, Field(pattern=r"^[ -~]{0,255}$")] = ""
    disk_gb: Annotated[int, Field(ge=8, le=1000)] = 16
    elastic_ip: bool = True
    ssm: bool = True
    admin_networks: Networks = ()
    viewer_networks: Networks = ()
    open_to_the_world: bool = False
    door_for_probe: bool = False
    alarm_email: Annotated[str, Field(pattern=r"^([^@\s]+@[^@\s]+)?$")] = ""
    noncurrent_days: Annotated[int, Field(ge=1, le=3650)] = 90
    github: GithubSettings = GithubSettings()


_Unspoken = Annotated[str, Field(repr=False, pattern=r"^[!-~]*$")]


class SignInSettings(_Section):
    """[sign_in]: who may see the page. Off while `issuer` is empty; the three secrets come from the environment."""

    issuer: Annotated[
        str, Field(pattern=r"^(https://[^\s?#]+|http://(localhost|127\.0\.0\.1)(:[0-9]+)?[^\s?#]*)?$")
    ] = ""
    client_id: Annotated[str, Field(pattern=r"^[!-~]*$")] = ""
    public_url: Annotated[
        str, Field(pattern=r"^(https://[^\s/?#@]+|http://(localhost|127\.0\.0\.1)(:[0-9]+)?)?/?$")
    ] = ""
    mail_domains: tuple[Annotated[str, Field(pattern=r"^[^\s@]+\.[^\s@]+$")], ...] = ()
    hours: Hours = 24
    unsaid_is_verified: bool = False
    client_secret: _Unspoken = ""
    cookie_secret: _Unspoken = ""
    probe_token: _Unspoken = ""

    @property
    def on(self) -> bool:
        """Whether people sign in at all."""
        return bool(self.issuer)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        lacking = [name for name in ("client_id", "public_url", "mail_domains") if not getattr(self, name)]
        if self.issuer and lacking:
            msg = f"{' and '.join(lacking)} expected beside issuer"
            raise ValueError(msg)
        return self


class Settings(BaseSettings):
    """All settings. Build with `load`; every value below a door is passed in from here."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    etl: EtlSettings = EtlSettings()
    s3: S3Settings = S3Settings()
    publish: PublishSettings = PublishSettings()
    audit: AuditSettings = AuditSettings()
    dashboard: DashboardSettings = DashboardSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    uptime: UptimeSettings = UptimeSettings()
    alerts: AlertSettings = AlertSettings()
    host: HostSettings = HostSettings()
    stack: StackSettings = StackSettings()
    sign_in: SignInSettings = SignInSettings()

    @property
    def store_address(self) -> str:
        """Where the dashboard reads: its own setting, else the published snapshot on S3."""
        return self.dashboard.store or self.s3.address

    @property
    def uptime_address(self) -> str:
        """Where the dashboard reads the numbers on uptime: where the check publishes, else beside the snapshot."""
        return self.uptime.publish or self.store_address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over what `load` read from the file."""
        return env_settings, init_settings


def load(path: Path | None = None) -> Settings:
    """Read settings.toml (or KPI_SETTINGS, or `path`), then the environment. Raises SettingsError naming every problem.

    Without a `path` a missing settings.toml means the defaults; a file that was named must exist.
    """
    by_variable = os.environ.get(PATH_VARIABLE)
    named = path or (Path(by_variable) if by_variable else None)
    file = named or DEFAULT_PATH
    values = _read(file) if named or file.exists() else {}
    strays = _stray_variables(os.environ)
    try:
        settings = Settings(**values)
    except UnreadableVariable as error:
        raise _all_problems(file, [*strays, f"{error}: JSON is expected there"]) from error
    except ValidationError as error:
        raise _all_problems(file, [*map(_problem, error.errors(include_url=False)), *strays]) from error
    if strays:
        raise _all_problems(file, strays)
    return settings


def _stray_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like ours but name no section: pydantic would pass over them in silence."""
    ours = [name for name in environ if name.startswith(ENV_PREFIX) and "__" in name]
    sections = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
    return [_no_such(name, sorted(sections)) for name in sorted(ours) if name.split("__")[0].upper() not in sections]


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or error}",
            expected="a TOML file like the settings.toml of the project",
            to_do=f"mend it, or name another with {PATH_VARIABLE}",
        ) from error


def _all_problems(file: Path, problems: list[str]) -> SettingsError:
    count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
    return SettingsError(
        "\n    ".join([f"{count} wrong:", *problems]),
        expected=f"the keys and kinds of values explained in {DEFAULT_PATH}",
        to_do=f"mend {file}, or the {ENV_PREFIX}... variable of that name",
    )


def _problem(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        secret = any(name == place or name.startswith(f"{place}.") for name in SECRETS)
        shown = "(not shown)" if secret else repr(item["input"])
        return f"{place} = {shown}: {item['msg']}"
    return _no_such(place, [".".join(map(str, [*item["loc"][:-1], key])) for key in _keys(item["loc"][:-1])])


def _no_such(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name}: no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _keys(place: tuple[str | int, ...]) -> list[str]:
    """The keys that are known at a place in the settings."""
    if not place:
        return list(Settings.model_fields)
    if place[:2] == ("uptime", "targets"):
        return list(TargetSettings.model_fields)
    section: Any = Settings
    for part in place:
        field = section.model_fields.get(str(part))
        section = field.annotation if field else None
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return []
    return list(section.model_fields)
