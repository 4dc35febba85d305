/* The configuration languages of nginx and Apache, as far as statements and their words. */
#ifndef CH_ISSUERD_ADOPT_WORDS_H
#define CH_ISSUERD_ADOPT_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define CH_WORDS_MAX 4096
#define CH_WORDS_FILE_MAX_B (8u * 1024u * 1024u)

enum ch_words_lang { CH_WORDS_NGINX, CH_WORDS_APACHE };

enum ch_words_end {
	CH_WORDS_SIMPLE, /* listen 443 ssl;   SSLEngine on */
	CH_WORDS_OPEN,	 /* server {          <VirtualHost *:443>, without the brackets */
	CH_WORDS_CLOSE,	 /* }                 </VirtualHost>; may have no words */
};

struct ch_words_reader {
	enum ch_words_lang lang;
	const char *at; /* borrowed */
	const char *end;
	char *text; /* owned: of the words; as long as the input */
	size_t used;
	unsigned line;
};

/* Valid until the next call; without the quotes and backslashes that are the language's. */
struct ch_words {
	const char *word[CH_WORDS_MAX];
	size_t n;
	enum ch_words_end end;
	unsigned line; /* on which it begins, from 1 */
};

/* CH_ETOOBIG over CH_WORDS_FILE_MAX_B; CH_ENOMEM. */
CH_MUST int ch_words_begin(
	struct ch_words_reader *reader, enum ch_words_lang lang, const char *text, size_t len);
void ch_words_done(struct ch_words_reader *reader);
/* CH_ENOTFOUND at the end; CH_EPROTO "conf-syntax", and nothing can be read any more;
 * CH_ETOOBIG "conf-words". */
CH_MUST int ch_words_next(
	struct ch_words_reader *reader, struct ch_words *ret_words, struct ch_err *err);

#endif
