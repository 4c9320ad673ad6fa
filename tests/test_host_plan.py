"""What a host should have beside what it has: which steps come of it, in which order, with which diffs. No host."""

from dataclasses import replace

import pytest

from etl.errors import HostError
from ops.host import bootstrap
from ops.host.facts import BLANK, Found, UnitState, UserFound, question
from ops.host.fitness import refuse_unfit
from ops.host.plan import compare
from ops.host.rendered import rendered
from ops.host.resources import (
    RELOAD,
    RELOADED,
    Absent,
    Command,
    Directory,
    File,
    Kept,
    Link,
    Note,
    Package,
    Reaction,
    Tree,
    Unit,
    User,
)
from ops.host.wanted import quoted, wanted
from ops.onhost import layout
from ops.settings import HostSettings, Settings

CONF = File("/etc/x.conf", "a = 1\nb = 2\n")
AS_IT_IS = {True: UnitState("loaded", "active", "enabled"), False: UnitState()}
OF_ROOT = {"owner": "root", "group": "root"}


def file_of(content, mode=0o644, **rights):
    return Found("file", mode, **{**OF_ROOT, **rights}, size=len(content), content=content)


def facts(**known):
    return replace(BLANK, **known)


def steps(resources, **known):
    return compare(resources, facts(**known)).steps


def summaries(resources, **known):
    return [step.summary for step in steps(resources, **known)]


def argvs(step):
    return [action["argv"] for action in step.actions if action["do"] == "run"]


def as_wanted(settings, **other):
    """Facts of a host on which everything is as these settings want it."""
    base = facts(packages={"systemd-timesyncd": "1", "unattended-upgrades": "1"}, **other)
    resources = wanted(settings, base)
    asked = question(resources, ports=(), disk="/")
    users = [user for user in resources if isinstance(user, User)]
    paths = dict.fromkeys(asked.paths)
    for resource in [getattr(resource, "file", resource) for resource in resources]:
        for file in resource.files if isinstance(resource, Tree) else [resource]:
            if isinstance(file, File):
                paths[file.path] = file_of(file.data, file.mode)
            elif isinstance(file, Kept):
                paths[file.path] = Found("file", file.mode, file.owner, file.group)
            elif isinstance(file, Directory):
                paths[file.path] = Found("directory", file.mode, file.owner, file.group)
    return replace(
        base,
        packages=dict.fromkeys([resource.name for resource in resources if isinstance(resource, Package)], "1")
        | base.packages,
        users={user.name: UserFound("/nonexistent", "/usr/sbin/nologin", user.name) for user in users},
        groups={group: tuple(user.name for user in users) for user in users for group in user.groups},
        paths=paths,
        units={unit.name: AS_IT_IS[unit.enabled] for unit in resources if isinstance(unit, Unit)},
        tests=dict.fromkeys(asked.tests, 0),
    )


# --- files


def test_a_missing_file_is_written_with_all_its_lines_in_the_diff():
    (step,) = steps([CONF], paths={CONF.path: None})
    assert step.summary == "write /etc/x.conf (0644 root:root)"
    assert step.diff.splitlines() == ["--- /dev/null", "+++ /etc/x.conf", "@@ -0,0 +1,2 @@", "+a = 1", "+b = 2"]


def test_a_file_that_somebody_edited_shows_what_would_be_lost():
    (step,) = steps([CONF], paths={CONF.path: file_of(b"a = 1\nb = 3\n")})
    assert step.summary == "change /etc/x.conf (0644 root:root)"
    assert step.diff.splitlines()[-2:] == ["-b = 3", "+b = 2"]


def test_a_file_with_other_rights_is_given_ours_and_both_are_shown():
    (step,) = steps([CONF], paths={CONF.path: file_of(CONF.data, 0o666, owner="admin")})
    assert step.diff == "-0666 admin:root\n+0644 root:root"


def test_a_file_that_is_no_text_is_compared_all_the_same():
    key = File("/etc/key.gpg", b"\xff\x00\x01")
    (step,) = steps([key], paths={key.path: file_of(b"\xfe\x00")})
    assert step.diff == "content differs: 2 and 3 bytes, not text"
    assert steps([key], paths={key.path: file_of(b"\xff\x00\x01")}) == ()


def test_a_link_in_the_place_of_a_file_is_written_over_and_a_directory_is_refused():
    assert summaries([CONF], paths={CONF.path: Found("link", 0o777, **OF_ROOT, target="/tmp/x")})
    with pytest.raises(HostError, match=r"/etc/x.conf on the host is of the kind: directory"):
        steps([CONF], paths={CONF.path: Found("directory", 0o755, **OF_ROOT)})


