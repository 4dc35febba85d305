"""Completion for bash, from the command line's own description (tools/surface.py).  Which values an
option takes is asked of certherd itself (--help=OPTION), which has them from the table that it
refuses others by, or from the configuration."""

import re

HEAD = """\
# bash completion for certherd; made from its --help, so that every command and option is here

# The values of the option (without --), or of the command's first argument: certherd knows them.
_certherd_words()
{
	# shellcheck disable=SC2086
	"${COMP_WORDS[0]}" $command ${config:+--config "$config"} "--help=$1" 2>/dev/null </dev/null
}

_certherd()
{
	local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command="" words="" kind="" config="" list="" taken="" word i

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "${COMP_WORDS[i - 1]} ${COMP_WORDS[i]}" in
		"--config =") config=${COMP_WORDS[i + 1]} ;;
		"--config "*) config=${COMP_WORDS[i]} ;;
		esac
		case "$command ${COMP_WORDS[i]}" in
"""
MIDDLE = """\
			command="${command:+$command }${COMP_WORDS[i]}"
			;;
		esac
	done
	# --option=VALUE comes as three words.
	if [[ $before == "=" ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $cur == "=" ]]; then
		cur=""
	fi
	case "$command $before" in
"""
OPTIONS = """\
	*)
		if [[ $cur == -* ]]; then
			case "$command" in
"""
ARGUMENTS = """\
			esac
		else
			case "$command" in
"""
TAIL = """\
			esac
		fi
		;;
	esac
	if [[ $list && $cur == *,* ]]; then
		taken=${cur%,*},
		cur=${cur##*,}
	fi
	# Not compgen -W, which runs what stands in $(): a configuration may be a stranger's.
	while read -r word; do
		[[ -n $word && $word == "$cur"* && ",$taken" != *",$word,"* ]] && COMPREPLY+=("$taken$word")
	done <<<"${words// /$'\n'}"
	if [[ $kind ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$kind" -- "$cur")
	fi
}
complete -F _certherd certherd
"""


LISTS = ("CAS",)  # placeholders of several values with commas between them


def name(command):
    return " ".join(command.path)


def kind(text):
    """How compgen lists what a placeholder stands for."""
    if "DIR" in text:
        return "-d"
    return "-f" if "FILE" in text or "PREFIX" in text or "SCENARIO" in text else ""


def arguments(command):
    """What stands in the usage before the options that may be left out."""
    return re.split(r"\[--|\[options\]", command.usage)[0]


def patterns(indent, texts):
    return " | \\\n".join("\t" * indent + text for text in texts) + ")\n"


def case(indent, texts, words, files, is_list=False):
    """One branch; words: those that there are, or the command that tells them."""
    tabs = "\t" * indent
    made = patterns(indent, texts)
    if words:
        made += f'{tabs}\twords="{words if isinstance(words, str) else " ".join(words)}"\n'
    if files:
        made += f"{tabs}\tkind={files}\n"
    if is_list:
        made += f"{tabs}\tlist=yes\n"
    return made + (f"{tabs}\t;;\n" if words or files else f"{tabs}\treturn\n{tabs}\t;;\n")


def bash(root):
    commands = list(root.all())
    named = [child for child in commands if child.path]
    helped = [child for child in named if child.path != ["help"]]
    steps = [f'"{name(child).rpartition(" ")[0]} {child.path[-1]}"' for child in named]
    steps += [f'"help {name(child)}"' for child in helped]
    made = HEAD + patterns(2, steps) + MIDDLE
    asked = []
    lists = []
    for command in commands:
        for option in command.options:
            before = f'"{name(command)} {option.name}"'
            if kind(option.value):
                words = '$(_certherd_words "${before#--}")' if "|" in option.value else ""
                made += case(1, [before], words, kind(option.value))
            elif option.value:
                (lists if option.value in LISTS else asked).append(before)
    made += case(1, asked, '$(_certherd_words "${before#--}")', "")
    made += case(1, lists, '$(_certherd_words "${before#--}")', "", is_list=True)
    made += OPTIONS
    for command in commands:
        names = [option.name for option in command.options] or ["--help"]
        made += case(3, [f'"{name(command)}"'], names, "")
    made += ARGUMENTS
    for command in commands:
        below = [child.path[-1] for child in command.children]
        if command.path == ["help"]:
            below = [child.path[-1] for child in root.children]
        files = kind(arguments(command))
        has_help = command.options and not command.children and not files
        made += case(3, [f'"{name(command)}"'], '$(_certherd_words "")' if has_help else below, files)
    for command in helped:
        made += case(3, [f'"help {name(command)}"'], [child.path[-1] for child in command.children], "")
    return made + TAIL
