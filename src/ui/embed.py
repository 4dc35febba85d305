#!/usr/bin/env python3
"""Writes what pages show of files into C: embed.py OUTPUT STYLE TROUBLESHOOTING ALERTS.

Of the two documents these are the sections that are named by a code, as HTML: paragraphs, `code`,
*emphasis*, and links, which lead on where they are to another code and are plain text where they
are not.  The byte 1 stands for where the pages are."""
import html
import re
import sys

LINK = re.compile(r"\[([^\]]*)\]\((?:[a-z]*\.md)?#?([a-z0-9-]*)\)")


def inline(text, kind, codes):
    def link(match):
        if match[2] in codes:
            return f'<a href="\1/help/{kind}/{match[2]}">{match[1]}</a>'
        return match[1]

    parts = []
    for at, part in enumerate(text.split("`")):
        part = html.escape(part)
        if at % 2:
            parts.append(f"<code>{part}</code>")
        else:
            part = LINK.sub(link, part)
            parts.append(re.sub(r"\*([^*]+)\*", r"<strong>\1</strong>", part))
    return "".join(parts)


def sections(path, kind):
    with open(path, encoding="utf-8") as file:
        parts = re.split(r"^#{1,2} (.*)\n", file.read(), flags=re.M)
    found = {head: body for head, body in zip(parts[1::2], parts[2::2])
             if re.fullmatch(r"[a-z0-9-]+", head)}
    if not found:
        sys.exit(f"{path}: has no section that is named by a code")
    for code, body in found.items():
        if re.search(r"^(\||    |- )", body, re.M):
            sys.exit(f"{path}: {code}: a table, a list or an example is more than embed.py takes")
        if "`" in re.sub(r"`[^`]*`", "", body):
            sys.exit(f"{path}: {code}: a ` is left open")
        paragraphs = [" ".join(text.split()) for text in body.split("\n\n")]
        yield code, "".join(f"<p>{inline(text, kind, found)}</p>" for text in paragraphs if text)


def quoted(text):
    encoded = text.encode()
    lines = [encoded[at:at + 60] for at in range(0, len(encoded), 60)]
    return "\n".join('\t\t"' + "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in line)
        + '"' for line in lines)


def main():
    output, style, *documents = sys.argv[1:]
    with open(style, encoding="ascii") as file:
        css = file.read()
    with open(output, "w", encoding="ascii") as out:
        out.write('#include "ui/embedded.h"\n\n')
        out.write(f"const char ch_ui_style[] =\n{quoted(css)};\n")
        for kind, path in zip(("reason", "alert"), documents):
            out.write(f"\nconst struct ch_ui_section ch_ui_{kind}_sections[] = {{\n")
            for code, text in sections(path, kind):
                out.write(f'\t{{"{code}",\n{quoted(text)}}},\n')
            out.write("\t{0}};\n")


main()
