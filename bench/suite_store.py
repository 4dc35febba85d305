"""The store on SQLite by itself, without the API before it."""

import json

from report import Report


def run(bench):
    found = json.loads(bench.tool("storetime")[0])
    names = f"{found['names']:,} names"
    report = Report("store")
    report.tell("name put, a thousand at a time", found["put_batched_cpu_us"], "µs CPU", names)
    report.tell("names put, a thousand at a time", found["put_batched_per_s"], "/s seen", names)
    report.tell("name put singly", found["put_single_cpu_us"], "µs CPU", "16 clients at once")
    report.tell("names put singly", found["put_single_per_s"], "/s seen", "16 clients at once")
    report.tell("one lease and one step", found["step_cpu_us"], "µs CPU", "500 orders")
    report.tell("one lease and one step, median", found["step_p50_ms"], "ms seen", "one after another")
    report.tell("one lease and one step, 99 %", found["step_p99_ms"], "ms seen", "one after another")
    report.tell("feed read from the start", found["feed_cpu_us"], "µs CPU/record", names)
    report.tell("status", found["status_cpu_us"], "µs CPU", names)
    report.tell("page of the list that nothing fits", found["page_cpu_us"], "µs CPU", names)
    return report
