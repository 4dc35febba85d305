/* The configuration file: every getter on whatever parses. */
#include "base/clock.h"
#include "base/conf.h"
#include "fuzz.h"

static int each(const char *item, void *arg)
{
	return *item ? CH_OK : CH_EINVAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	struct ch_err err = {0};

	if (ch_conf_parse((const char *)data, size, "/", &conf, &err)) {
		CH_FUZZ_CHECK(err.detail[0]);
		return 0;
	}
	(void)ch_conf_str(conf, "store", "database", "");
	(void)ch_conf_path(conf, "store", "cert", "pki/store.pem");
	(void)ch_conf_int(conf, "store", "threads", 4, 1, 64);
	(void)ch_conf_duration(conf, "store", "edge_timeout", "60s", 1, CH_DAY_MS);
	(void)ch_conf_bool(conf, "store", "flag", false);
	ch_conf_list(conf, "store", "listen", "", each, NULL);
	if (ch_conf_finish(conf, "store", &err))
		CH_FUZZ_CHECK(err.detail[0]);
	return 0;
}
