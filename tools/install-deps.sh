#!/bin/sh
# Installs the Debian packages of tools/packages.txt that are missing.
#
#   tools/install-deps.sh [SECTION…]     default: all sections
#
# Does nothing when all are there.  Needs root only when something is missing; without it, says
# which command to run and exits with 1.  Services of the packages (nginx) are not started.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
list=$here/packages.txt
[ $# -gt 0 ] || set -- build demo check ci

say() {
	printf '%s\n' "install-deps: $*" >&2
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

is_known() {
	apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

for section in "$@"; do
	grep -q "^$section:" "$list" || {
		say "no section '$section' in $list"
		exit 2
	}
done

# Prints "first | second" lists of the sections asked for.
wanted() {
	for section in "$@"; do
		sed -n "s/^$section:[[:space:]]*//p" "$list"
	done
}

# Prints the packages to install, one a line.
missing() {
	wanted "$@" | while IFS= read -r line; do
		found=
		choice=
		for package in $(printf '%s' "$line" | tr '|' ' '); do
			if is_installed "$package"; then
				found=yes
				break
			fi
			if [ -z "$choice" ] && is_known "$package"; then
				choice=$package
			fi
		done
		[ -n "$found" ] || printf '%s\n' "${choice:-${line%% *}}"
	done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	say "this is not Debian; install these yourself:"
	wanted "$@" >&2
	exit 1
fi

packages=$(missing "$@" | sort -u | paste -s -d ' ' -)
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	say "packages are missing, and installing them needs root.  Run:"
	printf '\n    sudo apt-get update && sudo apt-get install -y --no-install-recommends %s\n\n' \
		"$packages" >&2
	exit 1
fi

say "installing with apt-get: $packages"
export DEBIAN_FRONTEND=noninteractive

# policy-rc.d (Debian policy 9.3.3.1 and invoke-rc.d(8)) keeps nginx's package from starting a
# server on port 80 of this machine.  An operator's own policy is left alone.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d} # tests have their own
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

log=$(mktemp)
run() {
	if ! "$@" >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		rm -f "$log"
		say "failed: $*"
		exit 1
	fi
}
run apt-get -q update
# Which alternative this release has can be known only once the lists are there.
packages=$(missing "$@" | sort -u | paste -s -d ' ' -)
# shellcheck disable=SC2086 # a list of words
run apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install $packages
rm -f "$log"
say "done"
