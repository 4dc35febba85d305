#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/api.h"
#include "ui/parts.h"
#include "wire/name.h"

#define ORDERS_SHOWN 10
#define HISTORY_SHOWN 50
#define LIST_SHOWN 16 /* of CAs, records, names of a certificate */

/* Whoever must act is told first what is wrong. */
static void add_reason(struct ch_ui_page *page, const json_t *reason)
{
	struct ch_html *html = &page->html;
	const char *actor = ch_json_str(reason, "actor");
	const char *code = ch_json_str(reason, "code");

	ch_html_fact_begin(html, "Reason");
	ch_html_text_cut(html, ch_json_str(reason, "detail"), 4000);
	if (*code) {
		CH_HTML(html, " (");
		ch_ui_code(html, "reason", code);
		CH_HTML(html, ")");
	}
	ch_html_fact_end(html);
	ch_html_fact_begin(html, "Must act");
	if (strcmp(actor, "nobody") == 0) {
		CH_HTML(html, "nobody");
	} else {
		CH_HTML(html, "<strong>");
		ch_html_text_cut(html, ch_ui_actor(actor), 64);
		CH_HTML(html, "</strong>");
	}
	ch_html_fact_end(html);
}

static void add_failures(struct ch_html *html, const json_t *of)
{
	if (ch_json_int(of, "failures") <= 0)
		return;
	ch_html_fact_begin(html, "Failures");
	ch_html_count(html, ch_json_int(of, "failures"));
	CH_HTML(html, " in a row");
	ch_html_fact_end(html);
}

/* When the turn of a name that waits is expected. */
static void add_expected(struct ch_html *html, const json_t *expected)
{
	const char *limit = ch_json_str(expected, "limit");

	if (!json_is_object(expected))
		return;
	ch_html_fact_begin(html, "Its turn");
	if (ch_json_time(expected, "at"))
		ch_html_moment(html, ch_json_time(expected, "at"));
	else
		CH_HTML(html, "in more than a year");
	if (*limit) {
		CH_HTML(html, ", for the limit of ");
		ch_html_text(html, ch_answer_limit_str(limit));
	}
	if (json_is_integer(json_object_get(expected, "ahead"))) {
		CH_HTML(html, ", ");
		ch_html_count(html, ch_json_int(expected, "ahead"));
		CH_HTML(html, " before it");
	}
	ch_html_fact_end(html);
}

static void add_standing(struct ch_ui_page *page, const json_t *domain)
{
	struct ch_html *html = &page->html;
	const json_t *reason = json_object_get(domain, "reason");
	const char *section = ch_ui_section("reason", ch_json_str(reason, "code"));

	CH_HTML(html, "<section>\n<h2>Where it stands</h2>\n<dl>\n");
	ch_html_fact_begin(html, "State");
	ch_ui_badge(html, ch_json_str(domain, "state"));
	ch_html_fact_end(html);
	add_reason(page, reason);
	/* Where a turn is foreseen, next_at says only when the store looks at the name again.
	 */
	if (json_is_object(json_object_get(domain, "expected")))
		add_expected(html, json_object_get(domain, "expected"));
	else
		ch_html_fact_moment(html, "Next", ch_json_time(domain, "next_at"));
	add_failures(html, domain);
	if (ch_json_time(domain, "away_since"))
		ch_html_fact_moment(html, "Away since", ch_json_time(domain, "away_since"));
	if (ch_json_time(domain, "wanted_at"))
		ch_html_fact_moment(html, "Asked for", ch_json_time(domain, "wanted_at"));
	CH_HTML(html, "</dl>\n");
	if (section && strcmp(ch_json_str(reason, "actor"), "nobody") != 0) {
		CH_HTML(html, "<div class=\"card prose\"><h3>What to do</h3>");
		ch_html_section(html, section);
		CH_HTML(html, "</div>\n");
	}
	CH_HTML(html, "</section>\n");
}

/* texts: an array of them, each in a line of its own. */
static void add_list(struct ch_html *html, const char *label, const json_t *texts)
{
	const json_t *text;
	size_t i;

	if (!json_array_size(texts))
		return;
	ch_html_fact_begin(html, label);
	json_array_foreach(texts, i, text)
	{
		const char *value = json_string_value(text);

		if (i == LIST_SHOWN)
			break;
		if (i)
			CH_HTML(html, "<br>");
		ch_html_text_cut(html, value ? value : "?", 300);
	}
	ch_html_fact_end(html);
}

