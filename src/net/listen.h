/* Listening sockets from addresses in text. */
#ifndef CH_NET_LISTEN_H
#define CH_NET_LISTEN_H

#include <stdbool.h>

#include "base/err.h"

#define CH_LISTEN_TEXT_B 64

/* address: "ADDRESS:PORT" or "[ADDRESS]:PORT", numeric, IPv6 sockets take IPv6 only; port 0
 * takes a free one.  ret_text: the address with the real port, CH_LISTEN_TEXT_B bytes.
 * The caller closes *ret_fd. */
CH_MUST int ch_listen_open(const char *address, int *ret_fd, unsigned *ret_port, char *ret_text,
	struct ch_err *err);
/* Whether the text is such an address of this host's loopback. */
bool ch_listen_is_loopback(const char *address);
/* Whether the client of an accepted connection has closed its side of it. */
CH_MUST bool ch_listen_is_gone(int fd);

#endif
