"""One model of settings: the file, then the environment; every problem in one message."""

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from etl.errors import SettingsError
from ops.settings import Settings, load

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def settings_file(tmp_path):
    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return write


def test_the_file_of_the_project_holds_every_setting_with_its_default():
    written = tomllib.loads((ROOT / "settings.toml").read_text())
    fields = {name: set(type(getattr(Settings(), name)).model_fields) for name in Settings.model_fields}
    assert {name: set(section) for name, section in written.items()} == fields
    read = load(ROOT / "settings.toml")
    assert read.model_copy(update={"uptime": Settings().uptime}) == Settings()
    assert read.uptime.cadence == timedelta(minutes=30)


def test_the_names_of_the_system_are_the_defaults():
    assert Settings().s3.address == "s3://project02-kpi-ecommerce/processed/"
    assert Settings().dashboard.port == 8501


def test_the_environment_wins_over_the_file(settings_file, monkeypatch):
    path = settings_file('[s3]\nbucket = "from-file"\nprefix = "kpi"\n')
    monkeypatch.setenv("KPI_S3__BUCKET", "from-environment")
    assert load(path).s3.address == "s3://from-environment/kpi/"


def test_another_file_is_named_by_a_variable(settings_file, monkeypatch):
    monkeypatch.setenv("KPI_SETTINGS", str(settings_file('[dashboard]\ntitle = "Ours"\n')))
    assert load().dashboard.title == "Ours"


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load() == Settings()


def test_all_problems_stand_in_one_message_with_the_nearest_name(settings_file, monkeypatch):
    path = settings_file(
        '[s3]\nbuket = "x"\n[dashboard]\nport = "high"\nrefresh_s = -1\n[uptime]\n[[uptime.targets]]\nnam = "a"\n'
        '[etl]\ncurrency = "pounds"\n'
    )
    monkeypatch.setenv("KPI_DASHBORD__PORT", "1")
    with pytest.raises(SettingsError) as caught:
        load(path)
    said = str(caught.value)
    assert said.startswith("8 settings are wrong:")
    for part in (
        "s3.buket: no such setting; did you mean s3.bucket?",
        "dashboard.port = 'high'",
        "dashboard.refresh_s = -1",
        "uptime.targets.0.nam: no such setting; did you mean uptime.targets.0.name?",
        "uptime.targets.0.name = {'nam': 'a'}: Field required",
        "uptime.targets.0.url",
        "etl.currency = 'pounds'",
        "KPI_DASHBORD__PORT: no such setting; did you mean KPI_DASHBOARD?",
        str(path),
    ):
        assert part in said


@pytest.mark.parametrize("text", ["[s3", "a = \xff", "bucket"])
def test_a_file_that_is_no_toml_is_one_message(settings_file, text):
    path = settings_file("")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="cannot be read"):
        load(path)


def test_a_named_file_must_exist(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        load(tmp_path / "nowhere.toml")


def test_sales_files_stand_in_the_environment_as_in_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KPI_ETL__SOURCE", "/a/one.csv:s3://shop/exports/:/b/two.csv")
    assert load().etl.source == ("/a/one.csv", "s3://shop/exports/", "/b/two.csv")


@pytest.mark.parametrize(("name", "value"), [("KPI_ETL", "{bad"), ("KPI_S3", ""), ("KPI_UPTIME__CONTROL_URLS", "x")])
def test_a_variable_that_should_be_json_and_is_not_is_named(monkeypatch, tmp_path, name, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError):
        load()


def test_a_prefix_leads_nowhere_else(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KPI_S3__PREFIX", "a/../b")
    with pytest.raises(SettingsError, match="without"):
        load()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ('kind = "tcp"\nurl = "http://host"', "tcp://HOST:PORT is expected"),
        ('kind = "page"', "an http:// or https:// address is expected"),
        ('kind = "data"\nurl = "http://host"', "it is the published snapshot"),
        ('kind = "disk"\nurl = "http://host"', "uptime.targets.0.kind = 'disk'"),
    ],
)
def test_a_target_without_an_address_of_its_kind_is_told_what_it_should_be(settings_file, target, said):
    with pytest.raises(SettingsError) as caught:
        load(settings_file(f'[[uptime.targets]]\nname = "a"\n{target}\n'))
    assert said in str(caught.value)


def test_a_setting_within_a_section_within_a_section_is_named(settings_file):
    with pytest.raises(SettingsError) as caught:
        load(settings_file("[uptime.rules]\nopen_afer = 3\n"))
    assert "uptime.rules.open_afer: no such setting; did you mean uptime.rules.open_after?" in str(caught.value)


@pytest.mark.parametrize("cadence", ["inf", "nan", "1e300", "0"])
def test_a_cadence_that_no_clock_keeps_is_refused(settings_file, cadence):
    with pytest.raises(SettingsError, match=r"uptime\.cadence_minutes"):
        load(settings_file(f"[uptime]\ncadence_minutes = {cadence}\n"))


def test_a_secret_is_not_repeated_in_a_message(settings_file):
    with pytest.raises(SettingsError) as caught:
        load(settings_file('[alerts]\nwebhook = "hooks.example/T0/hush"\n'))
    assert "alerts.webhook = (not shown)" in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'issuer = "https://id.example"\nclient_secret = "hush-hush"\n',
        'issuer = "http://id.example"\ncookie_secret = "hush-hush"\n',
        'probe_token = "hush-hush and more"\n',
        'mail_domains = "hush"\nprobe_token = ["hush-hush"]\n',
    ],
)
def test_a_secret_of_the_sign_in_is_in_no_message_whatever_else_is_wrong(settings_file, text):
    with pytest.raises(SettingsError) as caught:
        load(settings_file(f"[sign_in]\n{text}"))
    assert "sign_in" in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_sign_in_names_what_it_lacks(settings_file):
    with pytest.raises(SettingsError, match="client_id and public_url and mail_domains expected beside issuer"):
        load(settings_file('[sign_in]\nissuer = "https://id.example"\n'))