static void add_renewal_info(struct ch_html *html, const json_t *info)
{
	if (!json_is_object(info))
		return;
	ch_html_fact_begin(html, "CA\u2019s window");
	ch_html_moment(html, ch_json_time(info, "start"));
	CH_HTML(html, " to ");
	ch_html_moment(html, ch_json_time(info, "end"));
	CH_HTML(html, ", asked ");
	ch_html_when(html, ch_json_time(info, "asked_at"));
	ch_html_fact_end(html);
	if (*ch_json_str(info, "explanation"))
		ch_html_fact(html, "CA explains", ch_json_str(info, "explanation"));
}

static void add_certificate(struct ch_ui_page *page, const json_t *cert)
{
	struct ch_html *html = &page->html;

	if (!json_is_object(cert)) {
		ch_html_fact(html, "Certificate", "none yet");
		return;
	}
	ch_html_fact_begin(html, "Serial");
	ch_html_code(html, ch_json_str(cert, "serial"));
	ch_html_fact_end(html);
	ch_html_fact(html, "Issuer", ch_json_str(cert, "issuer"));
	if (*ch_json_str(cert, "ca"))
		ch_html_fact(html, "CA", ch_json_str(cert, "ca"));
	if (ch_json_int(cert, "rolled_back_to") > 0) {
		ch_html_fact_begin(html, "Rolled back to");
		CH_HTML(html, "version ");
		ch_html_textf(html, "%lld", (long long)ch_json_int(cert, "rolled_back_to"));
		ch_html_fact_end(html);
	}
	add_list(html, "Names", json_object_get(cert, "names"));
	ch_html_fact_moment(html, "Valid from", ch_json_time(cert, "not_before"));
	ch_html_fact_moment(html, "Expires", ch_json_time(cert, "not_after"));
	if (ch_json_time(cert, "renew_at"))
		ch_html_fact_moment(html, "Renewal", ch_json_time(cert, "renew_at"));
	add_renewal_info(html, json_object_get(cert, "renewal_info"));
}

static void add_second(struct ch_ui_page *page, const json_t *second)
{
	struct ch_html *html = &page->html;

	if (!json_is_object(second))
		return;
	CH_HTML(html, "<section>\n<h2>Second certificate</h2>\n<p class=\"quiet\">For clients "
		      "that cannot use the first.</p>\n<dl>\n");
	add_reason(page, json_object_get(second, "reason"));
	ch_html_fact_moment(html, "Next", ch_json_time(second, "next_at"));
	add_failures(html, second);
	add_certificate(page, json_object_get(second, "certificate"));
	CH_HTML(html, "</dl>\n</section>\n");
}

/* What is kept for the day on which a CA fails. */
static void add_standby(struct ch_ui_page *page, const json_t *standby, const char *title)
{
	struct ch_html *html = &page->html;

	if (!json_is_object(standby))
		return;
	CH_HTML(html, "<section>\n<h2>");
	ch_html_text(html, title);
	CH_HTML(html, "</h2>\n<p class=\"quiet\">It is not live.</p>\n<dl>\n");
	ch_html_fact(
		html, "Ready", json_is_true(json_object_get(standby, "ready")) ? "yes" : "no");
	add_reason(page, json_object_get(standby, "reason"));
	ch_html_fact(html, "Wanted from", ch_json_str(standby, "wanted"));
	ch_html_fact_moment(html, "Next", ch_json_time(standby, "next_at"));
	add_failures(html, standby);
	add_certificate(page, json_object_get(standby, "certificate"));
	CH_HTML(html, "</dl>\n</section>\n");
}

static void add_record(struct ch_html *html, const char *owner, const char *type,
	const char *value, bool quoted)
{
	CH_HTML(html, "<pre>");
	ch_html_text_cut(html, owner, 300);
	ch_html_textf(html, " %s ", type);
	if (quoted)
		CH_HTML(html, "&quot;");
	ch_html_text_cut(html, value, 1000);
	if (quoted)
		CH_HTML(html, "&quot;");
	CH_HTML(html, "</pre>\n");
}

