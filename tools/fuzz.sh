#!/bin/sh
# Fuzzes every target for the given number of seconds (default 60) under ASan and UBSan, from
# the seed corpora; new inputs go to build-fuzz/found/<target>, crashes beside them.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
build=build-fuzz
[ -f $build/build.ninja ] || CC=clang meson setup $build -Dfuzz=true \
	-Db_sanitize=address,undefined -Db_lundef=false
meson compile -C $build
failed=0
for corpus in fuzz/corpus/*; do
	name=$(basename "$corpus")
	mkdir -p "$build/found/$name"
	echo "== $name: $seconds s"
	ASAN_OPTIONS=detect_leaks=0 "$build/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 \
		-rss_limit_mb=2048 -artifact_prefix="$build/found/$name-" -print_final_stats=0 \
		"$build/found/$name" "$corpus" 2>&1 | tail -n 3 || failed=1
done
ls $build/found/*-crash-* $build/found/*-timeout-* $build/found/*-oom-* 2>/dev/null && failed=1
exit $failed
