#!/bin/bash
# Builds and tests, once for each kind given:
#
#   plain     build/       the default compiler, warnings are errors, style, unit, system, recipes
#   sanitize  build-asan/  clang, warnings are errors, ASan and UBSan, unit and system; nginx and
#                          the module too, where there is a source of nginx to be had
#                          (tools/sanitized-nginx.sh)
#
# What takes minutes and is the same in each (the suite `once`) is run by the first only.
#
# Goes on after a failure, so that one run tells everything; exits with 1 if anything failed.
# What could not be had here, and so was not tested, is no failure, but is told at the very end.
# tools/count-results.py adds up what the runs left behind.
set -u
cd "$(dirname "$0")/.." || exit 2

python=/usr/bin/python3
meson=${MESON:-meson}
jobs=${JOBS:-$(nproc)}
failed=()
took=()
# What was compiled in another copy of the tree is not compiled again; meson finds ccache by
# itself where it is not told which compiler to take.
export CCACHE_NOHASHDIR=1
ccache=$(command -v ccache || true)
# The line that tells it: .ci/run shows it once more.
skipped=build/skipped
rm -f "$skipped"

note() {
	printf '\n== %s\n' "$*"
}

# configure DIR OPTIONS…: makes the build folder, or brings an old one to these options.
configure() {
	local dir=$1
	shift
	rm -f "$dir/meson-logs/testlog.json" "$dir/system.xml"
	if [ -f "$dir/build.ninja" ]; then
		"$meson" configure "$dir" "$@"
	else
		"$meson" setup "$dir" "$@"
	fi
}

compile() {
	"$meson" compile -C "$1" -j "$jobs"
}

# unit_tests DIR [MESON TEST OPTIONS…]
unit_tests() {
	local dir=$1
	shift
	"$meson" test -C "$dir" --num-processes "$jobs" --print-errorlogs "$@"
}

# Without a source of nginx, what needs it is skipped.  A tree that the caller has named is no
# such case: then it is the name that is wrong.
sanitized_nginx() {
	local status=0
	tools/sanitized-nginx.sh || status=$?
	if [ "$status" -eq 3 ] && [ -z "${CERTHERD_NGINX_SOURCE:-}" ]; then
		echo "!!! SKIPPED: nginx and its module were NOT tested under ASan and UBSan, for want of" \
			"nginx's source: run apt-get update, or set CERTHERD_NGINX_SOURCE" >"$skipped"
		return 0
	fi
	return "$status"
}

# pytest_of DIR RESULTS TESTS…: the binary of DIR; the module of build/ and Debian's nginx, or what
# the caller has put into CERTHERD_MODULE and CERTHERD_NGINX.  Most of them wait most of the time:
# more at once than there are processors.
pytest_of() {
	CERTHERD_BIN=$PWD/$1/src/certherd \
	CERTHERD_MODULE=${CERTHERD_MODULE:-$PWD/build/nginx/ngx_http_certherd_module.so} \
		"$python" -m pytest -p no:cacheprovider -q -n $((3 * jobs)) --dist loadfile "${@:3}" \
		--junitxml="$2" ${PYTEST_ARGS:-}
}

# Files in which Pebble locked up, which is a fault of its own, are run once more; what else has
# failed has failed.
# system_tests DIR [MORE TESTS…]
system_tests() {
	local results=$1/system.xml again=$1/system-again.xml files=()
	rm -f "$again"
	pytest_of "$1" "$results" tests/system "${@:2}" && return
	[ -f "$results" ] && mapfile -t files < <("$python" tools/lockups.py files "$results" | grep .)
	[ ${#files[@]} -gt 0 ] || return 1
	echo "!!! Pebble locked up, as it does at times: once more ${files[*]}"
	pytest_of "$1" "$again" "${files[@]}"
	"$python" tools/lockups.py merge "$results" "$again"
}

# Seconds that processors have worked on what has ended: cutime and cstime of proc_pid_stat(5).
worked() {
	local stat
	read -ra stat <"/proc/$$/stat"
	echo $(((stat[15] + stat[16]) / $(getconf CLK_TCK)))
}

step() {
	local began=$SECONDS before
	before=$(worked)
	note "$*"
	"$@" || failed+=("$*")
	took+=("$(printf '%4d s, %4d s of processors: %.60s' $((SECONDS - began)) $(($(worked) - before)) "$*")")
}

plain() {
	step configure build -Dwerror=true
	step compile build
	step unit_tests build
	step sanitized_nginx
	step system_tests build tests/recipes
}

sanitize() {
	# One report is one failed test: nothing goes on after a finding.
	export ASAN_OPTIONS=halt_on_error=1:abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
	# The daemons refuse to be traced, and then only root can look for leaks.
	[ "$(id -u)" -eq 0 ] || ASAN_OPTIONS+=:detect_leaks=0
	export CERTHERD_TEST_SLOWNESS=4
	export CERTHERD_KILL_ROUNDS=1
	export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
	[ -f build/nginx/ngx_http_certherd_module.so ] || {
		step configure build -Dwerror=true
		step compile build
	}
	# The other compiler: so each of them builds and tests all once.
	# Optimizing what is full of checks takes clang five times as long, and more than the tests
	# then gain.
	CC="${ccache:+$ccache }clang" step configure build-asan -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false \
		-Doptimization=0
	step compile build-asan
	step unit_tests build-asan --no-suite style --no-suite once
	step sanitized_nginx
	local watched=$PWD/build/nginx-sanitized
	if [ -x "$watched/nginx" ]; then
		export CERTHERD_NGINX=$watched/nginx CERTHERD_MODULE=$watched/ngx_http_certherd_module.so
	fi
	# What waits for clocks and lines more than it runs code of ours, or runs what others run
	# as well, on a larger scale: the plain round is enough.
	step system_tests build-asan $(printf -- '--ignore=tests/system/test_%s.py ' clocks cut_lines \
		upgrade testssl kills_shared migrate replica_size demo bench_harness install_deps install \
		init_and_up account casim renewal_under_load edge_status simulate keys_nowhere \
		tickets_across_edges restore long_list postgres_issuers ui_crowd lockups)
	unset ASAN_OPTIONS UBSAN_OPTIONS CERTHERD_TEST_SLOWNESS CERTHERD_KILL_ROUNDS CERTHERD_NGINX CERTHERD_MODULE
}

for kind in "${@:-plain}"; do
	case $kind in
	plain | sanitize) "$kind" ;;
	*)
		echo "check.sh: no such kind: $kind" >&2
		exit 2
		;;
	esac
done

note "what took how long:"
printf '   %s\n' "${took[@]}"
status=0
if [ ${#failed[@]} -gt 0 ]; then
	note "failed:"
	printf '   %s\n' "${failed[@]}"
	status=1
else
	note "all passed: ${*:-plain}"
fi
if [ -s "$skipped" ]; then
	cat "$skipped"
fi
exit "$status"