/* What the name's owner has to have in the DNS, or should. */
static void add_records(struct ch_html *html, const json_t *domain)
{
	const json_t *caa = json_object_get(domain, "caa");
	const json_t *persist = json_object_get(domain, "persist");
	const json_t *delegation = json_object_get(domain, "delegation");
	const char *owner = ch_answer_caa_owner(ch_json_str(domain, "name"));

	if (!json_array_size(caa) && !json_array_size(persist) && !json_is_object(delegation))
		return;
	CH_HTML(html, "<section>\n<h2>DNS records for the name\u2019s owner</h2>\n");
	if (json_is_object(delegation)) {
		CH_HTML(html, "<p>Needed once, so that challenges are answered here:</p>\n");
		add_record(html, ch_json_str(delegation, "name"), "CNAME",
			ch_json_str(delegation, "cname"), false);
	}
	if (json_array_size(persist))
		CH_HTML(html, "<p>Needed for validation:</p>\n");
	for (size_t i = 0; i < json_array_size(persist) && i < LIST_SHOWN; i++) {
		const json_t *record = json_array_get(persist, i);

		add_record(html, ch_json_str(record, "name"), "TXT", ch_json_str(record, "txt"),
			true);
	}
	if (json_array_size(caa))
		CH_HTML(html, "<p>Recommended: with it no other account, and no other CA, can "
			      "issue for the name.</p>\n");
	for (size_t i = 0; i < json_array_size(caa) && i < LIST_SHOWN; i++) {
		const char *value = json_string_value(json_array_get(caa, i));

		add_record(html, owner, "CAA", value ? value : "?", false);
	}
	CH_HTML(html, "</section>\n");
}

static void add_settings(struct ch_html *html, const json_t *domain)
{
	static const struct {
		const char *key;
		const char *label;
	} settings[] = {{"tenant", "Tenant"}, {"pool", "Pool"}, {"keys", "Keys"},
		{"upstream", "Upstream"}, {"hsts", "HSTS"}, {"redirect", "Redirect"}};

	CH_HTML(html, "<section>\n<h2>Settings</h2>\n<dl>\n");
	for (size_t i = 0; i < CH_ARRAY_LEN(settings); i++)
		if (*ch_json_str(domain, settings[i].key))
			ch_html_fact(
				html, settings[i].label, ch_json_str(domain, settings[i].key));
	add_list(html, "CAs", json_object_get(domain, "cas"));
	if (json_is_true(json_object_get(domain, "www")))
		ch_html_fact(html, "Shared with", "its www name");
	if (*ch_json_str(domain, "www_of")) {
		ch_html_fact_begin(html, "Shared with");
		ch_ui_name_link(html, ch_json_str(domain, "www_of"), "");
		ch_html_fact_end(html);
	}
	ch_html_fact_moment(html, "Registered", ch_json_time(domain, "created_at"));
	ch_html_fact_moment(html, "Changed", ch_json_time(domain, "updated_at"));
	CH_HTML(html, "</dl>\n</section>\n");
}

static void add_order(struct ch_html_table *table, const json_t *order)
{
	struct ch_html *html = table->html;
	const json_t *reason = json_object_get(order, "reason");
	const json_t *lease = json_object_get(order, "lease");

	ch_html_cell(table);
	ch_html_textf(html, "%lld", (long long)ch_json_int(order, "id"));
	ch_html_cell(table);
	ch_ui_badge(html, ch_json_str(order, "state"));
	ch_html_cell(table);
	ch_html_text_cut(html, ch_json_str(order, "key"), 16);
	if (json_is_true(json_object_get(order, "second")))
		CH_HTML(html, ", second");
	if (json_is_true(json_object_get(order, "standby")))
		CH_HTML(html, ", standby");
	ch_html_cell_count(table, ch_json_int(order, "attempts"));
	ch_html_cell_when(table, ch_json_time(order, "created_at"));
	ch_html_cell_when(table, ch_json_time(order, "updated_at"));
	ch_html_cell(table);
	ch_html_text_cut(html, ch_json_str(lease, "issuer"), 100);
	ch_html_cell(table);
	if (*ch_json_str(reason, "code")) {
		ch_ui_code(html, "reason", ch_json_str(reason, "code"));
		CH_HTML(html, ": ");
	}
	ch_html_text_cut(html, ch_json_str(reason, "detail"), 1000);
}