def test_what_a_person_keeps_is_never_read_and_only_made_where_it_is_missing():
    kept = Kept("/etc/secrets.env")
    assert question([kept], ports=(), disk="/").paths == {kept.path: "status"}
    assert summaries([kept], paths={kept.path: None}) == ["make /etc/secrets.env, empty (0600 root:root)"]
    assert summaries([kept], paths={kept.path: Found("file", 0o600, **OF_ROOT, size=99)}) == []
    (step,) = steps([kept], paths={kept.path: Found("file", 0o644, **OF_ROOT, size=99)})
    assert step.diff == "-0644 root:root\n+0600 root:root"


def test_a_directory_is_made_once_and_keeps_its_rights():
    directory = Directory("/opt/kpi")
    assert summaries([directory], paths={"/opt/kpi": None}) == ["make /opt/kpi/ (0755 root:root)"]
    assert summaries([directory], paths={"/opt/kpi": Found("directory", 0o755, **OF_ROOT)}) == []
    assert summaries([directory], paths={"/opt/kpi": Found("directory", 0o777, **OF_ROOT)})


def test_links_are_made_and_what_should_be_absent_is_removed():
    link, gone = Link("/a", "b"), Absent("/c")
    there = {"/a": Found("link", 0o777, **OF_ROOT, target="b"), "/c": None}
    assert summaries([link, gone], paths=there) == []
    wrong = {"/a": Found("link", 0o777, **OF_ROOT, target="x"), "/c": file_of(b"")}
    assert summaries([link, gone], paths=wrong) == ["link /a to b", "remove /c"]


def test_files_of_a_tree_change_together_and_strays_of_their_kind_go():
    tree = Tree("/lib/tool", (File("/lib/tool/a.py", "1\n"), File("/lib/tool/b.py", "2\n")), ".py")
    directory = Found("directory", 0o755, **OF_ROOT, names=("a.py", "b.py", "old.py", "notes.txt"))
    there = {"/lib/tool": directory, "/lib/tool/a.py": file_of(b"1\n"), "/lib/tool/b.py": file_of(b"3\n")}
    (step,) = steps([tree], paths=there)
    assert step.summary == "change /lib/tool/ (1 of 2 files)"
    assert step.diff.splitlines()[-3:] == ["-3", "+2", "remove /lib/tool/old.py"]
    (action,) = step.actions
    assert [file["path"] for file in action["files"]] == ["/lib/tool/a.py", "/lib/tool/b.py"]


# --- packages, users, units, commands


def test_missing_packages_are_installed_in_one_go_and_no_index_is_read_without_one():
    resources = [Package("b"), CONF, Package("a"), Package("c")]
    there = {"paths": {CONF.path: file_of(CONF.data)}}
    (step,) = steps(resources, packages={"c": "1"}, **there)
    assert step.summary == "install a, b"
    assert ["apt-get", "update", "-q"] in argvs(step)
    assert argvs(step)[-1][-3:] == ["install", "a", "b"]
    assert steps(resources, packages={"a": "1", "b": "1", "c": "1"}, **there) == ()


def test_the_user_cannot_log_in_and_loses_a_shell_that_somebody_gave_it():
    user = User("kpi", groups=("adm",))
    assert summaries([user]) == ["add the user kpi, who cannot log in", "add the user kpi to the group adm"]
    good, bad = (UserFound("/nonexistent", shell, "kpi") for shell in ("/usr/sbin/nologin", "/bin/bash"))
    assert summaries([user], users={"kpi": good}, groups={"adm": ("kpi",)}) == []
    (step,) = steps([user], users={"kpi": bad}, groups={"adm": ("kpi",)})
    assert argvs(step) == [["usermod", "--shell", "/usr/sbin/nologin", "--home", "/nonexistent", "kpi"]]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (UnitState("loaded", "active", "enabled"), []),
        (UnitState("not-found"), ["let x.socket start at boot", "start x.socket"]),
        (UnitState("loaded", "failed", "enabled"), ["start x.socket"]),
        (UnitState("loaded", "active", "disabled"), ["let x.socket start at boot"]),
    ],
)
def test_a_unit_is_enabled_and_started_where_it_is_not(state, expected):
    assert summaries([Unit("x.socket")], units={"x.socket": state}) == expected


