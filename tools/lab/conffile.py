"""Changing keys of a commented INI file in place, keeping the comments."""

import re


def set_key(text, section, key, value):
    """The text with `key = value` in that section: over the key's line, even if it is commented
    out, else right below the section's head."""
    lines = text.splitlines()
    heads = [at for at, line in enumerate(lines) if re.fullmatch(r"\s*\[[^\]]+\]\s*", line)]
    begin = next((at for at in heads if lines[at].strip() == f"[{section}]"), None)
    if begin is None:
        return "\n".join([*lines, "", f"[{section}]", f"{key} = {value}", ""])
    end = next((at for at in heads if at > begin), len(lines))
    body = range(begin + 1, end)
    for pattern in (rf"\s*{re.escape(key)}\s*=", rf"\s*[#;]\s*{re.escape(key)}\s*="):
        for at in body:
            if re.match(pattern, lines[at]):
                lines[at] = f"{key} = {value}"
                return "\n".join(lines) + "\n"
    lines.insert(begin + 1, f"{key} = {value}")
    return "\n".join(lines) + "\n"