static int add_orders(struct ch_ui_page *page, const char *name, struct ch_err *err)
{
	static const char *const heads[] = {
		">Order", "State", "For", ">Attempts", "Begun", "Changed", "~With", "~Reason"};
	CH_AUTO_BUF struct ch_buf path = {.max_b = 2048};
	CH_UI_AUTO_JSON json_t *answer = NULL;
	struct ch_html *html = &page->html;
	struct ch_html_table table;
	const json_t *order;
	size_t i;
	int rc;

	CH_HTML(html, "<section>\n<h2>Orders</h2>\n");
	ch_buf_addf(&path, "/v1/orders?limit=%d&name=", ORDERS_SHOWN);
	if (ch_url_encode(&path, name))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_ui_get_part(page, ch_buf_str(&path), &answer, err);
	if (rc)
		return rc;
	if (json_array_size(json_object_get(answer, "orders"))) {
		ch_html_table_begin(&table, html, "The newest orders of this name", heads,
			CH_ARRAY_LEN(heads));
		json_array_foreach(json_object_get(answer, "orders"), i, order)
		{
			if (i == ORDERS_SHOWN)
				break;
			add_order(&table, order);
		}
		ch_html_table_end(&table);
	} else if (answer) {
		CH_HTML(html, "<p>None.</p>\n");
	}
	CH_HTML(html, "</section>\n");
	return CH_OK;
}

static void add_history(struct ch_html *html, const json_t *history)
{
	static const char *const heads[] = {"At", "Event", "Must act", "~Detail"};
	struct ch_html_table table;
	const json_t *event;
	size_t i;

	if (!json_array_size(history))
		return;
	CH_HTML(html, "<section>\n<h2>History</h2>\n");
	ch_html_table_begin(&table, html, "What has happened, the newest first", heads,
		CH_ARRAY_LEN(heads));
	json_array_foreach(history, i, event)
	{
		const char *actor = ch_json_str(event, "actor");

		if (i == HISTORY_SHOWN)
			break;
		ch_html_cell(&table);
		ch_html_moment(html, ch_json_time(event, "at"));
		ch_html_cell_text(&table, ch_json_str(event, "event"));
		ch_html_cell_text(
			&table, strcmp(actor, "nobody") == 0 ? "" : ch_ui_actor(actor));
		ch_html_cell(&table);
		ch_html_text_cut(html, ch_json_str(event, "detail"), 2000);
	}
	ch_html_table_end(&table);
	CH_HTML(html, "</section>\n");
}

static int add_domain(
	struct ch_ui_page *page, const char *name, const json_t *domain, struct ch_err *err)
{
	struct ch_html *html = &page->html;
	const char *display = ch_json_str(domain, "display");
	const json_t *second = json_object_get(domain, "second");
	int rc;

	ch_ui_begin(page, *display ? display : name, NULL, 0);
	if (*display && strcmp(display, name) != 0) {
		CH_HTML(html, "<p class=\"quiet\">");
		ch_html_code(html, name);
		CH_HTML(html, "</p>\n");
	}
	add_standing(page, domain);
	CH_HTML(html, "<section>\n<h2>Certificate</h2>\n<dl>\n");
	add_certificate(page, json_object_get(domain, "certificate"));
	CH_HTML(html, "</dl>\n</section>\n");
	add_second(page, second);
	add_standby(page, json_object_get(domain, "standby"), "Standby certificate");
	add_standby(
		page, json_object_get(second, "standby"), "Standby of the second certificate");
	add_records(html, domain);
	add_settings(html, domain);
	rc = add_orders(page, name, err);
	if (rc)
		return rc;
	add_history(html, json_object_get(domain, "history"));
	ch_ui_end(page);
	return CH_OK;
}

int ch_ui_name(struct ch_ui_page *page, const char *name, struct ch_err *err)
{
	/* Whether a wildcard is allowed is for the store to say. */
	const struct ch_name_rules rules = {.allow_wildcard = true};
	CH_AUTO_BUF struct ch_buf path = {.max_b = 2048};
	CH_UI_AUTO_JSON json_t *domain = NULL;
	char normal[CH_NAME_TEXT_B];
	int rc = ch_name_normalize(name, strlen(name), &rules, normal, err);

	if (rc)
		return rc;
	ch_buf_add_str(&path, "/v1/domains/");
	if (ch_url_encode(&path, normal))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_ui_get(page, ch_buf_str(&path), &domain, err);
	return rc ? rc : add_domain(page, normal, domain, err);
}
