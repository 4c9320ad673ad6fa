"""What `kpi-host status` says of hosts that tests make up."""

MEGABYTE = 1024 * 1024
CLOCK_S = 1795599300.0  # 2026-11-25T09:35:00Z
CURRENT, OLDER = "20261125t080000.ab12cd3", "20261124t080000.99fe001"


def made_release(release=CURRENT, **changed):
    day = release[6:8]
    return {
        "release": release,
        "sha": release.partition(".")[2][:7] + "0" * 33,
        "dirty": False,
        "ref": "main",
        "made_at": f"2026-11-{day}T08:00:00Z",
        "who": "jane@laptop",
        "state": "current" if release == CURRENT else "good",
        "environment_ready": True,
        "reason": None,
        "bytes": 3 * MEGABYTE // 2,
        "lock_sha256": "l",
        "settings_sha256": "s",
    } | changed


def made_unit(release=CURRENT, state=(), **changed):
    page = {
        "release": release,
        "ready": True,
        "draining": release != CURRENT,
        "sessions": 3,
        "page_ms": 412.0,
        "data_age_s": 5 * 3600.0,
        "run_id": "20261125T043000Z-1a2b3c",
        "last_script_error": None,
        "problem": None,
    }
    told = None if state is None else page | dict(state)
    return {
        "release": release,
        "alias": None,
        "active": "active" if release == CURRENT else "deactivating",
        "memory_bytes": 210 * MEGABYTE,
        "state": told,
    } | changed


def made_host(**changed):
    return {
        "clock": CLOCK_S,
        "current": CURRENT,
        "previous": OLDER,
        "releases": [made_release(OLDER), made_release()],
        "units": [made_unit()],
        "socket": "active",
        "lock": None,
        "free_bytes": 5000 * MEGABYTE,
        "free_inodes": 1_000_000,
        "memory_available_bytes": 430 * MEGABYTE,
        "swap_free_bytes": 1000 * MEGABYTE,
        "port_owner": "systemd",
        "files": {},
        "settle_at": None,
    } | changed
