"""How much memory the ETL may take: what is free, within its limits; and what is said where that is too little."""

import pytest

from etl import engine
from etl.errors import SourceError
from etl.memory import available_bytes

GIB = 2**30
MEMINFO = "MemTotal:       24684036 kB\nMemFree:        1000 kB\nMemAvailable:    4194304 kB\n"


def machine(root, groups="", **files):
    """A file system of Linux' own: /proc, and the control groups."""
    places = {"proc/meminfo": MEMINFO, "proc/self/cgroup": groups} | files
    for place, text in places.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_a_limit_it_is_what_the_machine_has_free(tmp_path):
    assert available_bytes(machine(tmp_path, "0::/user.slice\n")) == 4 * GIB


def test_a_group_of_version_2_leaves_what_it_has_not_used_and_its_file_cache(tmp_path):
    files = {
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/memory.current": f"{GIB}\n",
        "sys/fs/cgroup/a/memory.max": f"{3 * GIB}\n",
        "sys/fs/cgroup/a/memory.current": f"{2 * GIB}\n",
        "sys/fs/cgroup/a/memory.stat": f"anon 1\ninactive_file {GIB // 2}\n",
    }
    assert available_bytes(machine(tmp_path, "0::/a/b\n", **files)) == GIB + GIB // 2


def test_a_group_of_version_1_does_so_too(tmp_path):
    files = {
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{2 * GIB}\n",
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/job/memory.stat": "total_inactive_file 4096\ninactive_file 0\n",
    }
    assert available_bytes(machine(tmp_path, "4:cpu,cpuacct:/x\n9:memory:/job\n", **files)) == GIB + 4096


def test_in_a_container_its_own_group_is_the_top_of_what_is_seen(tmp_path):
    files = {"sys/fs/cgroup/memory.max": f"{GIB}\n", "sys/fs/cgroup/memory.current": "0\n"}
    assert available_bytes(machine(tmp_path, "0::/../../docker/0815\n", **files)) == GIB


def test_a_group_that_is_full_leaves_nothing_and_a_machine_that_tells_nothing_is_not_known(tmp_path):
    files = {"sys/fs/cgroup/memory.max": "4096\n", "sys/fs/cgroup/memory.current": "8192\n"}
    assert available_bytes(machine(tmp_path / "full", "0::/\n", **files)) == 0
    assert available_bytes(tmp_path / "elsewhere") is None


def test_the_engine_keeps_to_its_share_and_says_so_where_that_is_too_little(tmp_path):
    made = engine.connect(tmp_path, 0, available_bytes=GIB)
    assert made.rows("SELECT current_setting('memory_limit')") == [("460.7 MiB",)]
    made.close()
    poor = engine.connect(tmp_path, 0, available_bytes=0)
    with pytest.raises(SourceError, match="need more memory than there is") as caught:
        poor.rows("SELECT list(range) FROM range(100000000)")
    assert "take fewer files at once" in caught.value.to_do
    poor.close()
