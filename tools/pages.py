#!/usr/bin/env python3
"""Makes what is installed beside the binary, from what the binary and doc/ say.

    tools/pages.py certherd.1 BINARY DOC       manual page of the command line
    tools/pages.py certherd.conf.5 BINARY DOC  manual page of the configuration
    tools/pages.py completion BINARY DOC       completion for bash
    tools/pages.py certherd.conf BINARY DOC    the commented configuration, as `certherd init` writes it

DOC is the folder doc/.  The result goes to standard output.
"""

import pathlib
import subprocess
import sys
import tempfile

import completion
import roff
import surface


def version(binary):
    done = subprocess.run([binary, "version"], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.split()[1]


def add_options(page, command):
    for option in command.options:
        if option.name != "--help":
            value = f" \\fI{roff.escape(option.value)}\\fP" if option.value else ""
            page.item(f"\\fB{roff.escape(option.name)}\\fP{value}", option.text)


def add_command(page, command):
    page.subheading(" ".join(["certherd", *command.path]))
    if command.children:
        names = ", ".join(f"`{child.path[-1]}`" for child in command.children)
        command.text.append(f"Its commands: {names}.")
    else:
        page.lines.append(f".B certherd {roff.escape(' '.join(command.path))}")
        if command.usage:
            page.lines.append(roff.escape(command.usage))
        page.fresh = False
    for text in command.text:
        page.paragraph(text)
    add_options(page, command)
    for child in command.children:
        add_command(page, child)


def exit_codes(markdown):
    for block in roff.blocks(markdown):
        if block[0] == "table" and block[1][0][0] == "exit code":
            return block[1]
    raise ValueError("doc/cli.md has no table of exit codes")


def man_1(binary, doc):
    root = surface.crawl(binary)
    page = roff.Page("certherd", 1, root.text[0].removeprefix("certherd: "), version(binary),
                     "User Commands")
    page.heading("SYNOPSIS")
    page.line(".B certherd")
    page.line("\\fICOMMAND\\fP [options]")
    page.heading("DESCRIPTION")
    page.paragraph("Registers domain names, gets and renews a certificate for each from an ACME "
                   "certificate authority, and has nginx serve them from a replica on its own "
                   "disk, with no server block per name and no reload when one changes.")
    page.paragraph("`store`, `issuer` and `agent` are the three roles; `up` runs them together on "
                   "one machine; `init` makes the folder that they need.  The other commands are "
                   "for operators and talk to the store.")
    page.paragraph("Every command prints its own `--help`.  Options may stand before or after "
                   "arguments; `--option VALUE` and `--option=VALUE` are the same; `--` ends the "
                   "options.")
    page.heading("COMMANDS")
    for child in root.children:
        add_command(page, child)
    page.heading("EXIT STATUS")
    page.table(exit_codes((doc / "cli.md").read_text()))
    page.heading("ENVIRONMENT")
    page.item("\\fBCERTHERD_CONFIG\\fP", "The configuration, when `--config` is not given.")
    page.heading("FILES")
    page.item("\\fI/etc/certherd/certherd.conf\\fP",
              "The configuration, when neither says another.")
    page.heading("EXAMPLES")
    page.code(["certherd init /etc/certherd", "certherd up", "certherd domain add shop.example.com",
               "certherd domain import names.csv", "certherd status --watch"])
    page.heading("SEE ALSO")
    page.line(".BR certherd.conf (5),")
    page.line(".BR nginx (8)")
    return page.text()


def man_5(binary, doc):
    page = roff.Page("certherd.conf", 5, "configuration of certherd and of its nginx module",
                     version(binary), "File Formats")
    depth = 0
    for kind, *what in roff.blocks((doc / "configuration.md").read_text()):
        if kind == "heading":
            depth, title = what
            if depth == 1:
                page.heading("DESCRIPTION" if title == "certherd.conf" else title.upper())
            else:
                page.subheading(title)
        elif kind == "table":
            page.table(what[0])
        elif kind == "code":
            page.code(what[0])
        else:
            page.paragraph(what[0])
    page.heading("FILES")
    page.item("\\fI/etc/certherd/certherd.conf\\fP",
              "What is read when neither `--config` nor `CERTHERD_CONFIG` says another file.")
    page.heading("SEE ALSO")
    page.line(".BR certherd (1),")
    page.line(".BR nginx (8)")
    return page.text()


def bash(binary, doc):
    return completion.bash(surface.crawl(binary))


def example(binary, doc):
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "made"
        subprocess.run([binary, "init", folder, "--nginx-group", "www-data"], check=True,
                       stdout=subprocess.DEVNULL)
        return (folder / "certherd.conf").read_text()


KINDS = {"certherd.1": man_1, "certherd.conf.5": man_5, "completion": bash,
         "certherd.conf": example}

if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in KINDS:
        sys.exit(__doc__)
    print(KINDS[sys.argv[1]](sys.argv[2], pathlib.Path(sys.argv[3])), end="")
