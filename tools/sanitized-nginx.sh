#!/bin/bash
# Builds a vanilla nginx and the module under ASan and UBSan: tools/sanitized-nginx.sh [OUT]
#
# OUT (default build/nginx-sanitized) then has nginx and ngx_http_certherd_module.so.  A second
# run compiles the module only.  The source is, in this order: the tree in $CERTHERD_NGINX_SOURCE;
# what an earlier run has left in build/nginx-source; the upstream archive of Debian's source
# package, which apt-get fetches and checks with an index of its own, so that the machine's
# configuration stays as it is.  Exits with 3 when there is no source to be had.
set -eu
repo=$(readlink -f "$(dirname "$0")/..")
out=${1:-$repo/build/nginx-sanitized}
cache=$repo/build/nginx-source

# nginx itself is checked for addresses only, since UBSan has findings there.  In its pools an
# overflow would stay within a block: NGX_DEBUG_PALLOC gives each allocation one of its own.
flags='-g -O1 -fno-omit-frame-pointer -fsanitize=address'
undefined='-fsanitize=undefined -fno-sanitize-recover=undefined'
# The programs by which configure finds out about the system need not be tidy.
export ASAN_OPTIONS=detect_leaks=0
# What no configuration of the tests names: less to compile.
without=(charset gzip ssi userid auth_basic mirror autoindex geo split_clients referer grpc memcached
	limit_conn limit_req empty_gif browser upstream_hash upstream_ip_hash upstream_least_conn
	upstream_random upstream_zone)

no_source() {
	echo "sanitized-nginx: no source of nginx: $*" >&2
	exit 3
}

# As root apt would fetch as another user, who may have no way to here.
apt() {
	apt-get -qq -o Dir::Etc::sourcelist="$cache/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$cache/lists" -o Dir::Cache="$cache/apt" -o APT::Sandbox::User=root \
		-o Acquire::Retries=2 -o Acquire::http::Timeout=20 "$@"
}

fetch() {
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg
	local format="deb-src [signed-by=$keys] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)"
	mkdir -p "$cache/lists/partial" "$cache/apt/archives/partial"
	apt-get indextargets --format "$format" 'Created-By: Packages' 'Origin: Debian' |
		sort -u >"$cache/sources.list"
	[ -s "$cache/sources.list" ] || no_source "apt has no index of Debian: run apt-get update"
	apt update >&2 || no_source "apt cannot fetch the index of source packages"
	# A mirror may lack the packaging: what counts is that the archive is there, which has its
	# name only once its checksum is right.
	(cd "$cache" && apt source --download-only --tar-only nginx >&2) || true
	rm -rf "$cache/lists" "$cache/apt"
}

archive() {
	find "$cache" -maxdepth 1 -name 'nginx_*.orig.tar.gz' 2>/dev/null | sort | tail -n 1
}

# Sets $source to a tree that may be written to.
unpack() {
	source=$out/source
	if [ -n "${CERTHERD_NGINX_SOURCE:-}" ]; then
		[ -f "$CERTHERD_NGINX_SOURCE/auto/configure" ] ||
			no_source "$CERTHERD_NGINX_SOURCE is no source tree"
		cp -r "$CERTHERD_NGINX_SOURCE" "$source"
		return
	fi
	[ -n "$(archive)" ] || fetch
	[ -n "$(archive)" ] || no_source "apt cannot fetch the source package"
	mkdir "$source"
	tar -xzf "$(archive)" --strip-components 1 -C "$source"
}

configure() {
	rm -rf "$out"
	mkdir -p "$out"
	unpack
	cd "$source"
	# Upstream's releases have it there, its repository in auto/.
	[ -x configure ] || cp auto/configure configure
	./configure --builddir="$out/objs" --with-compat --with-debug --with-threads \
		--with-http_ssl_module --with-http_v2_module --with-http_realip_module \
		$(printf -- '--without-http_%s_module ' "${without[@]}") \
		--with-cc-opt="$flags -DNGX_DEBUG_PALLOC=1" --with-ld-opt="$flags $undefined -Wl,-z,nodelete" \
		--add-dynamic-module="$repo/nginx" >"$out/configure.log" || {
		tail -n 20 "$out/configure.log" >&2
		exit 1
	}
	cp "$repo/nginx/config" "$repo/nginx/sources" "$out/"
}

is_configured() {
	[ -f "$out/objs/Makefile" ] && cmp -s "$repo/nginx/config" "$out/config" &&
		cmp -s "$repo/nginx/sources" "$out/sources"
}

# build GOAL [VARIABLE=…]
build() {
	make -s -j "${JOBS:-$(nproc)}" -f "$out/objs/Makefile" "$@" >"$out/make.log" 2>&1 || {
		tail -n 30 "$out/make.log" >&2
		exit 1
	}
}

is_configured || configure
cd "$out/source"
build binary
# nginx's Makefile does not know of our headers.
find "$out/objs/addon" -name '*.o' -delete
build modules "CFLAGS=$(sed -n 's/^CFLAGS = *//p' "$out/objs/Makefile") $undefined"
for file in nginx ngx_http_certherd_module.so; do
	cp "$out/objs/$file" "$out/$file.new"
	mv "$out/$file.new" "$out/$file" # one that runs keeps what it has
done
