/* What `certherd adopt` reads of others: configurations of nginx and Apache, and PEM files. */
#include <string.h>

#include "fuzz.h"
#include "issuerd/adopt_pem.h"
#include "issuerd/adopt_words.h"

static void read_words(enum ch_words_lang lang, const char *text, size_t len)
{
	static struct ch_words words;
	struct ch_words_reader reader;
	int rc = ch_words_begin(&reader, lang, text, len);

	if (rc)
		return;
	while (rc == CH_OK) {
		struct ch_err err = {0};
		size_t used = 0;

		rc = ch_words_next(&reader, &words, &err);
		CH_FUZZ_CHECK(rc == CH_OK || rc == CH_ENOTFOUND || err.detail[0]);
		if (rc)
			break;
		CH_FUZZ_CHECK(words.n <= CH_WORDS_MAX && words.line >= 1);
		CH_FUZZ_CHECK(words.n > 0 || words.end == CH_WORDS_CLOSE);
		for (size_t i = 0; i < words.n; i++)
			used += strlen(words.word[i]) + 1;
		CH_FUZZ_CHECK(used <= len + 2);
	}
	ch_words_done(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct ch_adopt_pem pem;
	struct ch_err err = {0};
	int rc = ch_adopt_pem_parse(text, size, &pem, &err);

	CH_FUZZ_CHECK(rc == CH_OK || (err.problem[0] && err.detail[0]));
	if (rc == CH_OK) {
		CH_FUZZ_CHECK(pem.n_certs <= CH_ADOPT_CERTS_MAX);
		ch_adopt_pem_done(&pem);
	}
	read_words(CH_WORDS_NGINX, text, size);
	read_words(CH_WORDS_APACHE, text, size);
	return 0;
}
