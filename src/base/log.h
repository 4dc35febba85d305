/* Log lines for people and for machines: "TIME LEVEL role  message key=value …" on stderr.
 * Library code logs at debug only.  Never pass a secret. */
#ifndef CH_BASE_LOG_H
#define CH_BASE_LOG_H

#include "base/err.h"

enum ch_log_level { CH_LOG_ERROR, CH_LOG_WARN, CH_LOG_INFO, CH_LOG_DEBUG };

/* role: a static string, shown in each line. */
void ch_log_init(const char *role, enum ch_log_level level);
/* "error", "warn", "info", "debug". */
CH_MUST int ch_log_level_parse(const char *text, enum ch_log_level *ret_level);
/* One line; control characters in the message are replaced, so that strings from strangers
 * cannot forge lines.  Cut at 2,000 bytes. */
void ch_log(enum ch_log_level level, const char *fmt, ...) CH_PRINTF(2, 3);

#define ch_log_error(...) ch_log(CH_LOG_ERROR, __VA_ARGS__)
#define ch_log_warn(...) ch_log(CH_LOG_WARN, __VA_ARGS__)
#define ch_log_info(...) ch_log(CH_LOG_INFO, __VA_ARGS__)
#define ch_log_debug(...) ch_log(CH_LOG_DEBUG, __VA_ARGS__)

#endif
