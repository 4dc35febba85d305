#!/bin/sh
# fuzz.sh [SECONDS [TARGET ...]]: fuzzes every target, or those named, for so long each
# (default 60) under ASan and UBSan, from the seed corpora.  One line per target says what was
# done; new inputs stay in build-fuzz/found/<target>/ and are begun with the next time.  The
# status is 1 when anything was found: the line then names the input, and the log beside it.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
build=build-fuzz
[ -f $build/build.ninja ] || CC=clang meson setup $build -Dfuzz=true \
	-Db_sanitize=address,undefined -Db_lundef=false
meson compile -C $build
found=$build/found
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}"
# Without it UBSan's complaints are lines that nobody reads.
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"

# number LOG WORD FILTER: the number behind the word, of the occurrence that the filter picks.
number() {
	grep -o "$2 *[0-9][0-9]*" "$1" | $3 | grep -o '[0-9]*$' || echo 0
}

failed=0
for name in ${*:-$(ls fuzz/corpus)}; do
	log=$found/$name.log
	mkdir -p "$found/$name"
	status=0
	"$build/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="$found/$name-" -print_final_stats=1 \
		"$found/$name" "fuzz/corpus/$name" >"$log" 2>&1 || status=$?
	printf '%-14s %10s runs, %7s a second, coverage %s -> %s\n' "$name" \
		"$(number "$log" 'number_of_executed_units:' 'tail -n1')" \
		"$(number "$log" 'average_exec_per_sec:' 'tail -n1')" \
		"$(number "$log" 'cov:' 'head -n1')" "$(number "$log" 'cov:' 'tail -n1')"
	[ $status -eq 0 ] && continue
	failed=1
	input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n1)
	echo "$name FAILED: ${input:-no input was written}; log: $log"
	grep -m1 -E 'check failed: |ERROR: |runtime error: ' "$log" || tail -n5 "$log"
	[ -z "$input" ] || echo "again: $build/fuzz/fuzz_$name $input"
done
exit $failed
