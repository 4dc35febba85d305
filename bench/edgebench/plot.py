"""Bars on a scale of powers of ten, as an SVG file that needs nothing else."""

import math
from xml.sax.saxutils import escape

FIGURES = (("start_s", "start to first handshake", "s"),
           ("memory_load_mib", "memory under load", "MiB"),
           ("cpu_us", "CPU per full handshake", "µs"),
           ("change_s", "one changed certificate served", "s"))
WIDTH, LABEL, BAR, GAP, HEAD = 760, 210, 16, 6, 34
OWN, OTHER = "#1f6f4a", "#9aa5b1"


def scale(values):
    """Powers of ten below and above all of them."""
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def text_of(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def chart(rows, key, title, unit, top):
    """Lines of SVG, and how high they are."""
    shown = [(row["server"], row[key]) for row in rows if row.get(key, 0) > 0]
    if not shown:
        return [], 0
    low, high = scale([value for _, value in shown])
    room = WIDTH - LABEL - 90
    lines = [f'<text x="8" y="{top + 18}" class="title">{escape(title)}, {escape(unit)}</text>']
    bottom = top + HEAD + len(shown) * (BAR + GAP)
    for power in range(low, high + 1):
        x = LABEL + room * (power - low) / (high - low)
        lines.append(f'<line x1="{x:.1f}" y1="{top + HEAD - 6}" x2="{x:.1f}" y2="{bottom}" class="grid"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 12}" class="tick">{10.0 ** power:g}</text>')
    for at, (server, value) in enumerate(shown):
        y = top + HEAD + at * (BAR + GAP)
        length = max(2, room * (math.log10(value) - low) / (high - low))
        colour = OWN if server == "certherd" else OTHER
        lines += [f'<text x="{LABEL - 8}" y="{y + 12}" class="label">{escape(server)}</text>',
                  f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
                  f'<text x="{LABEL + length + 6:.1f}" y="{y + 12}">{text_of(value)}</text>']
    return lines, bottom + 30 - top


def write(path, rows, title):
    body, top = [f'<text x="8" y="22" class="head">{escape(title)}</text>'], 36
    for key, what, unit in FIGURES:
        lines, height = chart(rows, key, what, unit, top)
        body += lines
        top += height
    style = ("text{font:12px sans-serif;fill:#222}.head{font-size:16px;font-weight:bold}"
             ".title{font-weight:bold}.label{text-anchor:end}.tick{text-anchor:middle;fill:#777;"
             "font-size:10px}.grid{stroke:#ddd}")
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
                    f'viewBox="0 0 {WIDTH} {top}">\n<style>{style}</style>\n'
                    f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n")
