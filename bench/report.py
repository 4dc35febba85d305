"""What a suite found: an aligned table on standard output, and bench/results/<suite>.json, a list
of {"figure", "value", "unit", "limit", "ok", "how"}.  limit is null for what is only told."""

import json
import os
import pathlib
import sys

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def path_of(suite):
    return RESULTS / f"{suite}.json"


def remove(suite):
    """What an earlier run found must not pass for what this one did."""
    path_of(suite).unlink(missing_ok=True)


class Report:
    def __init__(self, suite):
        self.suite = suite
        self.rows = []

    def tell(self, figure, value, unit, how=""):
        """A figure without a limit."""
        self._add(figure, value, unit, None, True, how)

    def at_most(self, figure, value, unit, limit, how=""):
        self._add(figure, value, unit, f"≤ {limit:g}", value <= limit, how)

    def at_least(self, figure, value, unit, limit, how=""):
        self._add(figure, value, unit, f"≥ {limit:g}", value >= limit, how)

    def either(self, figure, value, unit, limit, ok, how=""):
        """A limit of its own kind: its text, and whether it is kept."""
        self._add(figure, value, unit, limit, ok, how)

    def _add(self, figure, value, unit, limit, ok, how):
        self.rows.append({"figure": figure, "value": round(value, 4), "unit": unit, "limit": limit,
                          "ok": bool(ok), "how": how})

    @property
    def ok(self):
        return bool(self.rows) and all(row["ok"] for row in self.rows)

    def write(self):
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = path_of(self.suite)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self.rows, indent=1, ensure_ascii=False) + "\n")
        os.replace(new, path)

    def show(self, out=sys.stdout):
        lines = [("figure", "value", "unit", "limit", "", "how")]
        for row in self.rows:
            verdict = "" if row["limit"] is None else "ok" if row["ok"] else "MISSED"
            lines.append((row["figure"], number(row["value"]), row["unit"], row["limit"] or "",
                          verdict, row["how"]))
        widths = [max(map(len, column)) for column in zip(*lines)]
        print(f"\n{self.suite}", file=out)
        for line in lines:
            cells = [cell.rjust(width) if at == 1 else cell.ljust(width)
                     for at, (cell, width) in enumerate(zip(line, widths))]
            print(("  " + "  ".join(cells)).rstrip(), file=out, flush=True)


def number(value):
    """Three digits that matter, more before the point."""
    if value and abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}"
