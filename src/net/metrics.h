/* Figures of a process for Prometheus: plain HTTP on loopback, GET /metrics, text format 0.0.4.
 */
#ifndef CH_NET_METRICS_H
#define CH_NET_METRICS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"

#define CH_METRICS_MAX_B (256u * 1024u)

struct ch_metrics;

struct ch_metrics_options {
	const char *listen; /* "127.0.0.1:9101", "[::1]:9101" */
	/* Appends the text; called by a thread of its own, one at a time. */
	void (*write)(void *arg, struct ch_buf *out);
	void *arg;
};

/* The key "metrics" of the section: NULL, it is off, or an address and port of this host's
 * loopback. */
const char *ch_metrics_from_conf(struct ch_conf *conf, const char *section);
/* Whether the text is an address of this host's loopback with a port. */
bool ch_metrics_is_loopback(const char *text);
/* The thread takes no signals.  CH_EIO: the port cannot be had. */
CH_MUST int ch_metrics_start(const struct ch_metrics_options *options,
	struct ch_metrics **ret_metrics, struct ch_err *err);
void ch_metrics_stop(struct ch_metrics *metrics); /* NULL allowed */

/* kind: "gauge" or "counter"; help: a sentence. */
void ch_metrics_head(struct ch_buf *out, const char *name, const char *kind, const char *help);
void ch_metrics_value(struct ch_buf *out, const char *name, const char *kind, const char *help,
	uint64_t value);
/* Unix seconds; no sample for 0 and INT64_MAX: there is no such moment. */
void ch_metrics_moment(struct ch_buf *out, const char *name, const char *help, int64_t at_ms);

#endif
