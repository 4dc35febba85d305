/* What embed.py makes of style.css, doc/troubleshooting.md and doc/alerts.md. */
#ifndef CH_UI_EMBEDDED_H
#define CH_UI_EMBEDDED_H

struct ch_ui_section {
	const char *code; /* NULL: after the last one */
	const char *html; /* for ch_html_section */
};

extern const char ch_ui_style[];
extern const struct ch_ui_section ch_ui_reason_sections[];
extern const struct ch_ui_section ch_ui_alert_sections[];

#endif
