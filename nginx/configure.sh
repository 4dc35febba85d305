#!/bin/bash
# Runs nginx's configure for its header files: configure.sh NGINX_SOURCE OUT_DIR [ARGUMENTS…]
#
# NGINX_SOURCE is Debian's /usr/share/nginx/src (package nginx-dev) or a source tree; without
# ARGUMENTS Debian's own are taken, or those that a module for any build with --with-compat needs.
# Nothing is written to NGINX_SOURCE.
set -eu
src=$(readlink -f "$1")
out=$(readlink -f "$2")
shift 2

work=$(mktemp -d "$out/configure.XXXXXX")
trap 'rm -rf "$work"' EXIT
for file in auto src configure; do
	ln -s "$src/$file" "$work/$file"
done

NGX_CONF_FLAGS=(--with-compat --with-threads --with-http_ssl_module --with-http_v2_module)
if [ $# -gt 0 ]; then
	NGX_CONF_FLAGS=("$@")
elif [ -f "$src/conf_flags" ]; then
	. "$src/conf_flags"
fi

cd "$work"
if ! ./configure "${NGX_CONF_FLAGS[@]}" --builddir=objs >log 2>&1; then
	cat log >&2
	exit 1
fi
cp objs/ngx_auto_config.h objs/ngx_auto_headers.h "$out/"