def test_a_unit_whose_own_conditions_forbid_it_is_told_of_and_not_started_for_ever():
    planned = compare(
        [Unit("clock.service")],
        facts(units={"clock.service": UnitState("loaded", "inactive", "enabled", conditions_fail=True)}),
    )
    assert planned.steps == ()
    assert planned.notes == (
        "clock.service does not run here: its own conditions do not hold (systemctl status clock.service)",
    )


def test_a_command_runs_unless_its_test_says_that_it_was_done():
    command = Command("make it so", ("make", "it"), unless=("test", "it"))
    assert [argvs(step) for step in steps([command], tests={command.unless: 1})] == [[["make", "it"]]]
    assert steps([command], tests={command.unless: 0}) == ()


def test_a_reaction_follows_a_change_once_and_nothing_else():
    unit = replace(CONF, then=(RELOADED,))
    assert summaries([unit, RELOAD, RELOAD], paths={CONF.path: None})[1:] == ["tell systemd of its changed units"]
    assert summaries([unit, RELOAD], paths={CONF.path: file_of(CONF.data)}) == []


def test_a_reaction_that_an_interrupted_run_still_owes_is_made_up_for():
    owed = summaries([RELOAD], due=frozenset({RELOADED}))
    assert owed == ["tell systemd of its changed units (left over from an interrupted run)"]


def test_a_reaction_is_noted_before_the_change_and_crossed_out_after_it():
    change, reaction = steps(
        [replace(CONF, then=("r",)), Reaction("r", "react", (("true",),))], paths={CONF.path: None}
    )
    assert change.due == ("r",)
    assert reaction.actions[-1] == {"do": "settled", "name": "r"}


# --- a whole host


@pytest.mark.parametrize("host", [{}, {"agent": {"install": True}}, {"domain": "kpi.example.org"}])
def test_a_host_that_is_as_it_should_be_needs_nothing_and_says_so(host):
    settings = Settings(host=host)
    known = as_wanted(settings)
    planned = compare(wanted(settings, known), known)
    assert planned.steps == ()
    assert planned.text.splitlines()[-1] == "nothing to do: the host is as it should be"


def test_a_blank_host_gets_its_login_changed_last_and_kpi_host_before_the_units():
    settings = Settings()
    resources = wanted(settings, BLANK)
    asked = question(resources, ports=(), disk="/")
    blank = facts(
        paths=dict.fromkeys([*asked.paths, str(layout.CURRENT)]),
        units={name: UnitState() for name in asked.units},
        tests=dict.fromkeys(asked.tests, 1),
    )
    planned = compare(resources, blank)
    told = [step.summary for step in planned.steps]
    assert told[0].startswith("install ca-certificates, python3-venv, systemd-timesyncd, unattended-upgrades")
    assert planned.steps[-1].door
    assert told.index("write /usr/local/sbin/kpi-host (0755 root:root)") < told.index(
        "let kpi-dashboard.socket start at boot"
    )
    assert "make a swap file of 1024 MB (/swapfile)" in told
    assert "start kpi-dashboard.socket" not in told
    assert "no release yet: the public port opens with the first `fab deploy`" in planned.notes


def test_a_changed_port_is_opened_anew_with_all_releases_gone_and_the_plan_says_so():
    old, new = Settings(), Settings(dashboard={"port": 8600})
    release = {str(layout.CURRENT): Found("directory", 0o755, **OF_ROOT, target="releases/r1")}
    known = as_wanted(old, instances=("kpi-dashboard@r1.service",))
    known = replace(known, paths={**known.paths, **release})
    told = compare(wanted(new, known), known).steps
    assert [step.summary for step in told] == [
        "change /etc/systemd/system/kpi-dashboard.socket (0644 root:root)",
        "tell systemd of its changed units",
        "open the public port anew: for some seconds nobody is served, and open sessions end",
    ]
    at_once, stop, start, dispatch = argvs(told[-1])
    assert at_once == ["touch", "/run/kpi-dashboard/r1/at-once"]
    assert stop[-4:] == ["systemctl", "stop", "kpi-dashboard.socket", "kpi-dashboard@r1.service"]
    assert start == ["systemctl", "start", "kpi-dashboard.socket"]
    assert dispatch == ["systemctl", "start", "kpi-dashboard.service"]


def test_a_socket_that_was_closed_under_a_living_release_is_opened_again():
    known = as_wanted(Settings(), instances=("kpi-dashboard@r1.service",))
    closed = {layout.SOCKET_UNIT: UnitState("loaded", "inactive", "enabled")}
    known = replace(known, units={**known.units, **closed})
    told = [step.summary for step in compare(wanted(Settings(), known), known).steps]
    assert told == ["open the public port anew: for some seconds nobody is served, and open sessions end"]


