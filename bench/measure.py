"""Measuring on a machine that others use too: CPU time instead of time, and pairs that take turns,
so that what else runs weighs on both of a pair."""

import os
import resource
import statistics
import time

from report import number

PAIRS = 9  # of contender and yardstick; never below 7


def median(values):
    return statistics.median(values)


def spread(values):
    """'1.02 to 1.11', for a figure's "how"."""
    return f"{number(min(values))} to {number(max(values))}"


def cpu_s(pid):
    """User and system time of all living threads of a process, in seconds, exact to the
    nanosecond (the ticks of /proc/PID/stat are 10 ms)."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as line:
                total += int(line.read().split()[0])
        except FileNotFoundError:
            pass
    return total / 1e9


def mine_s():
    """CPU of this process and of those that it started and waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def processors_s():
    """Of all processors' time since the start, to a tick (10 ms): all of it, what nobody wanted, and what the
    machine below this one kept for others."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return [each / os.sysconf("SC_CLK_TCK") for each in (sum(ticks), ticks[3] + ticks[4], ticks[7])]


def cpu_ended_s(pid):
    """With the threads that have ended, to a tick (10 ms)."""
    with open(f"/proc/{pid}/stat") as line:
        fields = line.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def faults(pid):
    """Page faults of a process since it began: all that read no disk, and those that did."""
    with open(f"/proc/{pid}/stat") as line:
        fields = line.read().rpartition(")")[2].split()
    return int(fields[7]), int(fields[9])


def loaded():
    """How many others want to run now, per processor: for a figure's "how"."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
