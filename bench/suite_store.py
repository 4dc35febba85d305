"""The store on SQLite by itself, without the API before it; each run fills a store of its own."""

import json

import measure
from report import Report

RUNS = 7

# What storetime says, the figure, its unit; where the note is None, the number of names.
FIGURES = (
    ("put_batched_cpu_us", "name put, a thousand at a time", "µs CPU", None),
    ("put_batched_per_s", "names put, a thousand at a time", "/s seen", None),
    ("put_single_cpu_us", "name put singly", "µs CPU", "16 clients at once"),
    ("put_single_per_s", "names put singly", "/s seen", "16 clients at once"),
    ("step_cpu_us", "one lease and one step", "µs CPU", "500 orders"),
    ("step_p50_ms", "one lease and one step, median", "ms seen", "one after another"),
    ("step_p99_ms", "one lease and one step, 99 %", "ms seen", "one after another"),
    ("feed_cpu_us", "feed read from the start", "µs CPU/record", None),
    ("status_cpu_us", "status", "µs CPU", None),
    ("page_cpu_us", "page of the list that nothing fits", "µs CPU", None),
)


def run(bench):
    runs = [json.loads(bench.tool("storetime")[-1]) for _ in range(RUNS)]
    names = f"{runs[0]['names']:,} names"
    report = Report("store")
    for key, figure, unit, note in FIGURES:
        values = [one[key] for one in runs]
        report.tell(figure, measure.median(values), unit,
                    f"{measure.spread(values)}; {RUNS} runs; {note or names}")
    return report