def test_a_changed_unit_of_the_releases_restarts_nobody():
    known = as_wanted(Settings(), instances=("kpi-dashboard@r1.service",))
    other = Settings(host={"memory_max_mb": 500})
    told = [step.summary for step in compare(wanted(other, known), known).steps]
    assert told == [
        "change /etc/systemd/system/kpi-dashboard@.service (0644 root:root)",
        "tell systemd of its changed units",
    ]


@pytest.mark.parametrize(
    ("known", "note"),
    [
        ({"container": "lxc"}, "no swap file: a container (lxc) cannot have one"),
        ({"root_filesystem": "btrfs"}, "no swap file: btrfs cannot have one"),
        ({"swaps": {"/dev/xvdb": 2048}}, "no swap file: the host swaps to /dev/xvdb already"),
    ],
)
def test_where_no_swap_file_can_or_need_be_made_it_is_said_and_the_rest_goes_on(known, note):
    assert Note(note) in wanted(Settings(), facts(**known))


def test_without_swap_in_the_settings_ours_goes():
    resources = wanted(Settings(host={"swap_mb": 0}), BLANK)
    assert Unit("swapfile.swap", enabled=False, active=False) in resources
    assert Absent("/swapfile") in resources


def test_whatever_keeps_the_time_already_is_left_to_do_so():
    assert Unit("chrony.service") in wanted(Settings(), facts(packages={"chrony": "4.5"}))
    assert Package("systemd-timesyncd") not in wanted(Settings(), facts(packages={"chrony": "4.5"}))


def test_a_value_of_the_environment_is_quoted_as_systemd_reads_it():
    assert quoted('a "b" $c \\d #e') == '"a \\"b\\" \\$c \\\\d #e"'


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"distribution": "fedora", "release": "43", "name": "Fedora Linux 43"}, "it runs Fedora Linux 43"),
        ({"release": "22.04", "name": "Ubuntu 22.04.5 LTS", "python": "3.10.12"}, "its python3 is 3.10.12"),
        ({"booted_by_systemd": False}, "systemd does not run there"),
        ({"free_mb": 700}, "700 MB of disk are free: 2524 are needed, 1024 of them for the swap file"),
        ({"free_inodes": 100}, "100 inodes are free"),
        ({"read_only": True}, "its disk can only be read"),
        ({"ports": {8501: "nginx (pid 812)"}}, "port 8501 is held by nginx (pid 812): stop it there"),
    ],
)
def test_a_host_that_cannot_be_ours_is_refused_before_anything_is_changed(known, said):
    with pytest.raises(HostError, match="nothing was changed") as refused:
        refuse_unfit(facts(**known), HostSettings(), 8501)
    assert said in str(refused.value)


def test_all_reasons_against_a_host_are_told_at_once():
    with pytest.raises(HostError) as refused:
        refuse_unfit(facts(booted_by_systemd=False, free_mb=1, distribution="void", name="Void"), HostSettings(), 8501)
    assert [line.strip() for line in refused.value.seen.splitlines()[1:3]] == [
        "it runs Void",
        "systemd does not run there",
    ]


@pytest.mark.parametrize("owner", ["systemd (pid 1)", "systemd (pid 1), python (pid 99)"])
def test_a_port_that_systemd_holds_is_ours(owner):
    refuse_unfit(facts(ports={8501: owner}), HostSettings(), 8501)


def test_a_front_needs_the_ports_of_the_web():
    with pytest.raises(HostError, match=r"port 443 is held by nginx \(pid 9\): Caddy needs it"):
        refuse_unfit(
            facts(ports={443: "nginx (pid 9)", 80: "caddy (pid 7)"}), HostSettings(domain="kpi.example.org"), 8501
        )


# --- what is rendered


def test_every_text_is_rendered_without_a_host():
    texts = rendered(Settings(host={"environment": {"AWS_REGION": "eu-west-1"}}))
    units = {
        f"/etc/systemd/system/{name}"
        for name in ("kpi-dashboard.socket", "kpi-dashboard@.service", "kpi-ops-uptime.timer")
    }
    assert units <= set(texts)
    assert 'AWS_REGION="eu-west-1"\n' in texts["/etc/kpi-ops/dashboard.env"]
    assert not [path for path in texts if path.startswith("/usr/local/lib/")]


def test_what_a_plan_shows_is_counted():
    assert bootstrap.compare([CONF], facts(paths={CONF.path: None})).text.endswith("\n1 change to make")
