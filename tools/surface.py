"""The command line as `certherd --help` tells it, taken apart: what manual page and completion are
made from.  Whatever a help says that is not understood here is an error, so that nothing is lost."""

import re
import subprocess


class Option:
    def __init__(self, name, value, text):
        self.name = name  # "--tenant"
        self.value = value  # "TEXT"; "" for a switch
        self.text = text


class Command:
    def __init__(self, path, usage, text, options, children):
        self.path = path  # ["domain", "add"]; [] for certherd itself
        self.usage = usage  # what follows the path
        self.text = text  # paragraphs
        self.options = options
        self.children = children

    def all(self):
        """This one and every one below it."""
        yield self
        for child in self.children:
            yield from child.all()


def paragraphs(lines):
    return [" ".join(part.split()) for part in "\n".join(lines).split("\n\n") if part.strip()]


def listing(lines, pattern):
    for line in lines:
        found = re.fullmatch(pattern, line)
        if not found:
            raise ValueError(f"not understood: {line!r}")
        yield found.groups()


def ask(binary, path):
    return subprocess.run([binary, *path, "--help"], stdout=subprocess.PIPE, check=True,
                          text=True).stdout.splitlines()


def section(lines, title):
    """The indented lines below "Title:"."""
    if title + ":" not in lines:
        return []
    at = lines.index(title + ":") + 1
    end = next((n for n in range(at, len(lines)) if not lines[n].startswith("  ")), len(lines))
    return lines[at:end]


def crawl(binary, path=()):
    path = list(path)
    lines = ask(binary, path)
    start = next(n for n, line in enumerate(lines) if line.startswith("Usage: certherd"))
    end = next((n for n in range(start, len(lines)) if not lines[n].strip()), len(lines))
    usage = " ".join(lines[start:end])[len(" ".join(["Usage: certherd", *path])):].strip()
    heads = [n for n, line in enumerate(lines) if line in ("Options:", "Commands:")]
    text = lines[:start] if not path else lines[end:heads[0]]
    options = [Option("--" + name, value or "", said) for name, value, said in listing(
        section(lines, "Options"), r"  --([a-z-]+)(?: (\S+))?  +(\S.*)")]
    names = [name for name, in listing(section(lines, "Commands"), r"  ([a-z]+)(?: .*)?")]
    # `help` and `version` have no help of their own.
    children = [Command([name], "[COMMAND]" if name == "help" else "", [said], [], [])
                if not path and name in ("help", "version") else crawl(binary, path + [name])
                for name, said in zip(names, summaries(section(lines, "Commands")))]
    return Command(path, usage, paragraphs(text), options, children)


def summaries(lines):
    return [said for said, in listing(lines, r"  \S.*?   *(\S.*)")]
