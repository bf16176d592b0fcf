"""What a load cost: CPU time of processes, bytes on disk, times of requests; and what machine it was."""

import os
import platform
import resource

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """Parent and CPU seconds of a process, its ended children included; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def cpu_of_tree(root):
    """CPU seconds of a process and everything below it that lives, or ended and was waited for."""
    stats = {int(name): _stat(name) for name in os.listdir("/proc") if name.isdigit()}
    seconds, below = 0.0, {root}
    grown = True
    while grown:
        grown = False
        for pid, stat in stats.items():
            if stat and pid not in below and stat[0] in below:
                below.add(pid)
                grown = True
    for pid in below:
        if stats.get(pid):
            seconds += stats[pid][1]
    return seconds


def cpu_of_self():
    """CPU seconds of this process, its threads included, children not."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_bytes(pid):
    """The greatest resident memory so far of one process."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def disk_bytes(*paths):
    """Bytes that files take on the disk: allocated blocks, not lengths."""
    total = 0
    for path in paths:
        if os.path.isfile(path):
            total += os.stat(path).st_blocks * 512
        for folder, _, names in os.walk(path):
            for name in names:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:  # the store is at work
                    pass
    return total


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


def file_system(path):
    """The type of the file system that `path` lies on."""
    best, kind = "", "unknown"
    path = os.path.realpath(path)
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            _, mount, name = line.split()[:3]
            inside = path == mount or path.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, name
    return kind


def machine(directory):
    """Facts for the head of the table."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    system = "unknown system"
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    system = line.split("=", 1)[1].strip().strip('"')
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": system,
        "kernel": platform.release().split("-")[0],
        "file_system": file_system(directory),
    }
