/* What a database backend provides: one function per function of store.h. */
#ifndef CH_STORE_BACKEND_H
#define CH_STORE_BACKEND_H

#include "store/store.h"

struct ch_store_backend {
	void (*close)(struct ch_store *store);
	void (*on_commit)(struct ch_store *store,
		void (*fn)(const struct ch_store_change *change, void *arg), void *arg);
	int (*submit)(struct ch_store *store, struct ch_store_op *op);
	int (*get_domain)(struct ch_store *store, const char *name, struct ch_arena *arena,
		struct ch_store_domain *ret_domain);
	int (*list_domains)(struct ch_store *store, const struct ch_store_domain_filter *filter,
		struct ch_arena *arena, struct ch_store_domain_page *ret_page);
	int (*get_history)(struct ch_store *store, const char *name, size_t limit,
		struct ch_arena *arena, struct ch_store_event **ret_events, size_t *ret_n);
	int (*get_certs)(struct ch_store *store, const char *name, struct ch_arena *arena,
		struct ch_store_certs *ret_certs);
	int (*get_order)(struct ch_store *store, uint64_t id, struct ch_arena *arena,
		struct ch_store_order *ret_order);
	int (*list_orders)(struct ch_store *store, const struct ch_store_order_filter *filter,
		struct ch_arena *arena, struct ch_store_order_page *ret_page);
	int (*read_feed)(struct ch_store *store, const char *pool, const char *edge,
		uint64_t after, int (*row)(const struct ch_store_feed_row *row, void *arg),
		void *arg, struct ch_store_feed_info *ret_info);
	int (*read_records)(struct ch_store *store,
		const struct ch_store_records_filter *filter,
		int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
		struct ch_store_records_info *ret_info);
	int (*pool_head)(
		struct ch_store *store, const char *pool, struct ch_store_pool_head *ret_head);
	int (*list_pools)(struct ch_store *store, const char *pool, struct ch_arena *arena,
		struct ch_store_pool **ret_pools, size_t *ret_n);
	int (*list_edges)(struct ch_store *store, struct ch_arena *arena,
		struct ch_store_edge **ret_edges, size_t *ret_n);
	int (*list_tickets)(struct ch_store *store, struct ch_arena *arena,
		struct ch_store_tickets **ret_list, size_t *ret_n);
	int (*list_alerts)(struct ch_store *store, bool closed_too, size_t limit,
		struct ch_arena *arena, struct ch_store_alert **ret_alerts, size_t *ret_n);
	int (*list_issuers)(struct ch_store *store, struct ch_arena *arena,
		struct ch_store_issuer **ret_issuers, size_t *ret_n);
	int (*get_danger)(struct ch_store *store, struct ch_arena *arena,
		struct ch_store_danger *ret_danger);
	int (*see_wanted)(struct ch_store *store, const struct ch_op_wanted *wanted,
		struct ch_arena *arena, struct ch_store_wanted *ret_wanted);
	int (*get_rekey)(struct ch_store *store, struct ch_store_rekey *ret_rekey);
	int (*get_limits)(struct ch_store *store, struct ch_arena *arena,
		struct ch_store_limits *ret_limits);
	int (*get_line)(struct ch_store *store, struct ch_store_line *ret_line);
	int (*get_queue)(struct ch_store *store, const struct ch_store_pace *paces,
		size_t n_paces, struct ch_arena *arena, struct ch_store_queue *ret_queue);
	int (*next_ask)(struct ch_store *store, const char *ca, int64_t *ret_at_ms);
	int (*get_calendar)(struct ch_store *store, struct ch_arena *arena,
		struct ch_store_calendar *ret_calendar);
	int (*next_due)(struct ch_store *store, int64_t *ret_at_ms);
	int (*get_status)(struct ch_store *store, struct ch_arena *arena,
		struct ch_store_status *ret_status);
	int (*get_figures)(struct ch_store *store, struct ch_store_figures *ret_figures);
	int (*list_audit)(struct ch_store *store, uint64_t before, size_t limit,
		struct ch_arena *arena, struct ch_store_audit **ret_entries, size_t *ret_n,
		uint64_t *ret_before);
};

/* A backend's own struct begins with this. */
struct ch_store {
	const struct ch_store_backend *backend;
};

CH_MUST int ch_sqlite_open(const char *path, const struct ch_store_options *options,
	struct ch_store **ret_store, struct ch_err *err);
CH_MUST int ch_postgres_open(const char *url, const struct ch_store_options *options,
	struct ch_store **ret_store, struct ch_err *err);

#endif
