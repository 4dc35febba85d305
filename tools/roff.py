"""Manual pages, man(7), from the little Markdown that doc/ uses.  What is not understood is an
error."""

import os
import re
import time


def escape(text):
    """Plain text as roff: no character of it is a request or an escape."""
    made = text.replace("\\", "\\e").replace("-", "\\-")
    made = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in made)
    return "\\&" + made if made[:1] in (".", "'") else made


def inline(text):
    """`code` and **bold** become bold, links their text."""
    text = re.sub(r"\[((?:`[^`]*`|[^]])+)\]\([^)]+\)", r"\1", text)
    made = ""
    for part in re.split(r"(`[^`]*`|\*\*[^*]+\*\*)", text):
        if part[:1] == "`" and len(part) > 1:
            made += "\\fB" + escape(part[1:-1]) + "\\fP"
        elif part[:2] == "**":
            made += "\\fB" + escape(part[2:-2]) + "\\fP"
        else:
            made += escape(part)
    # A word at the end of an abbreviation's line must not look like the end of a sentence.
    return "\\&" + made if made[:1] in (".", "'") else made


class Page:
    def __init__(self, title, number, about, version, manual):
        now = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
        date = time.strftime("%Y-%m-%d", time.gmtime(now))
        self.lines = [f'.TH {title.upper()} {number} {date} "certherd {version}" "{manual}"',
                      ".nh", ".ad l"]
        self.fresh = False  # a paragraph has just begun
        self.heading("NAME")
        self.line(f"{escape(title)} \\- {escape(about)}")

    def line(self, text):
        self.lines.append(text)
        self.fresh = False

    def heading(self, text):
        self.lines.append(f'.SH "{escape(text)}"')
        self.fresh = True

    def subheading(self, text):
        self.lines.append(f'.SS "{escape(text)}"')
        self.fresh = True

    def paragraph(self, text):
        if not self.fresh:
            self.lines.append(".PP")
        self.line(inline(text))

    def item(self, head, text):
        """head: roff"""
        self.lines += [".TP", head]
        self.line(inline(text) if text else "\\&")

    def code(self, lines):
        if not self.fresh:
            self.lines.append(".PP")
        self.lines += [".nf", *(escape(line) for line in lines), ".fi"]
        self.fresh = False

    def table(self, rows):
        """Rows of cells, the titles of the columns first: a list, headed by the first column."""
        titles, *body = rows
        for first, *middle, last in body:
            head = inline(first if "`" in first else f"`{first}`")
            notes = [f"{title} {inline(cell)}" for title, cell in zip(titles[1:], middle)]
            self.item(head + (f" ({', '.join(notes)})" if notes else ""), last)

    def text(self):
        return "\n".join(self.lines) + "\n"


def cells(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def blocks(markdown):
    """("heading", depth, text), ("table", rows), ("code", lines), ("paragraph", text)"""
    for block in re.split(r"\n{2,}", markdown.strip("\n")):
        lines = block.split("\n")
        while lines and (head := re.fullmatch(r"(#+) (.*)", lines[0])):
            yield "heading", len(head[1]), head[2]
            lines = lines[1:]
        if not lines:
            continue
        if all(line.startswith("|") for line in lines):
            yield "table", [cells(line) for line in lines if not re.fullmatch(r"\|[-|]+\|", line)]
        elif all(line.startswith("    ") for line in lines):
            yield "code", [line[4:] for line in lines]
        elif any(re.match(r"[|>#]|```|[-*] |\d+\. ", line) for line in lines):
            raise ValueError(f"not understood: {block!r}")
        else:
            yield "paragraph", " ".join(lines)
