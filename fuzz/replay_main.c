/* Runs a fuzz target over files: every file named, and every file in a folder named.  This is
 * how the seed corpora take part in the ordinary tests, with any compiler. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "fuzz.h"

static int replay_file(const char *path)
{
	CH_AUTO_FREE char *text = NULL;
	CH_AUTO_FREE uint8_t *exact = NULL;
	struct ch_err err;
	size_t len;

	if (ch_file_read(path, 1u << 20, &text, &len, &err)) {
		fprintf(stderr, "%s\n", err.detail);
		return 1;
	}
	/* A copy of the exact length, so that a sanitizer sees a read past the end. */
	exact = malloc(len ? len : 1);
	if (!exact)
		return 1;
	memcpy(exact, text, len);
	LLVMFuzzerTestOneInput(exact, len);
	return 0;
}

static int replay_folder(const char *path, size_t *files)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int failed = 0;

	if (!dir)
		return 1;
	while ((entry = readdir(dir)) != NULL) {
		CH_AUTO_FREE char *file = NULL;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
			abort();
		failed |= replay_file(file);
		(*files)++;
	}
	closedir(dir);
	if (ch_fuzz_replayed)
		ch_fuzz_replayed();
	return failed;
}

int main(int argc, char **argv)
{
	size_t files = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			failed |= replay_folder(argv[i], &files);
		} else {
			failed |= replay_file(argv[i]);
			files++;
		}
	}
	printf("%zu inputs replayed\n", files);
	return failed || files == 0;
}
