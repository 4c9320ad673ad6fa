#!/bin/sh
# The first process of a host: makes its file system in namespaces of its own, then becomes the distribution's init.
#
# Started as `first.sh` within new mount, pid, uts and ipc namespaces and the host's network namespace. One line on
# standard input says that the process has been put into its cgroups; for that it waits. Variables:
#   HOST_NAME             its hostname
#   HOST_ROOT             where the root is put together (an empty directory)
#   HOST_LOWER            layers below, topmost first, with colons between
#   HOST_DISK             a directory that holds `upper` and `work`
#   HOST_DISK_IMAGE       a file with a file system that is mounted there first; empty: the directory as it is
#   HOST_CGROUPS          `v2`, or DIRECTORY=OPTIONS for each hierarchy of cgroup v1
#   HOST_MEMINFO          a file shown as /proc/meminfo; empty: the machine's own
set -eu

# A container's /dev is often made once: the node of the loop device that is free now may be missing. And where another
# takes that device first, or none is to be had, memory of the same size serves, except that it does not outlive the boot.
mount_disk() {
    mount -o loop "$HOST_DISK_IMAGE" "$HOST_DISK" && return
    for number in $(seq 0 63); do
        [ -e "/dev/loop$number" ] || mknod "/dev/loop$number" b 7 "$number" || break
    done
    for _ in 1 2 3; do
        mount -o loop "$HOST_DISK_IMAGE" "$HOST_DISK" && return
        sleep 0.3
    done
    mount -t tmpfs -o "mode=755,size=$(stat -c %s "$HOST_DISK_IMAGE")" "kpi-disk" "$HOST_DISK"
}

if [ -z "${HOST_IN_CGROUP:-}" ]; then
    # Before that, because no host may use a loop device.
    [ -z "$HOST_DISK_IMAGE" ] || mount_disk
    read -r _
    # Only now: a cgroup namespace is rooted where the process is when it is made.
    HOST_IN_CGROUP=1 exec unshare --cgroup /bin/sh "$0"
fi

root=$HOST_ROOT
mkdir -p "$HOST_DISK/upper" "$HOST_DISK/work"
mount -t overlay -o "lowerdir=$HOST_LOWER,upperdir=$HOST_DISK/upper,workdir=$HOST_DISK/work" overlay "$root"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,size=1m tmpfs "$root/dev"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"

for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    numbers=${node#*:}
    mknod -m 666 "$root/dev/${node%%:*}" c "${numbers%:*}" "${numbers#*:}"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

# The kernel is the machine's: what is set there is not the host's to set. Only /proc/sys/net is a host's own.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
# An id of each boot, as journald and others know boots by.
cat /proc/sys/kernel/random/uuid >"$root/run/boot_id"
mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"
rm "$root/run/boot_id"
if [ -e "$root/proc/sysrq-trigger" ]; then
    mount --bind "$root/proc/sysrq-trigger" "$root/proc/sysrq-trigger"
    mount -o remount,bind,ro "$root/proc/sysrq-trigger"
fi

# Writable, which is what makes MemoryMax= and its like bite; the namespace shows the host's own groups only.
groups=$root/sys/fs/cgroup
if [ "$HOST_CGROUPS" = v2 ]; then
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$groups"
else
    mount -t tmpfs -o mode=755,nosuid,nodev,noexec tmpfs "$groups"
    for hierarchy in $HOST_CGROUPS; do
        name=${hierarchy%%=*}
        mkdir "$groups/$name"
        mount -t cgroup -o "nosuid,nodev,noexec,${hierarchy#*=}" cgroup "$groups/$name"
        case $name in *,*) for part in $(echo "$name" | tr , ' '); do ln -s "$name" "$groups/$part"; done ;; esac
    done
    mkdir "$groups/unified"
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$groups/unified"
fi
[ -z "$HOST_MEMINFO" ] || mount --bind "$HOST_MEMINFO" "$root/proc/meminfo"

hostname "$HOST_NAME"
cd "$root"
mkdir -p .machine
pivot_root . .machine
umount -l .machine
rmdir .machine

# systemd 256 and 257 start on cgroup v1 only if told twice; in a container they read the arguments of their own
# process as the kernel's command line.
legacy=
[ "$HOST_CGROUPS" = v2 ] || legacy="systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
# shellcheck disable=SC2086 # two arguments, or none
exec env -i container=lxc PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-mac_admin,-mac_override,-wake_alarm,-syslog \
    /sbin/init --log-target=journal $legacy </dev/null
