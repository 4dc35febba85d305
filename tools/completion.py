"""Completion for bash, from the command line's own description (tools/surface.py).  Which values an
option takes is asked of certherd itself (--help=OPTION), which has them from the table that it
refuses others by, or from the configuration."""

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
	local command="" words="" kind="" config="" word i

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
	# Not compgen -W, which runs what stands in $(): a configuration may be a stranger's.
	while read -r word; do
		[[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$word")
	done <<<"${words// /$'\n'}"
	if [[ $kind ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$kind" -- "$cur")
	fi
}
complete -F _certherd certherd
"""


def name(command):
    return " ".join(command.path)


def kind(text):
    """How compgen lists what a placeholder stands for."""
    if "DIR" in text:
        return "-d"
    return "-f" if "FILE" in text or "PREFIX" in text else ""


def patterns(indent, texts):
    return " | \\\n".join("\t" * indent + text for text in texts) + ")\n"


def case(indent, texts, words, files):
    """One branch; words: those that there are, or the command that tells them."""
    tabs = "\t" * indent
    made = patterns(indent, texts)
    if words:
        made += f'{tabs}\twords="{words if isinstance(words, str) else " ".join(words)}"\n'
    if files:
        made += f"{tabs}\tkind={files}\n"
    return made + (f"{tabs}\t;;\n" if words or files else f"{tabs}\treturn\n{tabs}\t;;\n")


def bash(root):
    commands = list(root.all())
    steps = [f'"{name(child).rpartition(" ")[0]} {child.path[-1]}"'
             for child in commands if child.path]
    made = HEAD + patterns(2, steps) + MIDDLE
    asked = []
    for command in commands:
        for option in command.options:
            before = f'"{name(command)} {option.name}"'
            if kind(option.value):
                words = '$(_certherd_words "${before#--}")' if "|" in option.value else ""
                made += case(1, [before], words, kind(option.value))
            elif option.value:
                asked.append(before)
    made += case(1, asked, '$(_certherd_words "${before#--}")', "")
    made += OPTIONS
    for command in commands:
        names = [option.name for option in command.options] or ["--help"]
        made += case(3, [f'"{name(command)}"'], names, "")
    made += ARGUMENTS
    for command in commands:
        below = [child.path[-1] for child in command.children]
        if command.path == ["help"]:
            below = [child.path[-1] for child in root.children]
        files = kind(command.usage.partition("[")[0])
        has_help = command.options and not command.children and not files
        made += case(3, [f'"{name(command)}"'], '$(_certherd_words "")' if has_help else below, files)
    return made + TAIL
